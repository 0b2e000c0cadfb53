internal import CPlatform
public import KernelInterface

// Winograd's convolution in two dimensions: the transforms of WinogradAxes.swift along columns, then along rows,
//
//     output = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ x B)]A
//
// and the backward pass is the adjoint of each of the three steps: with dM = A dy Aᵀ, both gradients come from it:
// dx = B[Uᵀ dM]Bᵀ and dU = dM ⊙ (Bᵀ x B), summed over tiles. So dy is transformed once.
//
// All but the input's adjoint work on two or three rows of a result at a time: more would not stay in 32 registers. With 16, the
// input and the outputs' adjoint take two passes, whose 8 × 8 vectors lie in the L1 cache between.

/// Stores a row of a transformed tile, and asks for the cache lines of the tile after the next.
///
/// Stores to 64 positions are more streams than a CPU recognizes; they would wait for each line to come from L2 or L3.
@inline(__always)
private func storeRow<Columns: WinogradAxis>(
  _ row: Line, to result: UnsafeMutablePointer<Float>, _ positionStride: Int, _: Columns.Type
) {
  for j in 0..<Columns.points {
    store(row[j], to: result + j * positionStride)
    cvector_prefetch_to_write(result + j * positionStride + 2 * laneCount)
  }
}

#if REGISTERS_32
  /// Two rows of Bᵀ x B of one tile: those that `pair` gives of each column.
  @inline(__always)
  private func inputRows<Columns: WinogradAxis>(
    _ pixels: UnsafePointer<Float>, _ rowStride: Int, heights: Int, to first: UnsafeMutablePointer<Float>,
    _ second: UnsafeMutablePointer<Float>, _ positionStride: Int, _ columns: Columns.Type, _ pair: (Line) -> Pair
  ) {
    var rows = InlineArray<2, Line>(repeating: Line(repeating: Vector()))
    for j in 0..<Columns.points {
      var x = Line(repeating: Vector())
      for i in 0..<heights { x[i] = load(pixels + i * rowStride + j * laneCount) }
      let y = pair(x)
      rows[0][j] = y[0]
      rows[1][j] = y[1]
    }
    storeRow(Columns.input(rows[0]), to: first, positionStride, columns)
    storeRow(Columns.input(rows[1]), to: second, positionStride, columns)
  }
#else
  /// Stores column `j` of the 8 × 8 vectors between the two passes.
  @inline(__always)
  private func storeColumn(_ column: Line, points: Int, _ j: Int, to scratch: UnsafeMutablePointer<Float>) {
    for i in 0..<points { store(column[i], to: scratch + (8 * i + j) * Vector.scalarCount) }
  }

  /// Row `i` of the 8 × 8 vectors between the two passes.
  @inline(__always)
  private func loadRow(_ i: Int, count: Int, from scratch: UnsafePointer<Float>) -> Line {
    var row = Line(repeating: Vector())
    for j in 0..<count { row[j] = load(scratch + (8 * i + j) * Vector.scalarCount) }
    return row
  }
#endif

/// Bᵀ x B of one tile.
@inline(__always)
private func inputTile<Rows: WinogradAxis, Columns: WinogradAxis>(
  _ pixels: UnsafePointer<Float>, _ rowStride: Int, to result: UnsafeMutablePointer<Float>, _ positionStride: Int,
  _ scratch: UnsafeMutablePointer<Float>, _: Rows.Type, _ columns: Columns.Type
) {
  #if REGISTERS_32
    let row = 8 * positionStride
    let heights = Rows.points
    inputRows(
      pixels, rowStride, heights: heights, to: result, result + 5 * row, positionStride, columns, Rows.inputAtEnds)
    inputRows(
      pixels, rowStride, heights: heights, to: result + row, result + 2 * row, positionStride, columns, Rows.inputAtOnes
    )
    inputRows(
      pixels, rowStride, heights: heights, to: result + 3 * row, result + 4 * row, positionStride, columns,
      Rows.inputAtTwos)
    if heights == 8 {
      inputRows(
        pixels, rowStride, heights: heights, to: result + 6 * row, result + 7 * row, positionStride, columns,
        Rows.inputAtHalves)
    }
  #else
    for j in 0..<Columns.points {
      var x = Line(repeating: Vector())
      for i in 0..<Rows.points { x[i] = load(pixels + i * rowStride + j * laneCount) }
      storeColumn(Rows.input(x), points: Rows.points, j, to: scratch)
    }
    for i in 0..<Rows.points {
      let row = loadRow(i, count: Columns.points, from: scratch)
      storeRow(Columns.input(row), to: result + 8 * i * positionStride, positionStride, columns)
    }
  #endif
}

