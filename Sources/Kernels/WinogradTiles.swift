internal import CPlatform
import KernelInterface

// The transforms of one tile: those of WinogradAxes.swift along columns, then along rows.
//
// They take two passes, whose 8 × 8 vectors lie in the L1 cache between. Transforms to 64 points are bound by what they read
// there: two rows of a result at a time, which 32 registers hold, would read every column again for each pair.
// Transforms of 64 products to pixels are not, and take three rows at a time where registers hold them.

/// A transform of the tiles of a strip, one vector of lanes at a time.
protocol TileTransform {
  /// Transforms a tile of some height and width.
  ///
  /// - Parameters:
  ///   - channel: The tile's.
  ///   - pixel: Offset in the images from the strip's first pixel to the tile's.
  ///   - tile: Offset of the transformed tile at the first position.
  ///   - vectors: Two tiles to a vector where it holds more than their lanes, as many floats of the images apart.
  func apply<Rows: WinogradAxis, Columns: WinogradAxis, let lanes: Int>(
    channel: Int, pixel: Int, tile: Int, _ rows: Rows.Type, _ columns: Columns.Type, _ vectors: LaneVectors<lanes>)
}

/// Bᵀ x B.
struct InputTransform: TileTransform {
  let images: UnsafePointer<Float>
  let strip: WinogradStrip
  let transformed: UnsafeMutablePointer<Float>
  let positionStride: Int

  @inline(__always)
  func apply<Rows: WinogradAxis, Columns: WinogradAxis, let lanes: Int>(
    channel: Int, pixel: Int, tile: Int, _: Rows.Type, _: Columns.Type, _ vectors: LaneVectors<lanes>
  ) {
    let pixels = Pixels(first: images + pixel, rowStride: strip.rowStride)
    prefetch(
      pixels.moved(by: strip.planeStride), rows: Rows.points,
      columns: 1..<LaneVectors<lanes>.perVector * Columns.pixels + 1)
    storePoints(
      of: pixels, vectors, to: transformed + tile, positionStride, strip.scratch, Rows.Input.self,
      Columns.Input.self)
  }
}

/// A dy Aᵀ.
struct OutputAdjointTransform<Gradients: TileSource>: TileTransform {
  let gradients: Gradients
  let strip: WinogradStrip
  let transformed: UnsafeMutablePointer<Float>
  let positionStride: Int

  @inline(__always)
  func apply<Rows: WinogradAxis, Columns: WinogradAxis, let lanes: Int>(
    channel: Int, pixel: Int, tile: Int, _: Rows.Type, _: Columns.Type, _ vectors: LaneVectors<lanes>
  ) {
    prefetch(
      gradients.moved(by: pixel + strip.planeStride), rows: Rows.pixels,
      columns: 0..<LaneVectors<lanes>.perVector * Columns.pixels)
    storePoints(
      of: gradients.moved(by: pixel), vectors, to: transformed + tile, positionStride, strip.scratch,
      Rows.OutputAdjoint.self, Columns.OutputAdjoint.self)
  }
}

/// leakyReLU(Aᵀ m A + bias).
struct OutputTransform: TileTransform {
  let products: UnsafePointer<Float>
  let positionStride: Int
  let bias: UnsafePointer<Float>
  let images: UnsafeMutablePointer<Float>
  let strip: WinogradStrip

