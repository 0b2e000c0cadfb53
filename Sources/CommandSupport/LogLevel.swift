public import ArgumentParser

/// How much a command says; each level says all that the ones before it do.
public enum LogLevel: String, CaseIterable, ExpressibleByArgument, Sendable, Comparable {
  /// Nothing but what ends the command, and results.
  case error
  /// What may be wrong.
  case warning
  /// A line an epoch, and what a reader of the log wants to know.
  case info

  private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

  /// By how much is said.
  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }
}
