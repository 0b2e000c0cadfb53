/// How a run speaks to its user: rank 0's lines, its warnings, and a progress bar.
///
/// The trainer decides what is said; the command decides where it goes.
public struct RunConsole {
  /// Prints a line.
  public var line: (String) -> Void
  /// Prints a warning.
  public var warn: (String) -> Void
  /// Shows progress: a fraction of 1 and a text.
  public var progress: (Double, () -> String) -> Void

  /// Takes the three ways to speak.
  public init(
    line: @escaping (String) -> Void, warn: @escaping (String) -> Void,
    progress: @escaping (Double, () -> String) -> Void
  ) {
    self.line = line
    self.warn = warn
    self.progress = progress
  }

  /// Says nothing.
  public static var silent: RunConsole { RunConsole(line: { _ in }, warn: { _ in }, progress: { _, _ in }) }
}
