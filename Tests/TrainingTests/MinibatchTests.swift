import Testing

@testable import Training

@Suite struct MinibatchTests {
  @Test(
    "ranks cover every image once, in order, in groups of 16 at most", arguments: [1, 2, 3, 4, 5, 7, 8],
    [1, 8, 50, 96, 200, 512])
  func cover(_ ranks: Int, _ images: Int) {
    let batchSize = 512
    var next = 0
    for rank in 0..<ranks {
      let share = Minibatch(images: images, batchSize: batchSize, rank: rank, ranks: ranks)
      #expect(share.parts.last?.upperBound == share.groups.count)
      #expect(zip(share.parts, share.parts.dropFirst()).count { $0.upperBound != $1.lowerBound } == 0)
      for group in share.groups {
        #expect(group.lowerBound == next && (1...16).contains(group.count))
        next = group.upperBound
      }
    }
    #expect(next == images)
  }

  @Test("canonical parts do not depend on the number of ranks", arguments: [2, 4, 8], [96, 200, 500, 512])
  func canonical(_ ranks: Int, _ images: Int) {
    func parts(_ ranks: Int) -> [[Range<Int>]] {
      (0..<ranks).flatMap { rank in
        let share = Minibatch(images: images, batchSize: 512, rank: rank, ranks: ranks)
        return share.parts.map { Array(share.groups[$0]) }
      }
    }
    #expect(parts(ranks) == parts(1))
  }

  @Test(
    "parts of a full minibatch fill lane groups, so small batches have fewer",
    arguments: [(16, 1), (31, 1), (32, 2), (127, 4), (128, 8), (512, 8)])
  func partCount(_ batchSize: Int, _ expected: Int) { #expect(Minibatch.partCount(batchSize: batchSize) == expected) }
}
