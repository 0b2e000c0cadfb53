import Collectives
import Foundation
import TestSupport
import Testing

extension MultiProcessTests {
  @Suite struct StopRequestTests {
    @Test("a signal to any one rank stops all after the same step", arguments: StopSignal.allCases, [0, 1])
    func oneRank(signal: StopSignal, rank: Int) throws {
      let (job, processes) = try RankJob.start(ranks: 2, "stop")
      kill(processes[rank], signal.number)
      let result = job.finish(timeout: 20)
      #expect(result.status == 0, "\(result.errors)")
      let last = try RankJob.reports(in: result.output).filter { $0.texts["signal"] != nil }
      #expect(last.count == 2)
      #expect(last.allSatisfy { $0.texts["signal"] == signal.description })
      #expect(Set(last.map { $0.numbers["steps"] }).count == 1)
    }

    @Test("what mpirun forwards stops all ranks", arguments: [StopSignal.user1, .user2])
    func launcher(signal: StopSignal) throws {
      let (job, _) = try RankJob.start(ranks: 2, "stop")
      job.send(signal.number)
      let result = job.finish(timeout: 20)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output.contains(signal.description))
    }

    @Test("a second SIGINT ends a process that does not stop")
    func secondInterrupt() throws {
      let process = try RunningProcess(
        try builtExecutable("rank-worker"), arguments: ["ignore-stop"], environment: testEnvironment())
      try #require(process.waits { $0.contains("\n") })
      for signal in [SIGUSR1, SIGTERM] { process.send(signal) }
      Thread.sleep(forTimeInterval: 0.2)
      #expect(process.isRunning)
      process.send(SIGINT)
      Thread.sleep(forTimeInterval: 0.2)
      process.send(SIGINT)
      let result = process.finish(timeout: 10)
      #expect(!result.isTimedOut)
      #expect(result.status == 128 + SIGINT)
    }
  }
}
