internal import Foundation
public import Tensors

/// Images in a near-square grid, in the data's own grey levels.
///
/// 0 is black and 1 is white in every figure; what lies beyond is clipped. Nothing is stretched, so that figures of
/// different epochs can be compared.
public struct ImageGrid: Sendable {
  /// Grey levels or colours, 0 … 1: [count][C][H][W].
  public var images: [Float]
  /// Colours C of an image: 1 (grey), 2 (red and green) or 3.
  public var colors: Int
  /// Width and height of an image.
  public var width: Int
  /// A line below the grid; empty for none.
  public var caption: String

  /// Collects images for a grid.
  public init(images: [Float], colors: Int, width: Int, caption: String = "") {
    precondition(images.count.isMultiple(of: colors * width * width), "a grid shows whole images")
    self.images = images
    self.colors = colors
    self.width = width
    self.caption = caption
  }

  /// Images in the grid.
  public var count: Int { images.count / (colors * width * width) }
  /// Images in a row: 7 for 49.
  public var columns: Int { max(1, Int(Double(count).squareRoot().rounded(.up))) }
  /// Rows of images.
  public var rows: Int { max(1, (count + columns - 1) / columns) }
  /// Image pixels to one picture element, so that pictures are 500 to 800 wide where images are small.
  public var magnification: Int { max(1, 640 / (columns * (width + 1) + 1)) }

  /// The 8-bit level of a value: 0 → 0, ½ → 128, 1 → 255.
  public static func level(of value: Float) -> UInt8 {
    value.isFinite ? UInt8(min(255, max(0, (value * 255).rounded()))) : 0
  }

  /// Writes the grid as a PNG.
  ///
  /// - Throws: `InputError` where the file cannot be written.
  public func write(toPNG path: String) throws(InputError) {
    let cell = width + 1
    let (across, down) = (columns * cell + 1, rows * cell + 1)
    let margin = caption.isEmpty ? 0.0 : 24.0
    let scale = Double(magnification)
    // A neutral line between images: neither of the data's extremes.
    var rgb = [UInt8](repeating: 96, count: 3 * across * down)
    for image in 0..<count {
      let (row, column) = image.quotientAndRemainder(dividingBy: columns)
      for pixel in 0..<width * width {
        let place = 3 * ((row * cell + 1 + pixel / width) * across + column * cell + 1 + pixel % width)
        for channel in 0..<3 {
          let color = colors == 1 ? 0 : channel
          let index = (image * colors + color) * width * width + pixel
          rgb[place + channel] = color < colors ? Self.level(of: images[index]) : 0
        }
      }
    }
    let size = (width: Double(across) * scale, height: Double(down) * scale + margin)
    let canvas = try Canvas(path: path, width: size.width, height: size.height, resolution: 1)
    canvas.pixels(rgb, columns: across, rows: down, x: 0, y: 0, magnification: scale)
    if !caption.isEmpty { canvas.text(caption, x: 6, y: size.height - 7, size: 12) }
    try canvas.finish()
  }
}
