internal import Foundation
public import Tensors

/// Lengths of time as people write them.
public enum ClockTime {
  /// A length of time from numbers with units, such as `1h30m`, `90m` or `2d`.
  ///
  /// - Parameter subject: The flag, as errors name it.
  /// - Throws: `InputError` unless the text is days, hours, minutes and seconds, in this order, and more than nothing.
  public static func duration(_ text: String, subject: String) throws(InputError) -> Duration {
    let match = text.wholeMatch(of: /(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?/)
    let parts = match.map { [($0.1, 86400), ($0.2, 3600), ($0.3, 60), ($0.4, 1)] } ?? []
    let seconds = parts.reduce(0) { sum, part in sum + (part.0.flatMap { Int($0) } ?? 0) * part.1 }
    guard seconds > 0 else {
      throw InputError(subject, found: "\"\(text.prefix(40))\"", expected: "a time, as in 1h30m, 90m or 45s")
    }
    return .seconds(seconds)
  }

  /// `h:mm:ss` or `m:ss`.
  static func text(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
  }
}
