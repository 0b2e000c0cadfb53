internal import Foundation
internal import Tensors

/// The run folder's `train.log`: every line that was printed, with the time.
final class RunLog {
  private let file: FileHandle
  private let style = Date.ISO8601FormatStyle(timeZone: .current)

  /// Opens the log at its end.
  ///
  /// - Throws: `InputError` with the system's text.
  init(_ path: String) throws(InputError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw InputError(systemFault: path, expected: "a file that can be written") }
    file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  /// Appends a line; a full disk loses it, but does not stop the training.
  func append(_ line: String) {
    try? file.write(contentsOf: Data("\(Date().formatted(style)) \(line)\n".utf8))
  }
}
