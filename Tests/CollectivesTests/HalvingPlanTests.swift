import Testing

@testable import Collectives

@Suite struct HalvingPlanTests {
  @Test("after all rounds the ranks' ranges tile the whole", arguments: [1, 2, 4, 8, 16], [0, 1, 31, 512, 1003])
  func tiling(rankCount: Int, count: Int) {
    let owned = (0..<rankCount).map { HalvingPlan(5..<5 + count, rank: $0, rankCount: rankCount).owned }
    #expect(owned.flatMap(Array.init).sorted() == Array(5..<5 + count))
  }

  @Test("what a rank sends is what its peer keeps", arguments: [2, 4, 8])
  func pairs(rankCount: Int) {
    for rank in 0..<rankCount {
      let rounds = HalvingPlan(0..<1000, rank: rank, rankCount: rankCount).rounds
      for (index, round) in rounds.enumerated() {
        let mirrored = HalvingPlan(0..<1000, rank: round.peer, rankCount: rankCount).rounds[index]
        #expect(round.peer == rank ^ (1 << index))
        #expect(mirrored.peer == rank)
        #expect(mirrored.kept == round.sent)
        #expect(mirrored.sent == round.kept)
      }
    }
  }

  @Test("even shares tile the whole in the order of ranks", arguments: [1, 3, 6, 7], [0, 5, 16, 1003])
  func shares(rankCount: Int, count: Int) {
    let ranges = EvenShares(3..<3 + count, rankCount: rankCount).ranges
    #expect(ranges.flatMap(Array.init) == Array(3..<3 + count))
    #expect(ranges.allSatisfy { ($0.lowerBound - 3) % 16 == 0 || $0.lowerBound == 3 + count })
  }
}
