import Foundation
import TestSupport
import Testing

extension MultiProcessTests {
  @Suite struct WatchdogTests {
    @Test(
      "a rank that never comes ends the job with a line that says where, and names it",
      arguments: [
        (2, 1, "step", "rank 0 on ", "s in the gradient's reduction, for rank 1 on "),
        (2, 0, "step", "rank 1 on ", "s in the gradient's reduction, for rank 0 on "),
        (4, 3, "step", "rank 0 on ", "s in the gradient's reduction, for rank 3 on "),
        (3, 1, "barrier", "rank 0 on ", "s in a barrier, for rank 1 on "),
        (2, 1, "agreement", "rank 0 on ", "s in an agreement to load the data set, for rank 1 on "),
      ])
    func hang(ranks: Int, culprit: Int, place: String, who: String, what: String) throws {
      let result = try RankJob.failure(ranks: ranks, "hang", "\(culprit)", "2", place)
      let line = try #require(result.errors.split(separator: "\n").first { $0.hasPrefix("error: ") })
      #expect(line.hasPrefix("error: \(who)"), "\(line)")
      #expect(line.contains(what) && line.hasSuffix(", which waits for nobody; ending the job"), "\(line)")
      #expect(result.status == 75)
    }

    @Test(
      "a stopped rank ends the job with one line that names it, whoever waits for whom",
      arguments: [(2, 1), (3, 1), (4, 3), (2, 0)])
    func stoppedRank(ranks: Int, culprit: Int) throws {
      let (job, processes) = try RankJob.start(ranks: ranks, "hang", "-1", "3", "step")
      Thread.sleep(forTimeInterval: 0.5)
      kill(processes[culprit], SIGSTOP)
      let result = job.finish(timeout: 20)
      #expect(!result.isTimedOut)
      #expect(result.status == 75)
      let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
      #expect(lines.count == 1 && lines[0].hasPrefix("error: rank \(culprit == 0 ? 1 : 0) on "), "\(result.errors)")
      #expect(lines.first?.contains(", for rank \(culprit) on ") == true, "\(result.errors)")
      #expect(lines.first?.hasSuffix(", which does not answer; ending the job") == true, "\(result.errors)")
    }

    @Test("a job that was suspended as a whole goes on")
    func suspendedJob() throws {
      let (job, processes) = try RankJob.start(ranks: 2, "pause", "2", "1")
      for process in processes { kill(process, SIGSTOP) }
      Thread.sleep(forTimeInterval: 4)
      for process in processes { kill(process, SIGCONT) }
      let result = job.finish(timeout: 20)
      #expect(result.status == 0, "\(result.errors)")
    }

    @Test("the death of a rank ends the job", arguments: [(2, 0), (2, 1), (4, 3)])
    func death(ranks: Int, victim: Int) throws {
      let result = try RankJob.failure(ranks: ranks, "die", "\(victim)")
      #expect(result.errors.contains("rank \(victim)"))
    }

    @Test("a rank that aborts ends the job with its status", arguments: [0, 1])
    func abort(culprit: Int) throws {
      let result = try RankJob.failure(ranks: 2, "abort", "\(culprit)", "9")
      #expect(result.status == 9)
    }
  }
}
