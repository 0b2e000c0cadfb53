internal import Foundation
public import Tensors

/// Images in a near-square grid, in the data's own grey levels.
///
/// 0 is black and 1 is white in every figure; what lies beyond is clipped. Nothing is stretched, so that figures of
/// different epochs can be compared.
public struct ImageGrid: Sendable {
  /// Grey levels or colours, 0 for black to 255 for white: [count][C][H][W].
  public var levels: [UInt8]
  /// Colours C of an image: 1 (grey), 2 (red and green) or 3.
  public var colors: Int
  /// Width and height of an image.
  public var width: Int
  /// A line below the grid; empty for none.
  public var caption: String

  /// Images in a row; nil for a near-square grid.
  public var fixedColumns: Int?

  /// Collects images for a grid.
  ///
  /// - Parameter images: Grey levels or colours, 0 for black to 1 for white: [count][C][H][W].
  public init(images: [Float], colors: Int, width: Int, caption: String = "") {
    self.init(levels: images.map(Self.level(of:)), colors: colors, width: width, caption: caption)
  }

  /// Collects images for a grid.
  ///
  /// - Parameter levels: See the property.
  public init(levels: [UInt8], colors: Int, width: Int, caption: String = "") {
    precondition(levels.count.isMultiple(of: colors * width * width), "a grid shows whole images")
    self.levels = levels
    self.colors = colors
    self.width = width
    self.caption = caption
  }

  /// Images in the grid.
  public var count: Int { levels.count / (colors * width * width) }
  /// Images in a row: 7 for 49.
  public var columns: Int { fixedColumns ?? max(1, Int(Double(count).squareRoot().rounded(.up))) }
  /// Rows of images.
  public var rows: Int { max(1, (count + columns - 1) / columns) }
  /// Image pixels to one picture element, so that pictures are 500 to 800 wide where images are small, and wider ones, up to
  /// 1300, still large enough to be looked at.
  public var magnification: Int {
    let width = columns * (width + 1) + 1
    return max(1, 640 / width, min(3, 1300 / width))
  }

  /// The 8-bit level of a value: 0 → 0, ½ → 128, 1 → 255.
  public static func level(of value: Float) -> UInt8 {
    value.isFinite ? UInt8(min(255, max(0, (value * 255).rounded()))) : 0
  }

  /// The grid's pixels without its caption, magnified half as much as in a picture's file.
  public func pixels() -> (rgb: [UInt8], width: Int, height: Int) {
    let plain = unmagnified()
    let scale = max(1, magnification / 2)
    var rgb: [UInt8] = []
    rgb.reserveCapacity(plain.rgb.count * scale * scale)
    for row in 0..<plain.height {
      var line: [UInt8] = []
      for column in 0..<plain.width {
        let pixel = 3 * (row * plain.width + column)
        for _ in 0..<scale { line += plain.rgb[pixel..<pixel + 3] }
      }
      for _ in 0..<scale { rgb += line }
    }
    return (rgb, plain.width * scale, plain.height * scale)
  }

  private func unmagnified() -> (rgb: [UInt8], width: Int, height: Int) {
    let cell = width + 1
    let (across, down) = (columns * cell + 1, rows * cell + 1)
    // A neutral line between images: neither of the data's extremes.
    var rgb = [UInt8](repeating: 96, count: 3 * across * down)
    for image in 0..<count {
      let (row, column) = image.quotientAndRemainder(dividingBy: columns)
      for pixel in 0..<width * width {
        let place = 3 * ((row * cell + 1 + pixel / width) * across + column * cell + 1 + pixel % width)
        for channel in 0..<3 {
          let color = colors == 1 ? 0 : channel
          let index = (image * colors + color) * width * width + pixel
          rgb[place + channel] = color < colors ? levels[index] : 0
        }
      }
    }
    return (rgb, across, down)
  }

  /// Writes the grid as a PNG.
  ///
  /// - Throws: `InputError` where the file cannot be written.
  public func write(toPNG path: String) throws(InputError) {
    let margin = caption.isEmpty ? 0.0 : 24.0
    let scale = Double(magnification)
    let plain = unmagnified()
    let size = (width: Double(plain.width) * scale, height: Double(plain.height) * scale + margin)
    let canvas = try Canvas(path: path, width: size.width, height: size.height, resolution: 1)
    canvas.pixels(plain.rgb, columns: plain.width, rows: plain.height, x: 0, y: 0, magnification: scale)
    if !caption.isEmpty { canvas.text(caption, x: 6, y: size.height - 7, size: 12) }
    try canvas.finish()
  }

  /// Writes one image as a PNG of its own size, pixel for pixel.
  ///
  /// - Parameter levels: [C][H][W].
  /// - Throws: `InputError` where the file cannot be written.
  public static func write(_ levels: [UInt8], colors: Int, width: Int, toPNG path: String) throws(InputError) {
    let pixels = width * width
    let rgb = (0..<pixels).flatMap { pixel in
      (0..<3).map { channel in colors == 1 ? levels[pixel] : channel < colors ? levels[channel * pixels + pixel] : 0 }
    }
    let canvas = try Canvas(path: path, width: Double(width), height: Double(width), resolution: 1)
    canvas.pixels(rgb, columns: width, rows: width, x: 0, y: 0, magnification: 1)
    try canvas.finish()
  }
}