/// Every other row of leakyReLU(Aᵀ m A + bias) of one tile: those that `outputs` gives of each column.
@inline(__always)
private func outputRows<Rows: WinogradAxis, Columns: WinogradAxis>(
  _ products: UnsafePointer<Float>, _ positionStride: Int, bias: Vector, to pixels: UnsafeMutablePointer<Float>,
  _ rowStride: Int, _: Rows.Type, _: Columns.Type, _ outputs: (Line) -> InlineArray<3, Vector>
) {
  var rows = InlineArray<3, Line>(repeating: Line(repeating: Vector()))
  for j in 0..<Columns.points {
    var m = Line(repeating: Vector())
    for i in 0..<Rows.points { m[i] = load(products + (8 * i + j) * positionStride) }
    let y = outputs(m)
    for i in 0..<Rows.pixels / 2 { rows[i][j] = y[i] }
  }
  for i in 0..<Rows.pixels / 2 {
    let even = Columns.evenOutputs(rows[i])
    let odd = Columns.oddOutputs(rows[i])
    let row = pixels + 2 * i * rowStride
    for j in 0..<Columns.pixels / 2 {
      store(leakyReLU(even[j] + bias), to: row + 2 * j * laneCount)
      store(leakyReLU(odd[j] + bias), to: row + (2 * j + 1) * laneCount)
    }
  }
}

#if REGISTERS_32
  /// Two rows of A dy Aᵀ of one tile: those that `pair` gives of each column.
  @inline(__always)
  private func outputAdjointRows<Columns: WinogradAxis>(
    _ gradients: UnsafePointer<Float>, heights: Int, to first: UnsafeMutablePointer<Float>,
    _ second: UnsafeMutablePointer<Float>, _ positionStride: Int, _ columns: Columns.Type, _ pair: (Line) -> Pair
  ) {
    var rows = InlineArray<2, Line>(repeating: Line(repeating: Vector()))
    for j in 0..<Columns.pixels {
      var pixels = Line(repeating: Vector())
      for i in 0..<heights { pixels[i] = load(gradients + (6 * i + j) * laneCount) }
      let y = pair(pixels)
      rows[0][j] = y[0]
      rows[1][j] = y[1]
    }
    storeRow(Columns.outputAdjoint(rows[0]), to: first, positionStride, columns)
    storeRow(Columns.outputAdjoint(rows[1]), to: second, positionStride, columns)
  }

  /// A dy Aᵀ of one tile, whose pixel (y, x) is the vector at `gradients` + (6·y + x)·16.
  @inline(__always)
  private func outputAdjointTile<Rows: WinogradAxis, Columns: WinogradAxis>(
    _ gradients: UnsafePointer<Float>, to result: UnsafeMutablePointer<Float>, _ positionStride: Int, _: Rows.Type,
    _ columns: Columns.Type
  ) {
    let row = 8 * positionStride
    let heights = Rows.pixels
    outputAdjointRows(
      gradients, heights: heights, to: result, result + 5 * row, positionStride, columns, Rows.outputAdjointAtEnds)
    outputAdjointRows(
      gradients, heights: heights, to: result + row, result + 2 * row, positionStride, columns, Rows.outputAdjointAtOnes
    )
    outputAdjointRows(
      gradients, heights: heights, to: result + 3 * row, result + 4 * row, positionStride, columns,
      Rows.outputAdjointAtTwos)
    if Rows.points == 8 {
      outputAdjointRows(
        gradients, heights: heights, to: result + 6 * row, result + 7 * row, positionStride, columns,
        Rows.outputAdjointAtHalves)
    }
  }
#endif

extension VectorKernels {
  /// transformed = Bᵀ x B of every tile of a strip, [64][channels][tiles][lanes].
  public func winogradInput(
    _ images: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, transformed: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    @inline(__always) func transform<Rows: WinogradAxis>(_ rows: Rows.Type) {
      forEachTile(channels: channels, strip: strip) { _, offset, tile, isWide in
        let pixels = images + strip.inputOffset + offset
        if isWide {
          inputTile(
            pixels, strip.rowStride, to: transformed + tile, positionStride, strip.scratch, rows, SixPixels.self)
        } else {
          inputTile(
            pixels, strip.rowStride, to: transformed + tile, positionStride, strip.scratch, rows, FourPixels.self)
        }
      }
    }
    if strip.isTall { transform(SixPixels.self) } else { transform(FourPixels.self) }
  }