  @inline(__always)
  func apply<Rows: WinogradAxis, Columns: WinogradAxis, let lanes: Int>(
    channel: Int, pixel: Int, tile: Int, _ rows: Rows.Type, _ columns: Columns.Type, _ vectors: LaneVectors<lanes>
  ) {
    let bias = Vector(repeating: bias[channel])
    prefetch(
      Pixels(first: images + pixel + strip.planeStride, rowStride: strip.rowStride), rows: Rows.pixels,
      columns: 0..<LaneVectors<lanes>.perVector * Columns.pixels)
    #if VECTOR_WIDTH_16
      storeRows(tile, bias, to: images + pixel, vectors, rows, columns, Rows.evenOutputs)
      storeRows(tile, bias, to: images + pixel + strip.rowStride, vectors, rows, columns, Rows.oddOutputs)
    #else
      for j in 0..<Columns.points {
        let m = column(j, of: tile, rows)
        let (even, odd) = (Rows.evenOutputs(m), Rows.oddOutputs(m))
        storeColumn(
          [even[0], odd[0], even[1], odd[1], even[2], odd[2], Vector(), Vector()], count: Rows.pixels, j,
          to: strip.scratch)
      }
      for i in 0..<Rows.pixels {
        let row = loadRow(i, count: Columns.points, from: strip.scratch)
        storeRow(row, bias, to: images + pixel + i * strip.rowStride, vectors, columns)
      }
    #endif
  }

  #if VECTOR_WIDTH_16
    /// Stores every other row: those that `outputs` gives of each column.
    @inline(__always)
    private func storeRows<Rows: WinogradAxis, Columns: WinogradAxis, let lanes: Int>(
      _ tile: Int, _ bias: Vector, to pixels: UnsafeMutablePointer<Float>, _ vectors: LaneVectors<lanes>,
      _ rowAxis: Rows.Type, _ columns: Columns.Type, _ outputs: (Line) -> InlineArray<3, Vector>
    ) {
      var rows = InlineArray<3, Line>(repeating: Line(repeating: Vector()))
      for j in 0..<Columns.points {
        let y = outputs(column(j, of: tile, rowAxis))
        for i in 0..<Rows.pixels / 2 { rows[i][j] = y[i] }
      }
      for i in 0..<Rows.pixels / 2 { storeRow(rows[i], bias, to: pixels + 2 * i * strip.rowStride, vectors, columns) }
    }
  #endif

  /// Column `j` of the products.
  @inline(__always)
  private func column<Rows: WinogradAxis>(_ j: Int, of tile: Int, _: Rows.Type) -> Line {
    var m = Line(repeating: Vector())
    for i in 0..<Rows.points { m[i] = load(products + tile + (8 * i + j) * positionStride) }
    return m
  }

  /// Stores a row of pixels, of which the columns have been transformed.
  @inline(__always)
  private func storeRow<Columns: WinogradAxis, let lanes: Int>(
    _ row: Line, _ bias: Vector, to pixels: UnsafeMutablePointer<Float>, _ vectors: LaneVectors<lanes>,
    _: Columns.Type
  ) {
    let even = Columns.evenOutputs(row)
    let odd = Columns.oddOutputs(row)
    for j in 0..<Columns.pixels / 2 {
      vectors.setVector(leakyReLU(even[j] + bias), at: pixels + 2 * j * laneCount)
      vectors.setVector(leakyReLU(odd[j] + bias), at: pixels + (2 * j + 1) * laneCount)
    }
  }
}

/// Where a transform finds the vectors of a tile.
protocol TileSource {
  /// The vector in row `i`, column `j`.
  func vector<let lanes: Int>(_ i: Int, _ j: Int, _ vectors: LaneVectors<lanes>) -> Vector
  /// The same, as many floats further on.
  func moved(by offset: Int) -> Self
  /// Asks for the vector's cache line, for the L2 cache.
  func prefetch(_ i: Int, _ j: Int)
}

/// Vectors of images, 16 floats apart.
struct Pixels: TileSource {
  let first: UnsafePointer<Float>
  let rowStride: Int

  @inline(__always)
  func vector<let lanes: Int>(_ i: Int, _ j: Int, _ vectors: LaneVectors<lanes>) -> Vector {
    vectors.vector(at: first + i * rowStride + j * laneCount)
  }
  @inline(__always)
  func moved(by offset: Int) -> Pixels { Pixels(first: first + offset, rowStride: rowStride) }
  @inline(__always)
  func prefetch(_ i: Int, _ j: Int) { cvector_prefetch_to_second_level(first + i * rowStride + j * laneCount) }
}

