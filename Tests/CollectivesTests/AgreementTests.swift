import Testing

extension MultiProcessTests {
  @Suite struct AgreementTests {
    @Test("when one rank fails, all throw its error and can go on together", arguments: 0..<4)
    func oneFails(rank: Int) throws {
      for report in try RankJob.reports(ranks: 4, "agree", "\(rank)", "input") {
        let error = try #require(report.texts["error"])
        #expect(error.hasPrefix("train-images: rank \(rank)'s (rank \(rank) on "))
        #expect(error.hasSuffix("), expected a file"))
        #expect(report.texts["type"] == "InputError")
        #expect(report.numbers["rankCount"] == 4)
      }
    }

    @Test("when several ranks fail, all throw the lowest one's error", arguments: [2, 3, 8])
    func severalFail(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "agree", "\(ranks - 1),1", "other") {
        let error = try #require(report.texts["error"])
        #expect(error.hasPrefix("cannot load the data set: mine (rank 1 on "))
        #expect(report.texts["type"] == "CollectiveError")
      }
    }

    @Test("when all ranks fail, no rank is accused")
    func allFail() throws {
      for report in try RankJob.reports(ranks: 2, "agree", "0,1", "input") {
        #expect(report.texts["error"] == "train-images: rank 0's, expected a file")
      }
    }

    @Test("when no rank fails, each has its own value", arguments: [1, 2, 3])
    func noneFails(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "agree", "99", "input") {
        #expect(report.numbers["value"] == Double(100 + report.rank))
      }
    }

    @Test("rank 0's own work succeeds or fails for all", arguments: [1, 2, 3])
    func rankZero(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "rank-zero", "no") {
        #expect(report.texts["value"] == (report.rank == 0 ? "7" : "none"))
      }
      for report in try RankJob.reports(ranks: ranks, "rank-zero", "yes") {
        #expect(report.texts["error"] == "output: read-only file system")
      }
    }
  }
}
