public import ArgumentParser
import Foundation
public import Training

/// Where a command's lines, warnings and progress go: standard output, standard error, and a bar on it.
public final class Terminal {
  private var bar = ProgressBar()

  /// The process's own.
  public init() {}

  /// How a run speaks on this terminal.
  ///
  /// - Parameter printing: Whether lines are printed; not where standard output belongs to a result.
  public func console(printing: Bool = true) -> RunConsole {
    RunConsole(
      line: { [self] line in
        bar.clear()
        if printing { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }
      },
      warn: { [self] text in
        bar.clear()
        FileHandle.standardError.write(Data("warning: \(text)\n".utf8))
      },
      progress: { [self] fraction, text in bar.show(fraction, text()) })
  }

  /// Removes the progress bar.
  public func clear() { bar.clear() }
}

/// A flag in both of its spellings: `--data-dir` and `--data_dir`.
public func names(_ name: String) -> NameSpecification {
  [.customLong(name), .customLong(name.replacing("-", with: "_"))]
}
