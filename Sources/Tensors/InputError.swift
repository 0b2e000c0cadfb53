/// A user's mistake, told in one line: what is wrong, what was found there, what was expected.
///
/// Everything that comes from outside (files, keys, flags, checkpoints, the environment) is checked where it enters, and
/// its faults are thrown as this error. The commands print it after `error: ` and exit with status 1 on every rank.
public struct InputError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The file, key, flag or variable at fault, spelled as the user spelled it.
  public let subject: String
  /// What was found.
  public let found: String
  /// What would have been accepted; empty where there is nothing to choose.
  public let expected: String

  /// Describes a fault of `subject`.
  public init(_ subject: String, found: String, expected: String = "") {
    self.subject = subject
    self.found = found
    self.expected = expected
  }

  /// One line: `subject: found, expected …`.
  public var description: String {
    expected.isEmpty ? "\(subject): \(found)" : "\(subject): \(found), expected \(expected)"
  }
}

/// A file's name, or what a library says of it, as one line of text, whatever its bytes are.
public func printable(_ name: [UInt8]) -> String {
  String(decoding: name, as: UTF8.self).unicodeScalars.map { scalar in
    scalar.properties.generalCategory == .control ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
  }.joined()
}
