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

  @Test("the header promises equal bits to just those numbers of ranks that cut a minibatch alike")
  func promise() {
    func parts(_ batchSize: Int, _ ranks: Int) -> [[Range<Int>]] {
      (0..<ranks).flatMap { rank in
        let share = Minibatch(images: batchSize, batchSize: batchSize, rank: rank, ranks: ranks)
        return share.parts.map { Array(share.groups[$0]) }
      }
    }
    var configuration = Configuration()
    for (batchSize, counts, text) in [
      (16, [1], "sums depend on the number of ranks"), (32, [1, 2], "the same bits for 1 and 2 ranks"),
      (64, [1, 2, 4], "the same bits for 1, 2 and 4 ranks"), (103, [1, 2, 4], "the same bits for 1, 2 and 4 ranks"),
      (128, [1, 2, 4, 8], "the same bits for 1, 2, 4 and 8 ranks"),
    ] {
      #expect(Minibatch.interchangeableRanks(batchSize: batchSize) == counts)
      configuration.training.batchSize = batchSize
      for ranks in [1, 2, 3, 4, 8] {
        #expect((parts(batchSize, ranks) == parts(batchSize, 1)) == counts.contains(ranks), "\(batchSize) \(ranks)")
        let promise = RunHeader.promise(configuration, ranks: ranks)
        #expect(promise == (counts.contains(ranks) ? text : "sums depend on the number of ranks"))
      }
    }
    configuration.distributed.threads = 4
    #expect(RunHeader.promise(configuration, ranks: 2) == "the same bits for 1, 2, 4 and 8 threads in all")
    #expect(RunHeader.promise(configuration, ranks: 4) == "sums depend on the number of ranks")
  }

  @Test(
    "parts of a full minibatch fill lane groups, so small batches have fewer",
    arguments: [(16, 1), (31, 1), (32, 2), (127, 4), (128, 8), (512, 8)])
  func partCount(_ batchSize: Int, _ expected: Int) { #expect(Minibatch.partCount(batchSize: batchSize) == expected) }
}
