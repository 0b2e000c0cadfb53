internal import Glibc
internal import Tensors

/// Reads a text file of limited size.
enum TextFile {
  /// The whole text of a file.
  ///
  /// - Parameter most: Most bytes that are read.
  /// - Throws: `InputError` if the file cannot be read, is longer, or is not UTF-8.
  static func read(_ path: String, most: Int) throws(InputError) -> String {
    guard let file = fopen(path, "re") else { throw InputError(systemFault: path, expected: "a readable file") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&block, 1, block.count, file)
      guard count > 0 else { break }
      bytes += block[..<count]
      guard bytes.count <= most else {
        throw InputError(path, found: "more than \(most) bytes", expected: "a shorter file")
      }
    }
    guard ferror(file) == 0 else { throw InputError(systemFault: path, expected: "a readable file") }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError(path, found: "bytes that are no UTF-8", expected: "text")
    }
    return text
  }
}
