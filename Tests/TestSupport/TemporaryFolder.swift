import Foundation

/// A folder for a test's files, removed with everything in it when the test ends.
public final class TemporaryFolder {
  /// Where it is.
  public let path: String

  /// Makes a new, empty folder.
  public init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("dpm-tests-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in it, whether it exists or not.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file and gives its path.
  public func write(_ bytes: [UInt8], as name: String) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  /// Writes a text file and gives its path.
  public func write(_ text: String, as name: String) throws -> String { try write(Array(text.utf8), as: name) }

  /// The bytes of a file in it.
  public func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: file(name)))) }

  /// The text of a file in it.
  public func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }

  /// The names of what is in it or one of its subfolders, in alphabetical order.
  public func contents(of subfolder: String = ".") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: file(subfolder)).sorted()
  }
}
