internal import CCairo
internal import Foundation
internal import Tensors

/// A colour, each part from 0 to 1.
public struct Color: Equatable, Sendable {
  let red: Double
  let green: Double
  let blue: Double

  /// A colour from its parts, each from 0 to 1.
  public init(_ red: Double, _ green: Double, _ blue: Double) {
    (self.red, self.green, self.blue) = (red, green, blue)
  }

  /// Okabe and Ito's palette, which colour-blind readers can tell apart; in the order of use.
  public static let palette = [
    Color(0, 0.447, 0.698), Color(0.835, 0.369, 0), Color(0, 0.62, 0.451), Color(0.8, 0.475, 0.655),
    Color(0.337, 0.706, 0.914), Color(0.902, 0.624, 0),
  ]
  static let ink = Color(0.15, 0.15, 0.15)
  static let faint = Color(0.87, 0.87, 0.87)
  static let paper = Color(1, 1, 1)
}

/// What figures are drawn on: a thin, safe layer over a Cairo surface, in points from the upper left corner.
final class Canvas {
  enum Anchor { case left, center, right }

  let width: Double
  let height: Double
  private let surface: OpaquePointer
  private let context: OpaquePointer
  private let path: String
  private let isPDF: Bool
  /// What Cairo has written so far: only whole files go to the disk.
  private let encoded = Encoded()

  private final class Encoded {
    var bytes: [UInt8] = []
  }

  /// A canvas that will be written to `path`: a PDF where it ends in `.pdf`, else a PNG of `resolution` pixels a point.
  init(path: String, width: Double, height: Double, resolution: Double = 2, background: Color = .paper)
    throws(InputError)
  {
    self.path = path
    self.width = width
    self.height = height
    isPDF = path.hasSuffix(".pdf")
    let surface =
      isPDF
      ? cairo_pdf_surface_create_for_stream(Self.append, Unmanaged.passUnretained(encoded).toOpaque(), width, height)
      : cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, Int32((width * resolution).rounded()), Int32((height * resolution).rounded()))
    guard let surface, let context = cairo_create(surface), cairo_status(context) == CAIRO_STATUS_SUCCESS else {
      throw InputError(path, found: "\(Int(width))×\(Int(height)) points", expected: "a size that Cairo can draw")
    }
    self.surface = surface
    self.context = context
    if !isPDF { cairo_scale(context, resolution, resolution) }
    rectangle(x: 0, y: 0, width: width, height: height, background)
    cairo_select_font_face(context, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL)
  }

  deinit {
    cairo_destroy(context)
    cairo_surface_destroy(surface)
  }

  /// Takes a piece of the file from Cairo; `closure` is an `Encoded` that outlives the surface.
  private static let append: cairo_write_func_t = { closure, data, count in
    guard let closure, let data else { return CAIRO_STATUS_WRITE_ERROR }
    Unmanaged<Encoded>.fromOpaque(closure).takeUnretainedValue().bytes += UnsafeBufferPointer(
      start: data, count: Int(count))
    return CAIRO_STATUS_SUCCESS
  }

  /// Writes the file, whole or not at all.
  ///
  /// - Throws: `InputError` with the system's text.
  func finish() throws(InputError) {
    let status: cairo_status_t
    if isPDF {
      cairo_surface_finish(surface)
      status = cairo_surface_status(surface)
    } else {
      cairo_surface_flush(surface)
      status = cairo_surface_write_to_png_stream(
        surface, Self.append, Unmanaged.passUnretained(encoded).toOpaque())
    }
    guard status == CAIRO_STATUS_SUCCESS else {
      throw InputError(path, found: "cannot be drawn: \(String(cString: cairo_status_to_string(status)))")
    }
    try AtomicFile.write(encoded.bytes, to: path)
  }

  private func use(_ color: Color) { cairo_set_source_rgb(context, color.red, color.green, color.blue) }

  func rectangle(x: Double, y: Double, width: Double, height: Double, _ color: Color) {
    use(color)
    cairo_rectangle(context, x, y, width, height)
    cairo_fill(context)
  }

  func line(_ points: [(x: Double, y: Double)], _ color: Color, width: Double = 1.2, dashes: [Double] = []) {
    guard let first = points.first else { return }
    use(color)
    cairo_set_line_width(context, width)
    cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND)
    cairo_set_dash(context, dashes, Int32(dashes.count), 0)
    cairo_move_to(context, first.x, first.y)
    for point in points.dropFirst() { cairo_line_to(context, point.x, point.y) }
    cairo_stroke(context)
  }

  func dot(x: Double, y: Double, radius: Double, _ color: Color) {
    use(color)
    cairo_arc(context, x, y, radius, 0, 2 * Double.pi)
    cairo_fill(context)
  }

  /// What is drawn inside stays within the rectangle.
  func clipped(x: Double, y: Double, width: Double, height: Double, _ draw: () -> Void) {
    cairo_save(context)
    cairo_rectangle(context, x, y, width, height)
    cairo_clip(context)
    draw()
    cairo_restore(context)
  }

  /// Draws text on a baseline.
  func text(
    _ text: String, x: Double, y: Double, size: Double = 11, anchor: Anchor = .left, _ color: Color = .ink,
    turned: Bool = false
  ) {
    use(color)
    cairo_set_font_size(context, size)
    let width = textWidth(text, size: size)
    let shift =
      switch anchor {
      case .left: 0.0
      case .center: -width / 2
      case .right: -width
      }
    cairo_save(context)
    cairo_translate(context, x, y)
    if turned { cairo_rotate(context, -Double.pi / 2) }
    cairo_move_to(context, shift, 0)
    cairo_show_text(context, text)
    cairo_restore(context)
  }

  func textWidth(_ text: String, size: Double = 11) -> Double {
    cairo_set_font_size(context, size)
    var extents = cairo_text_extents_t()
    cairo_text_extents(context, text, &extents)
    return extents.x_advance
  }

  /// Draws pixels, each a square of `magnification` points, without smoothing.
  func pixels(_ rgb: [UInt8], columns: Int, rows: Int, x: Double, y: Double, magnification: Double) {
    let stride = Int(cairo_format_stride_for_width(CAIRO_FORMAT_RGB24, Int32(columns)))
    var data = [UInt8](repeating: 0, count: stride * rows)
    for row in 0..<rows {
      for column in 0..<columns {
        let pixel = 3 * (row * columns + column)
        let value = UInt32(rgb[pixel]) << 16 | UInt32(rgb[pixel + 1]) << 8 | UInt32(rgb[pixel + 2])
        withUnsafeBytes(of: value) { bytes in
          for (index, byte) in bytes.enumerated() { data[row * stride + column * 4 + index] = byte }
        }
      }
    }
    data.withUnsafeMutableBufferPointer { buffer in
      let image = cairo_image_surface_create_for_data(
        buffer.baseAddress, CAIRO_FORMAT_RGB24, Int32(columns), Int32(rows), Int32(stride))
      cairo_save(context)
      cairo_translate(context, x, y)
      cairo_scale(context, magnification, magnification)
      cairo_set_source_surface(context, image, 0, 0)
      cairo_pattern_set_filter(cairo_get_source(context), CAIRO_FILTER_NEAREST)
      cairo_paint(context)
      cairo_restore(context)
      cairo_surface_destroy(image)
    }
  }
}
