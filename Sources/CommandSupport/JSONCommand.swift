import Foundation

/// Another program that answers with a JSON object.
public enum JSONCommand {
  /// It ended badly, or printed no object.
  public struct Failure: Error {
    /// The last line of what it printed.
    public let lastLine: String
  }

  /// The path of the running program, whatever it was called as.
  public static var ownPath: String {
    let link = "/proc/self/exe"
    return (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) ?? link
  }

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
    process.arguments = command
    // Both go into one pipe: with two, a program that fills the one that is not being read would wait for ever.
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    do { try process.run() } catch { throw Failure(lastLine: "\(error)") }
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
      let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
      guard process.terminationStatus == 0, let line = lines.last(where: { $0.hasPrefix("{") }),
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      else {
        // Open MPI ends its messages with a rule.
        throw Failure(lastLine: lines.last { $0.contains(where: \.isLetter) }.map(String.init) ?? "no output")
      }
      return object
    }
  }
}
