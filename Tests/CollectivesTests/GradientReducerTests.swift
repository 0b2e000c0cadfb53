import Collectives
import Foundation
import Tensors
import TestSupport
import Testing

extension MultiProcessTests {
  @Suite struct GradientReducerTests {
    @Test(
      "uneven, tiny and empty buckets all arrive, in three steps of one reducer",
      arguments: [1, 2, 4, 8])
    func buckets(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "reducer", "100,0,30000,7,1,0,515", "fixedOrder", "whole") {
        #expect(report.texts["reduction"] == "fixedOrder")
        #expect(report.numbers["differentBits"] == 0)
        #expect(report.numbers["timesAddUp"] == 1)
      }
    }

    @Test(
      "ranks of one host sum the same bits where the buckets lie, without a message, and blocks of them with fewer",
      arguments: [(2, 2), (4, 4), (8, 8), (4, 2), (8, 2), (8, 4)], ["whole", "reused"])
    func blocks(ranks: (all: Int, ofBlock: Int), places: String) throws {
      // Two of the large ones fit where places are used again.
      let sizes = [100, 0, 500_000, 7, 480_000, 500_000, 1, 0, 515, 460_000]
      let reports = try RankJob.reports(
        ranks: ranks.all, "reducer", sizes.map(String.init).joined(separator: ","), "\(ranks.ofBlock)", places)
      for report in reports {
        #expect(report.numbers["block"] == Double(ranks.ofBlock))
        #expect(report.numbers["differentBits"] == 0)
        #expect(report.numbers["timesAddUp"] == 1)
      }
      // Of three steps: what is left to blocks' ranks goes to other blocks and, as updates, comes back.
      let elements = sizes.reduce(0, +)
      let others = Double(ranks.all / ranks.ofBlock - 1)
      #expect(reports.reduce(0) { $0 + ($1.numbers["bytesSent"] ?? 0) } == others * Double(3 * 2 * 4 * elements))
    }

    @Test("ranks that no complete block holds send messages", arguments: [1, 3, 6])
    func noBlock(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "reducer", "100,30000", "8", "whole") {
        #expect(report.numbers["block"] == 1)
        #expect((report.numbers["largestError"] ?? .infinity) < Double(ranks) * Double(Float(32).ulp))
      }
    }

    /// Whether processes may be numbered anew here.
    private static let canHideProcesses =
      getuid() == 0 && (try? run("unshare", arguments: ["--pid", "--fork", "--mount-proc", "true"]).status) == 0

    @Test(
      "ranks that each are the first process of a container of theirs take nobody's memory for another's",
      .enabled(if: canHideProcesses, "processes cannot be numbered anew here: not root, or in a container"))
    func hiddenProcesses() throws {
      // Open MPI too would look for the other rank by its number, and crash.
      let result = try mpirun(
        ranks: 2, "env",
        arguments: [
          "OMPI_MCA_btl=self,tcp", "unshare", "--pid", "--fork", "--mount-proc",
          try builtExecutable("rank-worker"), "reducer", "100,30000", "8", "whole",
        ])
      try #require(result.status == 0, "\(result.errors)")
      let reports = try RankJob.reports(in: result.output)
      #expect(reports.map(\.rank) == [0, 1])
      for report in reports {
        #expect(report.numbers["block"] == 1)
        #expect(report.numbers["differentBits"] == 0)
      }
    }

    @Test("MPI's own reduction serves any number of ranks", arguments: [1, 2, 3, 4, 6])
    func mpi(ranks: Int) throws {
      let isPowerOfTwo = ranks.nonzeroBitCount == 1
      let reduction = isPowerOfTwo ? "mpi" : "fixedOrder"
      for report in try RankJob.reports(ranks: ranks, "reducer", "100,0,30000,7,1,0,515", reduction, "whole") {
        #expect(report.texts["reduction"] == "mpi")
        #expect((report.numbers["largestError"] ?? .infinity) < Double(ranks) * Double(Float(32).ulp))
      }
    }

    @Test(
      "16 bits lose nothing in the long run, and all ranks keep the same parameters", arguments: [2, 4, 8],
      ["bfloat16", "float16"])
    func halves(ranks: Int, format: String) throws {
      func error(steps: Int) throws -> Double {
        let reports = try RankJob.reports(ranks: ranks, "half-wire", format, "\(steps)")
        #expect(Set(reports.compactMap { $0.texts["bits"] }).count == 1)
        return try #require(reports[0].numbers["relativeError"])
      }
      // One step is off by a few roundings of 8 or 11 bits; a hundred by no more in all, a hundredth of it each.
      let unit = format == "bfloat16" ? 0x1p-8 : 0x1p-11
      #expect(try error(steps: 1) < 2 * unit)
      #expect(try error(steps: 100) < 0.05 * unit)
    }

    @Test("state that each rank has a part of is gathered whole", arguments: [1, 2, 3, 4], ["fixedOrder", "mpi"])
    func state(ranks: Int, reduction: String) throws {
      let reports = try RankJob.reports(ranks: ranks, "gather-state", reduction)
      for report in reports {
        #expect((report.numbers["largestError"] ?? .infinity) < Double(ranks) * Double(Float(32).ulp))
      }
      #expect(reports.reduce(0) { $0 + ($1.numbers["ownedCount"] ?? 0) } == 1000)
    }

    @Test("no rank waits in a gather for another that has left it to compute", arguments: [2, 4])
    func leaving(ranks: Int) throws {
      let rounds = 5
      // 150 buckets: Open MPI puts its notices off where more than about a hundred are owed.
      let reports = try RankJob.reports(ranks: ranks, "gather-then-compute", "\(rounds)", "80000")
      for round in 0..<rounds - 1 {
        let last = try reports.map { try #require($0.numbers["returned\(round)"]) }.max()
        let next = try reports.map { try #require($0.numbers["begun\(round + 1)"]) }.min()
        #expect(try #require(last) < #require(next), "round \(round)")
      }
    }
  }
}

@Suite struct SingleRankReducerTests {
  @Test("with one rank the gradient stays as it is, and the rank owns all of it")
  func alone() throws {
    let gradient = FloatBuffer(count: 100)
    gradient.fill(2)
    let buckets = [64..<100, 0..<64]
    let reducer = try GradientReducer(
      communicator: try Communicator.start(environment: [:]), gradient: gradient, buckets: buckets)
    #expect(reducer.ownedRanges == buckets)
    for _ in 0..<2 {
      for bucket in buckets.indices { try reducer.begin(bucket: bucket) }
      try reducer.poll()
      try reducer.finish()
      try reducer.allGather(gradient)
    }
    #expect(reducer.bytesSent == 0)
    #expect(gradient.elements.allSatisfy { $0 == 2 })
  }

  @Test("only powers of two of ranks keep the fixed order", arguments: 1...9)
  func availability(rankCount: Int) {
    let isPowerOfTwo = [1, 2, 4, 8].contains(rankCount)
    #expect(Reduction.fixedOrder.available(rankCount: rankCount) == (isPowerOfTwo ? .fixedOrder : .mpi))
    #expect(Reduction.mpi.available(rankCount: rankCount) == .mpi)
  }
}