/// Gradients behind the activation, times its derivative where its outputs were `activations`.
struct GradientBehindActivation: TileSource {
  let gradients: UnsafePointer<Float>
  let activations: UnsafePointer<Float>
  let rowStride: Int

  @inline(__always)
  func vector<let lanes: Int>(_ i: Int, _ j: Int, _ vectors: LaneVectors<lanes>) -> Vector {
    let offset = i * rowStride + j * laneCount
    return vectors.vector(at: gradients + offset) * leakyReLUDerivative(vectors.vector(at: activations + offset))
  }
  @inline(__always)
  func moved(by offset: Int) -> GradientBehindActivation {
    GradientBehindActivation(gradients: gradients + offset, activations: activations + offset, rowStride: rowStride)
  }
  @inline(__always)
  func prefetch(_ i: Int, _ j: Int) {
    let offset = i * rowStride + j * laneCount
    cvector_prefetch_to_second_level(gradients + offset)
    cvector_prefetch_to_second_level(activations + offset)
  }
}

/// Asks for the pixels that a tile of the next channel reads or writes: images are too large for the L2 cache, and come in
/// rows too short for a CPU to foresee.
@inline(__always)
func prefetch<Source: TileSource>(_ source: Source, rows: Int, columns: Range<Int>) {
  // With half the lanes at a time it takes as long as it saves.
  #if VECTOR_WIDTH_16
    for i in 0..<rows {
      for j in columns { source.prefetch(i, j) }
    }
  #endif
}

/// Stores a tile's transform at all its points, positions `positionStride` apart.
@inline(__always)
private func storePoints<Source: TileSource, Rows: PointTransform, Columns: PointTransform, let lanes: Int>(
  of source: Source, _ vectors: LaneVectors<lanes>, to result: UnsafeMutablePointer<Float>, _ positionStride: Int,
  _ scratch: UnsafeMutablePointer<Float>, _: Rows.Type, _ columns: Columns.Type
) {
  let rowStride = 8 * positionStride
  @inline(__always) func column(_ j: Int) -> Line {
    var x = Line(repeating: Vector())
    for i in 0..<Rows.count { x[i] = source.vector(i, j, vectors) }
    return x
  }
  for j in 0..<Columns.count { storeColumn(Rows.transform(column(j)), count: Rows.points, j, to: scratch) }
  for i in 0..<Rows.points {
    let row = loadRow(i, count: Columns.count, from: scratch)
    storeRow(row, to: result + i * rowStride, positionStride, columns)
  }
}

/// Stores the transform of a row, and asks for the cache lines of the tile after the next.
///
/// Stores to 64 positions are more streams than a CPU recognizes; they would wait for each line to come from L2 or L3.
@inline(__always)
private func storeRow<Columns: PointTransform>(
  _ row: Line, to result: UnsafeMutablePointer<Float>, _ positionStride: Int, _: Columns.Type
) {
  let points = Columns.transform(row)
  for j in 0..<Columns.points {
    store(points[j], to: result + j * positionStride)
    cvector_prefetch_to_write(result + j * positionStride + 2 * laneCount)
  }
}

/// Stores column `j` of the 8 × 8 vectors between the two passes.
@inline(__always)
private func storeColumn(_ column: Line, count: Int, _ j: Int, to scratch: UnsafeMutablePointer<Float>) {
  for i in 0..<count { store(column[i], to: scratch + (8 * i + j) * Vector.scalarCount) }
}

/// Row `i` of the 8 × 8 vectors between the two passes.
@inline(__always)
private func loadRow(_ i: Int, count: Int, from scratch: UnsafePointer<Float>) -> Line {
  var row = Line(repeating: Vector())
  for j in 0..<count { row[j] = load(scratch + (8 * i + j) * Vector.scalarCount) }
  return row
}
