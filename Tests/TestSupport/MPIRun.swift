import Foundation

/// What a process left behind.
public struct ProcessResult: Sendable {
  /// Exit status; 128 + number where a signal ended the process, as shells tell it.
  public let status: Int32
  /// Standard output.
  public let output: String
  /// Standard error.
  public let errors: String
  /// Whether it had to be killed because it took too long.
  public let isTimedOut: Bool
  /// How long it ran.
  public let seconds: Double

  /// Lines of the standard output that hold something.
  public var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// A process under test.
///
/// Its output goes to files: a pipe would stay open as long as any orphan of it lives.
public final class RunningProcess {
  private let process = Process()
  private let folder: URL
  private let start = ContinuousClock.now

  /// Starts `executable` (a path, or a name to look up in PATH) with `environment` in place of the caller's.
  public init(_ executable: String, arguments: [String], environment: [String: String]) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("dpm-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [executable] + arguments
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try Self.file(folder.appendingPathComponent("output"))
    process.standardError = try Self.file(folder.appendingPathComponent("errors"))
    try Self.withoutBlockedSignals { try process.run() }
  }

  /// Tests run on threads that block all signals, and a child would inherit that: nothing could stop it.
  private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
    var none = sigset_t()
    sigemptyset(&none)
    var blocked = sigset_t()
    pthread_sigmask(SIG_SETMASK, &none, &blocked)
    defer { pthread_sigmask(SIG_SETMASK, &blocked, nil) }
    try body()
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private static func file(_ url: URL) throws -> FileHandle {
    try Data().write(to: url)
    return try FileHandle(forWritingTo: url)
  }

  private func text(_ name: String) -> String {
    let data = (try? Data(contentsOf: folder.appendingPathComponent(name))) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  /// What it has written so far.
  public var output: String { text("output") }

  /// Its process number.
  public var identifier: Int32 { process.processIdentifier }

  /// Whether it has not ended.
  public var isRunning: Bool { process.isRunning }

  /// Sends it a signal.
  public func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Seconds are those of an idle machine; a busy one gets this many times as long before a test fails.
  private static let patience = 5.0

  /// Waits until `condition` holds for what it has written, it has ended, or `timeout` seconds are over.
  ///
  /// - Returns: Whether the condition holds.
  public func waits(until condition: (String) -> Bool, timeout: Double = 30) -> Bool {
    let start = ContinuousClock.now
    while !condition(output) {
      guard process.isRunning, start.duration(to: .now) < .seconds(Self.patience * timeout) else {
        return condition(output)
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
    return true
  }

  /// Waits for its end; after `timeout` seconds it gets SIGTERM, and 5 s later SIGKILL.
  public func finish(timeout: Double) -> ProcessResult {
    let isTimedOut = !hasEnded(within: Self.patience * timeout)
    if isTimedOut {
      process.terminate()
      if !hasEnded(within: 5) { send(SIGKILL) }
    }
    process.waitUntilExit()
    let isSignal = process.terminationReason == .uncaughtSignal
    return ProcessResult(
      status: isSignal ? 128 + process.terminationStatus : process.terminationStatus, output: output,
      errors: text("errors"), isTimedOut: isTimedOut, seconds: start.duration(to: .now) / .seconds(1))
  }

  private func hasEnded(within seconds: Double) -> Bool {
    let start = ContinuousClock.now
    while process.isRunning {
      guard start.duration(to: .now) < .seconds(seconds) else { return false }
      Thread.sleep(forTimeInterval: 0.01)
    }
    return true
  }
}

/// The environment for a process under test: the caller's without any launcher's variables, and `additions`.
///
/// Open MPI is told that tests may run as root (in containers), with more ranks than cores, and unbound.
public func testEnvironment(_ additions: [String: String] = [:]) -> [String: String] {
  let launchers = ["OMPI_", "PMIX_", "PMI_", "SLURM_", "MPI_LOCAL"]
  var environment = ProcessInfo.processInfo.environment.filter { name, _ in
    !launchers.contains { name.hasPrefix($0) }
  }
  environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
  environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
  environment["OMPI_MCA_rmaps_base_oversubscribe"] = "1"
  environment["OMPI_MCA_hwloc_base_binding_policy"] = "none"
  return environment.merging(additions) { $1 }
}

/// Runs a command to its end.
///
/// - Parameters:
///   - executable: A path, or a name to look up in PATH.
///   - arguments: Its arguments.
///   - environment: Variables to set besides the test environment.
///   - timeout: Seconds after which it is killed.
public func run(
  _ executable: String, arguments: [String] = [], environment: [String: String] = [:], timeout: Double = 60
) throws -> ProcessResult {
  try RunningProcess(executable, arguments: arguments, environment: testEnvironment(environment))
    .finish(timeout: timeout)
}

/// What starts ranks: the program that DPM_MPIRUN names (default: mpirun).
public let launcher = ProcessInfo.processInfo.environment["DPM_MPIRUN"] ?? "mpirun"

/// Starts `executable` on `ranks` ranks of this host.
public func startMPI(
  ranks: Int, _ executable: String, arguments: [String] = [], environment: [String: String] = [:]
) throws -> RunningProcess {
  try RunningProcess(
    launcher, arguments: ["-n", "\(ranks)", executable] + arguments, environment: testEnvironment(environment))
}

/// Runs `executable` to its end on `ranks` ranks of this host.
public func mpirun(
  ranks: Int, _ executable: String, arguments: [String] = [], environment: [String: String] = [:],
  timeout: Double = 60
) throws -> ProcessResult {
  try startMPI(ranks: ranks, executable, arguments: arguments, environment: environment).finish(timeout: timeout)
}

/// The path of an executable of this package: SwiftPM puts them into the folder of the test bundle.
public func builtExecutable(_ name: String) throws -> String {
  let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  let path = bundle.deletingLastPathComponent().appendingPathComponent(name).path
  guard FileManager.default.isExecutableFile(atPath: path) else {
    throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: path])
  }
  return path
}

/// The number of a process that has ended.
public func deadProcess() throws -> pid_t {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/bin/true")
  try process.run()
  process.waitUntilExit()
  return process.processIdentifier
}
