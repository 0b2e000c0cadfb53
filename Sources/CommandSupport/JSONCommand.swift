import Foundation

/// Another program that answers with a JSON object.
public enum JSONCommand {
  /// It ended badly, or printed no object.
  public struct Failure: Error {
    /// The line of what it printed that says most.
    public let reason: String

    fileprivate init(reason: String) { self.reason = reason }

    /// - Parameter lines: All that it printed.
    fileprivate init<Line: StringProtocol>(_ lines: [Line]) {
      // Python's last line is the one; Open MPI begins with it, below a rule, and may end with pages of advice; a
      // program's own stands above what Open MPI says of its end.
      let error = "error: "
      let isRule = { (line: Line) in line.hasPrefix("-----") }
      if let own = lines.first(where: { $0.hasPrefix(error) }) {
        reason = String(own.dropFirst(error.count))
      } else {
        // Its sentences are broken into lines.
        let launcher = lines.firstIndex(where: isRule).map { rule in
          lines[rule...].drop { !$0.contains(where: \.isLetter) }.prefix { $0.contains(where: \.isLetter) }
            .joined(separator: " ")
        }
        let text = launcher ?? lines.last { $0.contains(where: \.isLetter) }.map { "\($0)" } ?? ""
        reason = text.isEmpty ? "no output" : text + Self.advice(on: text)
      }
    }

    /// What helps against what Open MPI complains of.
    private static func advice(on text: String) -> String {
      if text.contains("run as root") {
        return " OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 in the environment allow it"
      }
      if text.contains("not enough slots") {
        return
          " mpirun's --oversubscribe, or OMPI_MCA_rmaps_base_oversubscribe=1 in the environment, allows more ranks than "
          + "cores or hosts' slots"
      }
      return ""
    }
  }

  /// The path of the running program, whatever it was called as.
  public static var ownPath: String {
    let link = "/proc/self/exe"
    return (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) ?? link
  }

  /// Ends a command when this process ends, whatever ends it: a job would else go on, and nobody would know of it.
  private static let endingWithParent: [String] = {
    // Of util-linux; others have no such flag.
    let words = ["setpriv", "--pdeathsig", "TERM", "env"]
    let trial = Process()
    trial.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    trial.arguments = words + ["true"]
    trial.standardError = FileHandle.nullDevice
    guard (try? trial.run()) != nil else { return [] }
    trial.waitUntilExit()
    return trial.terminationStatus == 0 ? words : []
  }()

  /// Runs a command, looked up in PATH, to its end.
  ///
  /// - Returns: The object on the last line that begins with a brace.
  /// - Throws: `Failure` where it ends with another status than 0 or there is no such line.
  public static func run(_ command: [String]) throws(Failure) -> [String: Any] {
    try start(command).object()
  }

  /// Starts a command whose answer is asked for later.
  ///
  /// - Throws: `Failure` where it cannot be started.
  public static func start(_ command: [String]) throws(Failure) -> Running {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = Self.endingWithParent + command
    // Both go into one pipe: with two, a program that fills the one that is not being read would wait for ever.
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    do { try process.run() } catch { throw Failure(reason: "\(error)") }
    return Running(process: process, output: output)
  }

  /// A command under way.
  public struct Running {
    fileprivate let process: Process
    fileprivate let output: Pipe

    /// Waits for its end, and reads its answer.
    ///
    /// - Throws: As `run`.
    public func object() throws(Failure) -> [String: Any] {
      let text = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      guard process.terminationStatus == 0, let line = lines.last(where: { $0.hasPrefix("{") }),
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      else {
        throw Failure(lines)
      }
      return object
    }
  }
}
