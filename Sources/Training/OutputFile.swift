internal import Foundation
public import Tensors

/// Files and folders that a command is asked to make.
public enum OutputFile {
  /// Makes sure, before hours of work, that a file or folder may be made.
  ///
  /// - Throws: `InputError` if it exists and may not be replaced, is of the other kind, or where it would lie cannot be
  ///   written.
  public static func check(
    _ path: String, isFolder: Bool = false, flag: String, overwrites: Bool
  ) throws(InputError) {
    if path.isEmpty { throw InputError(flag, found: "\"\"", expected: "a \(isFolder ? "folder" : "file")'s name") }
    var status = stat()
    if lstat(path, &status) == 0 {
      let isExistingFolder = status.st_mode & S_IFMT == S_IFDIR
      guard isExistingFolder == isFolder else {
        throw InputError(
          flag, found: "\(path), a \(isExistingFolder ? "folder" : "file")", expected: isFolder ? "a folder" : "a file")
      }
      let isEmpty = isFolder && (try? FileManager.default.contentsOfDirectory(atPath: path).isEmpty) == true
      guard overwrites || isEmpty else {
        throw InputError(
          flag, found: "\(path), which exists",
          expected: "a new \(isFolder ? "folder" : "file"), or --force to replace it")
      }
    } else if errno != ENOENT {
      throw InputError(
        flag, found: "\(path): \(String(cString: strerror(errno)).lowercased())", expected: "a name that can be")
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    guard access(folder, W_OK) == 0 else {
      let fault = String(cString: strerror(errno)).lowercased()
      throw InputError(flag, found: "\(path): \(fault)", expected: "a folder that can be written")
    }
  }

  /// Whether a folder lies there.
  static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }
}
