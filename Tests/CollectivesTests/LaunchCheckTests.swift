import Testing

@testable import Collectives

extension MultiProcessTests {
  @Suite struct LaunchCheckRunTests {
    @Test("a rank that was started with something else is named on all ranks")
    func differs() throws {
      for report in try RankJob.reports(ranks: 3, "launch-check", "1a2b", "9f00", "1a2b") {
        let error = try #require(report.texts["error"])
        #expect(error.hasPrefix("configuration differs between ranks: 1a2b on ranks 0, 2 ("))
        #expect(error.contains("9f00 on rank 1 ("))
        #expect(!error.contains("version"))
      }
    }

    @Test("a rank that does not know a name of the others is named too")
    func lacks() throws {
      for report in try RankJob.reports(ranks: 2, "launch-check", "-", "9f00") {
        #expect(
          report.texts["error"]?.hasPrefix("configuration differs between ranks: nothing on rank 0 (") == true)
        #expect(report.texts["error"]?.contains("9f00 on rank 1 (") == true)
      }
    }

    @Test("parameters that differ in one bit are noticed, and the rank is named")
    func parameters() throws {
      for report in try RankJob.reports(ranks: 3, "parameters-check", "1") {
        let error = try #require(report.texts["error"])
        #expect(error.hasPrefix("the parameters' digest differs between ranks: "))
        #expect(error.contains(" on ranks 0, 2 (") && error.contains(" on rank 1 ("))
      }
      for report in try RankJob.reports(ranks: 2, "parameters-check", "9") { #expect(report.texts["error"] == nil) }
    }

    @Test("ranks that were started with the same things pass", arguments: [1, 2])
    func same(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "launch-check", "1a2b", "1a2b") {
        #expect(report.texts["error"] == nil)
      }
    }
  }
}

@Suite struct LaunchCheckTests {
  @Test("many ranks and hosts are abbreviated")
  func abbreviation() {
    let hosts = (0..<8).map { "node\($0)" }
    let difference = Communicator.difference(
      of: "data", values: ["a", "b", "a", "a", "a", "a", "b", "a"],
      topology: Topology(hosts: hosts, hostLeaders: Array(0..<8)))
    #expect(
      difference == "data differs between ranks: a on ranks 0, 2-5, 7 (node0, node2, node3 and 3 more hosts), "
        + "b on ranks 1, 6 (node1, node6)")
  }
}
