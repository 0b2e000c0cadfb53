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

  /// A picture of given pixels.
  public init(width: Int, height: Int, rgb: [UInt8]) {
    precondition(width > 0 && height > 0 && rgb.count == 3 * width * height, "three bytes a pixel")
    self.width = width
    self.height = height
    self.rgb = rgb
  }

  /// Decodes a file, JPEG or PNG for example.
  ///
  /// Upright by its EXIF orientation; of 16 bits the upper 8; without its transparency; the first frame of an animation.
  ///
  /// - Throws: `InputError` with the file and the decoder's reason.
  public init(contentsOf path: String) throws(InputError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw InputError(path, found: String(cString: strerror(errno)).lowercased(), expected: "a picture")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw InputError(path, found: "a folder or device", expected: "a picture's file")
    }
    var decoded = cpicture()
    var reason = [CChar](repeating: 0, count: 256)
    guard cpicture_read(path, &decoded, &reason, Int32(reason.count)) == 0, let pixels = decoded.rgb else {
      let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      throw InputError(path, found: "no picture that can be decoded (\(text))", expected: "a JPEG or PNG")
    }
    defer { free(pixels) }
    width = Int(decoded.width)
    height = Int(decoded.height)
    rgb = Array(UnsafeBufferPointer(start: pixels, count: 3 * width * height))
  }

  /// The whole picture in the middle of a black square, scaled by a bicubic filter; itself where it fits already.
  public func fitted(toSquare side: Int) -> Picture {
    guard width != side || height != side else { return self }
    let scale = Double(side) / Double(max(width, height))
    let source = surface()
    var pixels = [UInt8](repeating: 0, count: side * side * 4)
    pixels.withUnsafeMutableBufferPointer { buffer in
      let target = cairo_image_surface_create_for_data(
        buffer.baseAddress, CAIRO_FORMAT_RGB24, Int32(side), Int32(side), Int32(4 * side))
      let context = cairo_create(target)
      let (columns, rows) = (Double(width) * scale, Double(height) * scale)
      cairo_rectangle(context, (Double(side) - columns) / 2, (Double(side) - rows) / 2, columns, rows)
      cairo_clip(context)
      cairo_translate(context, (Double(side) - columns) / 2, (Double(side) - rows) / 2)
      cairo_scale(context, scale, scale)
      cairo_set_source_surface(context, source.surface, 0, 0)
      cairo_pattern_set_filter(cairo_get_source(context), CAIRO_FILTER_BEST)
      // What lies beyond the picture's edge repeats it, or black would bleed in.
      cairo_pattern_set_extend(cairo_get_source(context), CAIRO_EXTEND_PAD)
      cairo_paint(context)
      cairo_destroy(context)
      cairo_surface_destroy(target)
    }
    cairo_surface_destroy(source.surface)
    source.data.deallocate()
    var rgb: [UInt8] = []
    for pixel in 0..<side * side {
      for channel in 0..<3 { rgb.append(pixels[4 * pixel + 2 - channel]) }
    }
    return Picture(width: side, height: side, rgb: rgb)
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

  private func surface() -> (surface: OpaquePointer?, data: UnsafeMutablePointer<UInt8>) {
    let data = UnsafeMutablePointer<UInt8>.allocate(capacity: 4 * width * height)
    for pixel in 0..<width * height {
      // Cairo's RGB24 is a native integer: blue first on little-endian machines.
      (data[4 * pixel], data[4 * pixel + 1]) = (rgb[3 * pixel + 2], rgb[3 * pixel + 1])
      (data[4 * pixel + 2], data[4 * pixel + 3]) = (rgb[3 * pixel], 255)
    }
    let surface = cairo_image_surface_create_for_data(
      data, CAIRO_FORMAT_RGB24, Int32(width), Int32(height), Int32(4 * width))
    return (surface, data)
  }
}
