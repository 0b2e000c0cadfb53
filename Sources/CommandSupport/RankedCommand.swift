public import ArgumentParser
public import Collectives
import Foundation
import Tensors
import Training

/// A command that runs on every rank of a job: options in, one body, one exit status.
///
/// `--help` and `--version` are dealt with before MPI is started, and only rank 0 answers. Of mistakes in options the ranks
/// tell each other: those that all have made are told once, that of a single one with the rank and its host.
public protocol RankedCommand: ParsableCommand {
  /// What is made of the options before MPI starts.
  associatedtype Plan
  /// Turns options into a plan; throws what is wrong with them.
  func plan() throws -> Plan
  /// Longest wait of a rank in one operation before it ends the job.
  static func timeout(of plan: Plan) -> Duration
  /// Whether ranks must have been given the same options, word for word; not where `run` compares what they mean.
  static var comparesOptions: Bool { get }
  /// Does the work on one rank, together with the others.
  ///
  /// What it throws, all ranks throw (`Communicator.agree`); faults of a single rank's own end the job.
  ///
  /// - Returns: The exit status.
  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32
}

extension RankedCommand {
  /// A flag's seconds.
  ///
  /// - Throws: `InputError` where that is no time to wait.
  public static func timeout(seconds: Int) throws(InputError) -> Duration {
    guard 1...1_000_000 ~= seconds else {
      throw InputError("--timeout", found: "\(seconds)", expected: "from 1 to 1000000 seconds")
    }
    return .seconds(seconds)
  }

  /// They must: most commands are all in their options.
  public static var comparesOptions: Bool { true }

  /// Parses the command line, runs the command, and exits.
  public static func start() -> Never {
    let plan = Result(catching: planFromCommandLine)
    do {
      let communicator = try Communicator.start(timeout: (try? plan.get()).map(timeout) ?? .seconds(300))
      // A reader of the output that is gone is an error like a full disk; it must not end a rank in mid-work.
      signal(SIGPIPE, SIG_IGN)
      // So is a file that grows beyond the shell's limit.
      signal(SIGXFSZ, SIG_IGN)
      let status = try statusOfMistakes(in: plan, on: communicator) ?? runAgreeing(plan.get(), on: communicator)
      try communicator.finish()
      Foundation.exit(status)
    } catch {
      Terminal.report(error: "\(error)")
      Foundation.exit(ExitStatus.status(of: error))
    }
  }

  /// Deals with what needs no plan, such as help and version; throws mistakes.
  ///
  /// Of all ranks, 0 alone speaks.
  private static func planFromCommandLine() throws -> Plan {
    let silence = Communicator.launchedRank == 0 ? nil : Silence()
    defer { silence?.end() }
    do {
      var command = try parseAsRoot()
      if let own = command as? Self { return try own.plan() }
      // A built-in command, such as the one that writes completion scripts.
      try command.run()
      Foundation.exit(ExitStatus.success)
    } catch  where !(error is InputError) && exitCode(for: error) == .success {
      exit(withError: error)
    }
  }

  /// Has the lowest rank's mistake told, if there is any; collective.
  ///
  /// - Returns: The status to exit with, the same on all ranks; nil where no rank has made a mistake.
  private static func statusOfMistakes(in plan: Result<Plan, any Error>, on communicator: Communicator) throws -> Int32?
  {
    let mistakes = try communicator.gather(Array(mistake(in: plan)?.utf8 ?? "".utf8))
      .map { String(decoding: $0, as: UTF8.self) }
    guard let rank = mistakes.firstIndex(where: { !$0.isEmpty }) else { return nil }
    let status = mistakes[rank].prefix { $0 != " " }
    if communicator.isRankZero {
      if case .failure(let error) = plan, mistakes.allSatisfy({ $0 == mistakes[0] }) {
        report(error)
      } else {
        let text = mistakes[rank].dropFirst(status.count + 1)
        Terminal.report(error: "\(text) (rank \(rank) on \(communicator.topology.hosts[rank]))")
      }
    }
    return Int32(status) ?? ExitStatus.failure
  }

  /// The exit status of a mistake and what is wrong, in one line; nil where nothing is.
  private static func mistake(in plan: Result<Plan, any Error>) -> String? {
    guard case .failure(let error) = plan else { return nil }
    return error is InputError
      ? "\(ExitStatus.failure) \(error)"
      : "\(exitCode(for: error).rawValue) \(message(for: error).replacing("\n", with: " "))"
  }

  /// Says what is wrong with the command line; of flags with the usage below it.
  private static func report(_ error: any Error) {
    guard !(error is InputError) else { return Terminal.report(error: "\(error)") }
    StandardError.write("\(fullMessage(for: error))\n")
  }

  /// Runs the body; errors that all ranks share are told once, those of a single rank end the job.
  private static func runAgreeing(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    do {
      let options = [("the command line", CommandLine.arguments.dropFirst().joined(separator: " "))]
      try communicator.requireSameOnAllRanks([("version", DPM.build)] + (comparesOptions ? options : []))
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
