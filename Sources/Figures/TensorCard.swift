internal import Foundation

/// What a figure shows of one tensor: its numbers as a picture, and their distribution.
///
/// Made at once and small, so that the tensor may change while the figure is being drawn.
public struct TensorCard: Sendable {
  /// How a tensor's numbers become a picture.
  public enum Layout: Equatable, Sendable {
    /// [outputs, inputs, height, width]: a tile for each pair, a column for each output.
    case filters
    /// [rows, columns]; a vector is one row.
    case matrix
    /// [rows, colors·width·width], or [outputs, colors, width, width]: the first rows, as many as there is room for, each as the
    /// image that it is multiplied with.
    case images(colors: Int, width: Int)
  }

  let title: String
  let statistics: String
  let rgb: [UInt8]
  let columns: Int
  let rows: Int
  let histogram: [Double]
  let limit: Double

  /// Most picture elements of a side; of larger matrices every n-th row and column is shown.
  static let largestSide = 256
  private static let fineBins = 4096
  private static let bins = 64

  /// Looks at a tensor.
  ///
  /// - Parameters:
  ///   - values: Row-major, of this shape.
  public init(_ title: String, shape: [Int], values: UnsafeBufferPointer<Float>, layout: Layout? = nil) {
    precondition(values.count == shape.reduce(1, *) && !values.isEmpty, "a tensor has as many numbers as its shape")
    var (largest, squares, unfinite) = (Float(0), 0.0, 0)
    for value in values {
      guard value.isFinite else {
        unfinite += 1
        continue
      }
      largest = max(largest, abs(value))
      squares += Double(value) * Double(value)
    }
    let counts = Self.counts(values, largest: largest)
    let limit = Self.limit(counts, largest: Double(largest))
    self.limit = limit
    histogram = Self.histogram(counts, largest: Double(largest), limit: limit)
    let sizes = shape.map(String.init).joined(separator: "×")
    self.title = "\(title)  \(sizes)"
    let rms = (squares / Double(values.count)).squareRoot()
    statistics =
      "rms \(Self.text(rms))  largest \(Self.text(Double(largest)))  norm \(Self.text(squares.squareRoot()))"
      + (unfinite > 0 ? "  NOT FINITE: \(unfinite)" : "")
    let layout = layout ?? (shape.count == 4 ? .filters : .matrix)
    (rgb, columns, rows) = Self.picture(
      values, shape: shape, layout: layout, limit: max(Float(limit), .leastNonzeroMagnitude))
  }

  static func text(_ value: Double) -> String { String(format: "%.3g", value) }

  // MARK: - Distribution

  private static func counts(_ values: UnsafeBufferPointer<Float>, largest: Float) -> [Int] {
    var counts = [Int](repeating: 0, count: fineBins)
    guard largest > 0 else { return counts }
    // In double precision: twice a diverged parameter is beyond Float.
    let factor = Double(fineBins) / (2 * Double(largest))
    for value in values where value.isFinite {
      counts[min(fineBins - 1, max(0, Int((Double(value) + Double(largest)) * factor)))] += 1
    }
    return counts
  }

  /// The size that 99.8 % of the values stay below: a single outlier makes no pale picture.
  private static func limit(_ counts: [Int], largest: Double) -> Double {
    guard largest > 0 else { return 1 }
    var rest = counts.reduce(0, +) / 500
    var half = fineBins / 2
    while half > 1 {
      rest -= counts[fineBins / 2 - half] + counts[fineBins / 2 + half - 1]
      if rest < 0 { break }
      half -= 1
    }
    return largest * Double(half) / Double(fineBins / 2)
  }

  /// Shares of the values in equal parts of -limit … limit; what lies beyond counts at the ends.
  private static func histogram(_ counts: [Int], largest: Double, limit: Double) -> [Double] {
    var histogram = [Double](repeating: 0, count: bins)
    let total = Double(max(1, counts.reduce(0, +)))
    for (bin, count) in counts.enumerated() where count > 0 {
      let value = ((Double(bin) + 0.5) / Double(fineBins) * 2 - 1) * largest
      histogram[min(bins - 1, max(0, Int((value / limit + 1) / 2 * Double(bins))))] += Double(count) / total
    }
    return histogram
  }

  // MARK: - Picture

