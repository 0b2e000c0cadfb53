import Foundation
public import Tensors

/// Where results go.
public enum StandardOutput {
  /// Prints a text, and ends its line.
  ///
  /// - Throws: `InputError` with the system's text: a full disk, a reader that is gone.
  public static func print(_ text: String) throws(InputError) {
    try writeText(text + "\n", to: STDOUT_FILENO, path: "standard output")
  }
}

/// Where errors, warnings and the progress bar go; what cannot be said there is lost.
enum StandardError {
  static func write(_ text: String) { try? writeText(text, to: STDERR_FILENO, path: "standard error") }
}

private func writeText(_ text: String, to descriptor: Int32, path: String) throws(InputError) {
  let bytes = Array(text.utf8)
  try bytes.withUnsafeBufferPointer { bytes throws(InputError) in
    try writeAll(UnsafeRawBufferPointer(bytes), to: descriptor, path: path)
  }
}
