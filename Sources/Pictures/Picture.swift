internal import CCairo
internal import CPicture
internal import Foundation
public import Tensors

/// A decoded picture: red, green and blue, 8 bits each.
public struct Picture: Sendable {
  /// Columns.
  public let width: Int
  /// Rows.
  public let height: Int
  /// [height][width][3].
  public let rgb: [UInt8]
  /// Whether what was decoded could be seen through somewhere.
  public let isTransparent: Bool

  /// A picture of given pixels.
  public init(width: Int, height: Int, rgb: [UInt8]) {
    precondition(width > 0 && height > 0 && rgb.count == 3 * width * height, "three bytes a pixel")
    self.width = width
    self.height = height
    self.rgb = rgb
    isTransparent = false
  }

  /// Decodes a file, JPEG or PNG for example.
  ///
  /// Upright by its EXIF orientation; of 16 bits the upper 8; without its transparency; the first frame of an animation.
  ///
  /// - Throws: `InputError` with the file and the decoder's reason.
  public init(contentsOf path: String) throws(InputError) {
    try self.init(contentsOf: path.utf8CString.map { $0 }, named: path)
  }

  /// Decodes a file whose name may be no text.
  ///
  /// - Parameters:
  ///   - path: Its path, with a zero at the end.
  ///   - name: What errors call it.
  /// - Throws: `InputError` with `name` and the reason: no such file, no picture, cut short, of more than 2²⁷ pixels.
  public init(contentsOf path: [CChar], named name: String) throws(InputError) {
    try Self.requireWhole(path, name)
    var decoded = cpicture()
    var reason = [CChar](repeating: 0, count: 256)
    guard cpicture_read(path, &decoded, &reason, Int32(reason.count)) == 0, let pixels = decoded.rgb else {
      var text = printable(reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
      // The decoder's reason begins with the file's name, which the error has already.
      if let end = text.range(of: "”: ", options: .backwards) { text.removeSubrange(..<end.upperBound) }
      throw InputError(name, found: "no picture that can be decoded (\(text))", expected: "a JPEG or PNG")
    }
    defer { free(pixels) }
    width = Int(decoded.width)
    height = Int(decoded.height)
    rgb = Array(UnsafeBufferPointer(start: pixels, count: 3 * width * height))
    isTransparent = decoded.is_transparent != 0
  }

  private static func requireWhole(_ path: [CChar], _ name: String) throws(InputError) {
    // Not blocking: what is called a picture may be a pipe.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw InputError(systemFault: name, expected: "a picture") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw InputError(name, found: "a folder or device", expected: "a picture's file")
    }
    guard status.st_size > 0 else { throw InputError(name, found: "an empty file", expected: "a JPEG or PNG") }
    guard let start = mmap(nil, Int(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
      throw InputError(systemFault: name)
    }
    defer { munmap(start, Int(status.st_size)) }
    guard !PictureEnd.isMissing(UnsafeRawBufferPointer(start: start, count: Int(status.st_size))) else {
      throw InputError(name, found: "a picture that is cut short", expected: "a whole JPEG or PNG")
    }
  }

  /// The negative: white for black.
  public func inverted() -> Picture { Picture(width: width, height: height, rgb: rgb.map { 255 - $0 }) }

  /// As a data set has it, [C][H][W]: grey by the weights of ITU-R BT.601 for one colour.
  public func elements(colors: Int) -> [UInt8] {
    let pixels = 0..<width * height
    guard colors == 1 else { return (0..<colors).flatMap { color in pixels.map { rgb[3 * $0 + color] } } }
    return pixels.map { pixel in
      let (red, green, blue) = (Int(rgb[3 * pixel]), Int(rgb[3 * pixel + 1]), Int(rgb[3 * pixel + 2]))
      return UInt8((299 * red + 587 * green + 114 * blue + 500) / 1000)
    }
  }
}