  /// Blue below zero, white at zero, vermilion above; grey where a number is not finite.
  static func color(_ value: Float, limit: Float) -> [UInt8] {
    guard value.isFinite else { return [120, 120, 120] }
    let strength = max(-1, min(1, value / limit))
    let end: [Float] = strength < 0 ? [0, 84, 148] : [191, 72, 0]
    return end.map { UInt8(255 + ($0 - 255) * abs(strength)) }
  }

  private static func picture(
    _ values: UnsafeBufferPointer<Float>, shape: [Int], layout: Layout, limit: Float
  ) -> (rgb: [UInt8], columns: Int, rows: Int) {
    switch layout {
    case .filters: filters(values, shape: shape, limit: limit)
    case .matrix:
      shape.count > 1 ? matrix(values, rows: shape[0], limit: limit) : vector(values, limit: limit)
    case .images(let colors, let width):
      images(values, count: shape[0], colors: colors, width: width, limit: limit)
    }
  }

  private static func matrix(
    _ values: UnsafeBufferPointer<Float>, rows: Int, limit: Float
  ) -> (rgb: [UInt8], columns: Int, rows: Int) {
    let columns = values.count / rows
    let down = (rows + largestSide - 1) / largestSide
    let across = (columns + largestSide - 1) / largestSide
    var rgb: [UInt8] = []
    for row in stride(from: 0, to: rows, by: down) {
      for column in stride(from: 0, to: columns, by: across) {
        rgb += color(values[row * columns + column], limit: limit)
      }
    }
    return (rgb, (columns + across - 1) / across, (rows + down - 1) / down)
  }

  /// One row, made high enough to be seen.
  private static func vector(
    _ values: UnsafeBufferPointer<Float>, limit: Float
  ) -> (rgb: [UInt8], columns: Int, rows: Int) {
    let row = matrix(values, rows: 1, limit: limit)
    let rows = max(1, row.columns / 24)
    return ((0..<rows).flatMap { _ in row.rgb }, row.columns, rows)
  }

  /// A white raster of tiles, one element apart.
  private static func tiles(
    across: Int, down: Int, width: Int, height: Int, pixel: (_ tile: Int, _ x: Int, _ y: Int) -> [UInt8]
  ) -> (rgb: [UInt8], columns: Int, rows: Int) {
    let (columns, rows) = (across * (width + 1) - 1, down * (height + 1) - 1)
    var rgb = [UInt8](repeating: 255, count: 3 * columns * rows)
    for tile in 0..<across * down {
      for y in 0..<height {
        for x in 0..<width {
          let place = 3 * ((tile / across * (height + 1) + y) * columns + tile % across * (width + 1) + x)
          for (channel, level) in pixel(tile, x, y).enumerated() { rgb[place + channel] = level }
        }
      }
    }
    return (rgb, columns, rows)
  }

  private static func filters(
    _ values: UnsafeBufferPointer<Float>, shape: [Int], limit: Float
  ) -> (rgb: [UInt8], columns: Int, rows: Int) {
    let (height, width) = (shape[2], shape[3])
    // A bank too large for the picture shows its first filters.
    let most = largestSide / (width + 1)
    let (outputs, inputs) = (min(shape[0], most), min(shape[1], most))
    return tiles(across: outputs, down: inputs, width: width, height: height) { tile, x, y in
      let filter = tile % outputs * shape[1] + tile / outputs
      return color(values[(filter * height + y) * width + x], limit: limit)
    }
  }

  private static func images(
    _ values: UnsafeBufferPointer<Float>, count: Int, colors: Int, width: Int, limit: Float
  ) -> (rgb: [UInt8], columns: Int, rows: Int) {
    let most = max(1, (largestSide + 1) / (width + 1))
    let across = min(most, max(1, Int(Double(count).squareRoot())))
    let pixels = width * width
    let down = min(most, (count + across - 1) / across)
    return tiles(across: across, down: down, width: width, height: width) { tile, x, y in
      guard tile < count else { return [255, 255, 255] }
      let first = tile * colors * pixels + y * width + x
      guard colors == 3 else { return color(values[first], limit: limit) }
      // A weight for each colour: mid-grey is zero.
      return (0..<3).map { channel in
        let value = values[first + channel * pixels]
        return value.isFinite ? UInt8(127.5 + 127.5 * max(-1, min(1, value / limit))) : 0
      }
    }
  }
}
