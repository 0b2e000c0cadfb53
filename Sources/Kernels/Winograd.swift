public import KernelInterface

// Winograd's convolution in two dimensions,
//
//     output = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ x B)]A
//
// and the backward pass is the adjoint of each of the three steps: with dM = A dy Aᵀ, both gradients come from it:
// dx = B[Uᵀ dM]Bᵀ and dU = dM ⊙ (Bᵀ x B), summed over tiles. So dy is transformed once.

extension VectorKernels {
  /// transformed = Bᵀ x B of every tile of a strip, [64][channels][tiles][lanes].
  public func winogradInput(
    _ images: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, transformed: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    transform(
      InputTransform(
        images: images + strip.inputOffset, strip: strip, transformed: transformed, positionStride: positionStride),
      channels: channels, strip: strip)
  }

  /// outputs = leakyReLU(Aᵀ m A + bias) of every tile of a strip.
  public func winogradOutput(
    _ products: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, bias: UnsafePointer<Float>,
    images: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    transform(
      OutputTransform(
        products: products, positionStride: positionStride, bias: bias, images: images + strip.outputOffset,
        strip: strip),
      channels: channels, strip: strip)
  }

  /// transformed = A dy Aᵀ of every tile of a strip, [64][channels][tiles][lanes].
  public func winogradOutputAdjoint(
    _ gradients: UnsafePointer<Float>, activations: UnsafePointer<Float>?, channels: Int, strip: WinogradStrip,
    transformed: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    let gradients = gradients + strip.outputOffset
    // A type each, not an optional to be looked at for every vector.
    if let activations {
      transform(
        OutputAdjointTransform(
          gradients: GradientBehindActivation(
            gradients: gradients, activations: activations + strip.outputOffset, rowStride: strip.rowStride),
          strip: strip, transformed: transformed, positionStride: positionStride),
        channels: channels, strip: strip)
    } else {
      transform(
        OutputAdjointTransform(
          gradients: Pixels(first: gradients, rowStride: strip.rowStride), strip: strip, transformed: transformed,
          positionStride: positionStride),
        channels: channels, strip: strip)
    }
  }

  /// Transforms every vector of every tile of a strip.
  @inline(__always)
  private func transform<Transform: TileTransform>(_ transform: Transform, channels: Int, strip: WinogradStrip) {
    if strip.isTall {
      self.transform(transform, channels: channels, strip: strip, rows: SixPixels.self)
    } else {
      self.transform(transform, channels: channels, strip: strip, rows: FourPixels.self)
    }
  }

  @inline(__always)
  private func transform<Transform: TileTransform, Rows: WinogradAxis>(
    _ transform: Transform, channels: Int, strip: WinogradStrip, rows: Rows.Type
  ) {
    for channel in 0..<channels {
      for part in 0..<parts {
        let lane = part * Vector.scalarCount
        let pixel = channel * strip.planeStride + lane
        let transformed = channel * strip.tiles * lanes + lane
        for tile in 0..<strip.sixes {
          transform.apply(
            channel: channel, pixel: pixel + 6 * tile * laneCount, tile: transformed + tile * lanes, rows,
            SixPixels.self)
        }
        for tile in strip.sixes..<strip.tiles {
          transform.apply(
            channel: channel, pixel: pixel + (4 * tile + 2 * strip.sixes) * laneCount,
            tile: transformed + tile * lanes, rows, FourPixels.self)
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
            input + 8 * point * positionStride, positionStride, strip, to: strip.scratch + point * laneCount + lane)
        }
        if strip.isTall {
          inputAdjointColumns(strip, lane, SixPixels.self, to: output)
        } else {
          inputAdjointColumns(strip, lane, FourPixels.self, to: output)
        }
      }
    }
  }

  /// One row of v Bᵀ, tiles added where they overlap; pixels are `scratchColumn` apart.
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
      store(second + x[1], to: output + scratchColumn)
      for j in 2..<Columns.pixels { store(x[j], to: output + j * scratchColumn) }
      first = x[Columns.pixels]
      second = x[Columns.pixels + 1]
    }
    for tile in 0..<strip.sixes { add(SixPixels.self, input + tile * lanes, row + 6 * tile * scratchColumn) }
    for tile in strip.sixes..<strip.tiles {
      add(FourPixels.self, input + tile * lanes, row + (4 * tile + 2 * strip.sixes) * scratchColumn)
    }
    store(first, to: row + strip.width * scratchColumn)
    store(second, to: row + (strip.width + 1) * scratchColumn)
  }

  /// B times the columns in the strip's scratch, added to the images.
  @inline(__always)
  private func inputAdjointColumns<Rows: WinogradAxis>(
    _ strip: WinogradStrip, _ lane: Int, _: Rows.Type, to output: UnsafeMutablePointer<Float>
  ) {
    let pixels = output + lane
    @inline(__always) func add(_ columns: Range<Int>, addedRows: Int) {
      for column in columns {
        let offset = column * laneCount
        var y = Line(repeating: Vector())
        for i in 0..<Rows.points { y[i] = load(strip.scratch + lane + column * scratchColumn + i * laneCount) }
        prefetch(
          Pixels(first: pixels + offset + strip.planeStride, rowStride: strip.rowStride), rows: Rows.points,
          columns: 0..<1)
        let x = Rows.inputAdjoint(y)
        for i in 0..<addedRows {
          let pixel = pixels + i * strip.rowStride + offset
          store(x[i] + load(pixel), to: pixel)
        }
        for i in addedRows..<Rows.points { store(x[i], to: pixels + i * strip.rowStride + offset) }
      }
    }
    // What earlier strips of this row of tiles, and earlier rows, have left there.
    let shared = strip.firstColumn > 0 ? 2 : 0
    add(0..<shared, addedRows: Rows.points)
    if strip.firstRow > 0 {
      add(shared..<strip.width + 2, addedRows: 2)
    } else {
      add(shared..<strip.width + 2, addedRows: 0)
    }
  }
}

/// Floats of a column of the input's adjoint in the strip's scratch, [columns][8][16].
private let scratchColumn = 8 * laneCount
