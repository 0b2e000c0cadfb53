internal import CGif
internal import Foundation
public import Tensors

/// An endless animation as a GIF.
///
/// Grey frames have all 256 greys; others the nearest of 6 × 6 × 6 colours and 40 greys: a GIF has no more.
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
      let color = SIMD3(Int(rgb[3 * pixel]), Int(rgb[3 * pixel + 1]), Int(rgb[3 * pixel + 2]))
      return isGrey ? rgb[3 * pixel] : Self.nearest(to: color)
    }
    frames.append((pixels, hundredths))
  }

  /// Colours of the cube, each side 0, 51, … 255; the greys follow them.
  private static let cubeCount = 216
  private static let greyCount = 40

  private static let palette: [SIMD3<Int>] =
    (0..<cubeCount).map { SIMD3($0 / 36, $0 / 6 % 6, $0 % 6) &* 51 }
    + (0..<greyCount).map { SIMD3(repeating: $0 * 255 / (greyCount - 1)) }

  /// The number of a palette's colour.
  private static func nearest(to color: SIMD3<Int>) -> UInt8 {
    let side = (color &+ 25) / 51
    let inCube = side[0] * 36 + side[1] * 6 + side[2]
    let grey = cubeCount + (color.wrappedSum() * (greyCount - 1) + 382) / 765
    func distance(_ index: Int) -> Int {
      let difference = palette[index] &- color
      return (difference &* difference).wrappedSum()
    }
    return UInt8(distance(grey) < distance(inCube) ? grey : inCube)
  }

  /// Writes the file, whole or not at all.
  ///
  /// - Throws: `InputError` where it cannot be written.
  public func write(to path: String) throws(InputError) {
    let encoded = Encoded()
    let fault = InputError(path, found: "\(frames.count) frames of \(width)×\(height)", expected: "what a GIF can hold")
    guard let file = EGifOpen(Unmanaged.passUnretained(encoded).toOpaque(), Self.append, nil) else { throw fault }
    EGifSetGifVersion(file, true)
    var colors = (0..<256).map { index in
      let color = isGrey ? SIMD3(repeating: index) : Self.palette[index]
      return GifColorType(Red: GifByteType(color[0]), Green: GifByteType(color[1]), Blue: GifByteType(color[2]))
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
