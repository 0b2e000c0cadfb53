internal import CGif
internal import Foundation
public import Tensors

/// An endless animation as a GIF.
///
/// Colours are the 6 × 7 × 6 nearest ones, greys all 256: a GIF has no more.
public struct GIFAnimation {
  /// Columns of a frame.
  public let width: Int
  /// Rows of a frame.
  public let height: Int
  /// Whether frames are grey.
  public let isGrey: Bool
  private var frames: [(pixels: [UInt8], hundredths: Int)] = []

  /// An animation without frames.
  public init(width: Int, height: Int, isGrey: Bool) {
    self.width = width
    self.height = height
    self.isGrey = isGrey
  }

  /// Adds a frame.
  ///
  /// - Parameters:
  ///   - rgb: [height][width][3].
  ///   - hundredths: How long it is shown, in hundredths of a second.
  public mutating func append(_ rgb: [UInt8], hundredths: Int) {
    precondition(rgb.count == 3 * width * height, "a frame of another size")
    let pixels = (0..<width * height).map { pixel -> UInt8 in
      let (red, green, blue) = (Int(rgb[3 * pixel]), Int(rgb[3 * pixel + 1]), Int(rgb[3 * pixel + 2]))
      return isGrey
        ? rgb[3 * pixel] : UInt8((red * 5 + 127) / 255 * 42 + (green * 6 + 127) / 255 * 6 + (blue * 5 + 127) / 255)
    }
    frames.append((pixels, hundredths))
  }

  /// Writes the file, whole or not at all.
  ///
  /// - Throws: `InputError` where it cannot be written.
  public func write(to path: String) throws(InputError) {
    let encoded = Encoded()
    let fault = InputError(path, found: "\(frames.count) frames of \(width)×\(height)", expected: "what a GIF can hold")
    guard let file = EGifOpen(Unmanaged.passUnretained(encoded).toOpaque(), Self.append, nil) else { throw fault }
    EGifSetGifVersion(file, true)
    var colors = (0..<256).map { index -> GifColorType in
      let (red, green, blue) =
        isGrey ? (index, index, index) : (index / 42 * 51, index / 6 % 7 * 255 / 6, index % 6 * 51)
      return GifColorType(
        Red: GifByteType(min(255, red)), Green: GifByteType(min(255, green)), Blue: GifByteType(min(255, blue)))
    }
    let map = GifMakeMapObject(256, &colors)
    defer { GifFreeMapObject(map) }
    var isWhole = EGifPutScreenDesc(file, Int32(width), Int32(height), 8, 0, map) == GIF_OK
    // Netscape's extension: 1, then the number of repetitions, 0 for without end.
    isWhole = isWhole && EGifPutExtensionLeader(file, APPLICATION_EXT_FUNC_CODE) == GIF_OK
    isWhole = isWhole && EGifPutExtensionBlock(file, 11, "NETSCAPE2.0") == GIF_OK
    isWhole = isWhole && EGifPutExtensionBlock(file, 3, [1, 0, 0] as [UInt8]) == GIF_OK
    isWhole = isWhole && EGifPutExtensionTrailer(file) == GIF_OK
    for frame in frames {
      let control = [0, UInt8(frame.hundredths & 255), UInt8(frame.hundredths >> 8), 0]
      isWhole = isWhole && EGifPutExtension(file, GRAPHICS_EXT_FUNC_CODE, 4, control) == GIF_OK
      isWhole = isWhole && EGifPutImageDesc(file, 0, 0, Int32(width), Int32(height), false, nil) == GIF_OK
      var pixels = frame.pixels
      for row in 0..<height {
        isWhole =
          isWhole
          && pixels.withUnsafeMutableBufferPointer { buffer in
            EGifPutLine(file, buffer.baseAddress.map { $0 + row * width }, Int32(width)) == GIF_OK
          }
      }
    }
    isWhole = (EGifCloseFile(file, nil) == GIF_OK) && isWhole
    guard isWhole else { throw fault }
    try AtomicFile.write(encoded.bytes, to: path)
  }

  private final class Encoded {
    var bytes: [UInt8] = []
  }

  /// Takes a piece of the file from the library; the file's user data is an `Encoded`.
  private static let append: OutputFunc = { file, data, count in
    guard let encoded = file?.pointee.UserData, let data else { return 0 }
    Unmanaged<Encoded>.fromOpaque(encoded).takeUnretainedValue().bytes += UnsafeBufferPointer(
      start: data, count: Int(count))
    return count
  }
}
