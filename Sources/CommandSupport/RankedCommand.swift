public import ArgumentParser
public import Collectives
import Foundation
import Tensors

/// A command that runs on every rank of a job: options in, one body, one exit status.
///
/// `--help`, `--version` and mistakes in options are dealt with before MPI is started, and only rank 0 tells of them.
public protocol RankedCommand: ParsableCommand {
  /// What is made of the options before MPI starts.
  associatedtype Plan
  /// Turns options into a plan; throws what is wrong with them.
  func plan() throws -> Plan
  /// Longest wait of a rank in one operation before it ends the job.
  static func timeout(of plan: Plan) -> Duration
  /// Does the work on one rank, together with the others.
  ///
  /// What it throws, all ranks throw (`Communicator.agree`); faults of a single rank's own end the job.
  ///
  /// - Returns: The exit status.
  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32
}

extension RankedCommand {
  /// Five minutes: longer than what one rank does while the others wait, but for very slow disks.
  public static func timeout(of plan: Plan) -> Duration { .seconds(300) }

  /// Parses the command line, runs the command, and exits.
  public static func start() -> Never {
    let plan = planFromCommandLine()
    do {
      let communicator = try Communicator.start(timeout: timeout(of: plan))
      // A reader of the output that is gone is an error like a full disk; it must not end a rank in mid-work.
      signal(SIGPIPE, SIG_IGN)
      let status = try runAgreeing(plan, on: communicator)
      try communicator.finish()
      Foundation.exit(status)
    } catch {
      Terminal.report(error: "\(error)")
      Foundation.exit(ExitStatus.status(of: error))
    }
  }

  /// Deals with what comes before MPI: help, version, mistakes.
  ///
  /// Of all ranks, 0 alone speaks.
  private static func planFromCommandLine() -> Plan {
    let silence = Communicator.launchedRank == 0 ? nil : Silence()
    defer { silence?.end() }
    do {
      var command = try parseAsRoot()
      guard let own = command as? Self else {
        // A built-in command, such as the one that writes completion scripts.
        try command.run()
        Foundation.exit(ExitStatus.success)
      }
      return try own.plan()
    } catch let error as InputError {
      Terminal.report(error: error.description)
      Foundation.exit(ExitStatus.failure)
    } catch {
      exit(withError: error)
    }
  }

  /// Runs the body; errors that all ranks share are told once, those of a single rank end the job.
  private static func runAgreeing(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    do {
      return try run(plan, on: communicator)
    } catch {
      let status = ExitStatus.status(of: error)
      if isShared(error) {
        if communicator.isRankZero { Terminal.report(error: "\(error)") }
        return status
      }
      Terminal.report(error: "rank \(communicator.rank) on \(communicator.host): \(error)")
      communicator.abort(status: status)
    }
  }

  /// Whether all ranks have thrown this.
  private static func isShared(_ error: any Error) -> Bool {
    switch error {
    case is InputError, is Stopped, CollectiveError.taskFailed, CollectiveError.ranksDiffer: true
    default: false
    }
  }
}

/// Standard output and error, closed for a while.
private struct Silence {
  private let output = dup(STDOUT_FILENO)
  private let errors = dup(STDERR_FILENO)

  init?() {
    let sink = open("/dev/null", O_WRONLY)
    guard sink >= 0 else { return nil }
    dup2(sink, STDOUT_FILENO)
    dup2(sink, STDERR_FILENO)
    close(sink)
  }

  func end() {
    dup2(output, STDOUT_FILENO)
    dup2(errors, STDERR_FILENO)
    close(output)
    close(errors)
  }
}
