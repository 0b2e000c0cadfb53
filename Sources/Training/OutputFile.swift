internal import Foundation
internal import Tensors

/// Files that a command is asked to write.
enum OutputFile {
  /// Makes sure, before hours of work, that a file may be written.
  ///
  /// - Throws: `InputError` if it exists and may not be replaced, or its folder cannot be written.
  static func check(_ path: String, flag: String, overwrites: Bool) throws(InputError) {
    var status = stat()
    if lstat(path, &status) == 0 {
      guard status.st_mode & S_IFMT != S_IFDIR else {
        throw InputError(flag, found: "\(path), a folder", expected: "a file")
      }
      guard overwrites else {
        throw InputError(flag, found: "\(path), which exists", expected: "a new file, or --force to replace it")
      }
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    guard access(folder, W_OK) == 0 else {
      let fault = String(cString: strerror(errno)).lowercased()
      throw InputError(flag, found: "\(path): \(fault)", expected: "a folder that can be written")
    }
  }
}