  /// outputs = leakyReLU(Aᵀ m A + bias) of every tile of a strip.
  public func winogradOutput(
    _ products: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, bias: UnsafePointer<Float>,
    images: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    @inline(__always) func transform<Rows: WinogradAxis, Columns: WinogradAxis>(
      _ rows: Rows.Type, _ columns: Columns.Type, _ tile: Int, _ pixels: UnsafeMutablePointer<Float>, _ bias: Vector
    ) {
      outputRows(
        products + tile, positionStride, bias: bias, to: pixels, strip.rowStride, rows, columns, Rows.evenOutputs)
      outputRows(
        products + tile, positionStride, bias: bias, to: pixels + strip.rowStride, strip.rowStride, rows, columns,
        Rows.oddOutputs)
    }
    @inline(__always) func transform<Rows: WinogradAxis>(_ rows: Rows.Type) {
      forEachTile(channels: channels, strip: strip) { channel, offset, tile, isWide in
        let pixels = images + strip.outputOffset + offset
        let bias = Vector(repeating: bias[channel])
        if isWide {
          transform(rows, SixPixels.self, tile, pixels, bias)
        } else {
          transform(rows, FourPixels.self, tile, pixels, bias)
        }
      }
    }
    if strip.isTall { transform(SixPixels.self) } else { transform(FourPixels.self) }
  }

  /// transformed = A dy Aᵀ of every tile of a strip, [64][channels][tiles][lanes].
  public func winogradOutputAdjoint(
    _ gradients: UnsafePointer<Float>, activations: UnsafePointer<Float>?, channels: Int, strip: WinogradStrip,
    transformed: UnsafeMutablePointer<Float>
  ) {
    guard let activations else {
      outputAdjointTiles(channels: channels, strip: strip, transformed: transformed) { load(gradients + $0) }
      return
    }
    outputAdjointTiles(channels: channels, strip: strip, transformed: transformed) {
      load(gradients + $0) * leakyReLUDerivative(load(activations + $0))
    }
  }

  /// - Parameter gradient: The gradient before the activation at an offset in the images.
  @inline(__always)
  private func outputAdjointTiles(
    channels: Int, strip: WinogradStrip, transformed: UnsafeMutablePointer<Float>, gradient: (Int) -> Vector
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    @inline(__always) func transform<Rows: WinogradAxis, Columns: WinogradAxis>(
      _ rows: Rows.Type, _ columns: Columns.Type, _ offset: Int, _ tile: Int
    ) {
      #if REGISTERS_32
        // Each pair of rows reads all pixels: the derivative is taken once.
        for i in 0..<Rows.pixels {
          for j in 0..<Columns.pixels {
            let pixel = gradient(strip.outputOffset + offset + i * strip.rowStride + j * laneCount)
            store(pixel, to: strip.scratch + (6 * i + j) * laneCount)
          }
        }
        outputAdjointTile(strip.scratch, to: transformed + tile, positionStride, rows, columns)
      #else
        for j in 0..<Columns.pixels {
          var y = Line(repeating: Vector())
          for i in 0..<Rows.pixels {
            y[i] = gradient(strip.outputOffset + offset + i * strip.rowStride + j * laneCount)
          }
          storeColumn(Rows.outputAdjoint(y), points: Rows.points, j, to: strip.scratch)
        }
        for i in 0..<Rows.points {
          let row = loadRow(i, count: Columns.pixels, from: strip.scratch)
          storeRow(
            Columns.outputAdjoint(row), to: transformed + tile + 8 * i * positionStride, positionStride, columns)
        }
      #endif
    }
    @inline(__always) func transform<Rows: WinogradAxis>(_ rows: Rows.Type) {
      forEachTile(channels: channels, strip: strip) { _, offset, tile, isWide in
        if isWide {
          transform(rows, SixPixels.self, offset, tile)
        } else {
          transform(rows, FourPixels.self, offset, tile)
        }
      }
    }
    if strip.isTall { transform(SixPixels.self) } else { transform(FourPixels.self) }
  }

