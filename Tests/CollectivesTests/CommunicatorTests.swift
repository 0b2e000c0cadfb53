import Collectives
import TestSupport
import Testing

extension MultiProcessTests {
  @Suite struct CommunicatorTests {
    @Test("ranks know their number, their host and each other", arguments: [1, 2, 3, 4, 8])
    func topology(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "topology") {
        #expect(report.numbers["rankCount"] == Double(ranks))
        #expect(report.numbers["hostCount"] == 1)
        #expect(report.numbers["localRank"] == Double(report.rank))
        #expect(report.numbers["ranksOnHost"] == Double(ranks))
        #expect(report.texts["host"]?.isEmpty == false)
      }
    }

    @Test("every operation brings every rank's values to all ranks", arguments: [1, 2, 3, 4, 8])
    func exchange(ranks: Int) throws {
      let last = Double(ranks - 1)
      for report in try RankJob.reports(ranks: ranks, "exchange") {
        for root in 0..<ranks {
          #expect(report.texts["broadcast\(root)"] == "from \(root)")
          #expect(report.numbers["floats\(root)"] == Double(5 * root))
        }
        #expect(report.numbers["emptyCount"] == 0)
        #expect(report.numbers["sum"] == Double(ranks * (ranks - 1) / 2))
        #expect(report.numbers["quarters"] == Double(ranks) / 4)
        #expect(report.numbers["ones"] == Double(1000 * ranks))
        #expect(report.numbers["maximum"] == 10 * last)
        #expect(report.numbers["minimum"] == -5)
        #expect(report.numbers["realMaximum"] == last + 0.5)
        #expect(report.numbers["realMinimum"] == 0.5)
        let gathered = (0..<ranks).map { "\(Array(repeating: $0, count: $0))" }.joined(separator: " ")
        #expect(report.texts["gathered"] == gathered)
        #expect(report.texts["ranks"] == "\(Array(0..<ranks))")
      }
    }

    @Test("a launcher of another MPI is named, not mistaken for a job of one rank")
    func foreignLauncher() throws {
      let result = try run(
        try builtExecutable("rank-worker"), arguments: ["topology"],
        environment: ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"])
      #expect(result.status == 1)
      #expect(result.errors.contains("error: srun started 2 processes, but MPI sees 1 of them"))
    }
  }
}

@Suite struct SingleProcessTests {
  @Test("a process without launcher is one rank that gets back what it gives")
  func identity() throws {
    let communicator = try Communicator.start(environment: [:])
    #expect(communicator.rank == 0)
    #expect(communicator.rankCount == 1)
    #expect(communicator.topology.hostCount == 1)
    try communicator.barrier()
    #expect(try communicator.broadcast([1, 2], from: 0) == [1, 2])
    #expect(try communicator.sum([1.5]) == [1.5])
    #expect(try communicator.maximum(of: -3) == -3)
    #expect(try communicator.gather([9]) == [[9]])
    #expect(try communicator.gather(4) == [4])
    try communicator.requireSameOnAllRanks([("version", "1")])
    try communicator.finish()
    try communicator.finish()
  }

  @Test("a process without launcher throws its own errors from agreements")
  func ownErrors() throws {
    struct Mine: Error {}
    let communicator = try Communicator.start(environment: [:])
    #expect(throws: Mine.self) { try communicator.agree("try") { throw Mine() } }
    #expect(throws: Mine.self) { try communicator.onRankZero("try") { throw Mine() } }
    #expect(try communicator.agree("try") { 5 } == 5)
    #expect(try communicator.onRankZero("try") { 5 } == 5)
  }
}
