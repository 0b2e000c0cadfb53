public import ArgumentParser
import Foundation
public import Tensors
public import Training

/// Where a command's lines, warnings and progress go: standard output, standard error, and a bar on it.
public final class Terminal {
  private var bar = ProgressBar()
  private let level: LogLevel
  private let areLinesKept: Bool
  /// Why a line could not be printed; of the first such line.
  private var fault: InputError?

  /// The process's own.
  ///
  /// - Parameter areLinesKept: Whether a file has the lines too: those that cannot be printed are then worth a warning, else
  ///   `requirePrinted` tells of them.
  public init(level: LogLevel = .info, areLinesKept: Bool = false) {
    self.level = level
    self.areLinesKept = areLinesKept
  }

  /// How a run speaks on this terminal.
  ///
  /// - Parameter printing: Whether lines are printed; not where standard output belongs to a result.
  public func console(printing: Bool = true) -> RunConsole {
    RunConsole(
      line: { [self] line in
        bar.clear()
        if printing && level >= .info { say(line) }
      },
      warn: { [self] text in warn(text) },
      progress: { [self] fraction, text in
        if level >= .info { bar.show(fraction, text()) }
      })
  }

  /// Makes sure that no line was lost.
  ///
  /// - Throws: `InputError` where one could not be printed.
  public func requirePrinted() throws(InputError) {
    if let fault { throw fault }
  }

  /// Removes the progress bar.
  public func clear() { bar.clear() }

  /// Says on standard error why the command ends.
  public static func report(error text: String) { write("error", .red, text) }

  private func say(_ line: String) {
    do throws(InputError) {
      try StandardOutput.print(line)
    } catch {
      if fault == nil && areLinesKept { warn("\(error); lines are missing there, and the run goes on") }
      fault = fault ?? error
    }
  }

  private func warn(_ text: String) {
    bar.clear()
    if level >= .warning { Self.write("warning", .yellow, text) }
  }

  private enum Style: String {
    case red = "1;31"
    case yellow = "33"
  }

  /// One write, so that lines of several ranks do not mix.
  private static func write(_ label: String, _ style: Style, _ text: String) {
    let shown = hasColors ? "\u{1B}[\(style.rawValue)m\(label):\u{1B}[0m" : "\(label):"
    StandardError.write("\(shown) \(text)\n")
  }

  /// Colours only where a terminal can show them and the user wants them (no-color.org).
  private static var hasColors: Bool {
    let environment = ProcessInfo.processInfo.environment
    return isatty(STDERR_FILENO) == 1 && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
  }
}

/// A flag in both of its spellings: `--data-dir` and `--data_dir`.
public func names(_ name: String) -> NameSpecification {
  [.customLong(name), .customLong(name.replacing("-", with: "_"))]
}