  /// Calls `body` for every vector of every tile: channel, offset from the strip's first pixel in the images, offset of the transformed
  /// tile, and whether the tile is six pixels wide.
  @inline(__always)
  private func forEachTile(channels: Int, strip: WinogradStrip, _ body: (Int, Int, Int, Bool) -> Void) {
    for channel in 0..<channels {
      let plane = channel * strip.planeStride
      let transformed = channel * strip.tiles * lanes
      for part in 0..<parts {
        let lane = part * Vector.scalarCount
        for tile in 0..<strip.sixes {
          body(channel, plane + 6 * tile * laneCount + lane, transformed + tile * lanes + lane, true)
        }
        for tile in strip.sixes..<strip.tiles {
          let column = 4 * tile + 2 * strip.sixes
          body(channel, plane + column * laneCount + lane, transformed + tile * lanes + lane, false)
        }
      }
    }
  }

  /// images += B v Bᵀ of every tile of a strip, where tiles overlap; what no earlier strip has written is overwritten.
  ///
  /// Strips come row by row, each row from its first tile. The border receives values without meaning.
  public func winogradInputAdjoint(
    _ transformed: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, images: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    for channel in 0..<channels {
      let output = images + channel * strip.planeStride + strip.inputOffset
      for part in 0..<parts {
        let lane = part * Vector.scalarCount
        let input = transformed + channel * strip.tiles * lanes + lane
        for point in 0..<strip.rowPoints {
          inputAdjointRow(
            input + 8 * point * positionStride, positionStride, strip,
            to: strip.scratch + point * (strip.width + 2) * laneCount + lane)
        }
        if strip.isTall {
          inputAdjointColumns(strip, lane, SixPixels.self, to: output)
        } else {
          inputAdjointColumns(strip, lane, FourPixels.self, to: output)
        }
      }
    }
  }

  /// One row of v Bᵀ, tiles added where they overlap.
  @inline(__always)
  private func inputAdjointRow(
    _ input: UnsafePointer<Float>, _ positionStride: Int, _ strip: WinogradStrip,
    to row: UnsafeMutablePointer<Float>
  ) {
    // The last two columns of a tile are the first two of the next.
    var first = Vector()
    var second = Vector()
    @inline(__always) func add<Columns: WinogradAxis>(
      _: Columns.Type, _ input: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>
    ) {
      var y = Line(repeating: Vector())
      for j in 0..<Columns.points {
        y[j] = load(input + j * positionStride)
      }
      let x = Columns.inputAdjoint(y)
      store(first + x[0], to: output)
      store(second + x[1], to: output + laneCount)
      for j in 2..<Columns.pixels { store(x[j], to: output + j * laneCount) }
      first = x[Columns.pixels]
      second = x[Columns.pixels + 1]
    }
    for tile in 0..<strip.sixes { add(SixPixels.self, input + tile * lanes, row + 6 * tile * laneCount) }
    for tile in strip.sixes..<strip.tiles {
      add(FourPixels.self, input + tile * lanes, row + (4 * tile + 2 * strip.sixes) * laneCount)
    }
    store(first, to: row + strip.width * laneCount)
    store(second, to: row + (strip.width + 1) * laneCount)
  }

  /// B times the rows in the strip's scratch, added to the images.
  @inline(__always)
  private func inputAdjointColumns<Rows: WinogradAxis>(
    _ strip: WinogradStrip, _ lane: Int, _: Rows.Type, to output: UnsafeMutablePointer<Float>
  ) {
    let scratchRow = (strip.width + 2) * laneCount
    for column in 0..<strip.width + 2 {
      let offset = column * laneCount + lane
      var y = Line(repeating: Vector())
      for i in 0..<Rows.points { y[i] = load(strip.scratch + i * scratchRow + offset) }
      let x = Rows.inputAdjoint(y)
      let sharesColumn = strip.firstColumn > 0 && column < 2
      for i in 0..<2 {
        let pixel = output + i * strip.rowStride + offset
        store(strip.firstRow > 0 || sharesColumn ? x[i] + load(pixel) : x[i], to: pixel)
      }
      if sharesColumn {
        for i in 2..<Rows.points {
          let pixel = output + i * strip.rowStride + offset
          store(x[i] + load(pixel), to: pixel)
        }
      } else {
        for i in 2..<Rows.points { store(x[i], to: output + i * strip.rowStride + offset) }
      }
    }
  }
}
