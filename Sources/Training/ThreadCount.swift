internal import Tensors

/// How many threads of a rank a command may be asked for.
enum ThreadCount {
  /// More than any host has cores.
  static let range = 1...1024

  /// - Throws: `InputError` where it is outside of the range; nil, which leaves it open, is not.
  static func check(_ threads: Int?) throws(InputError) {
    guard let threads, !range.contains(threads) else { return }
    throw InputError("--threads", found: "\(threads)", expected: "\(range.lowerBound) ... \(range.upperBound)")
  }
}
