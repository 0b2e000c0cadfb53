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
    #if VECTOR_WIDTH_16
      if isUneven(strip) {
        return halves.winogradInput(images, channels: channels, strip: strip, transformed: transformed)
      }
    #endif
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
    #if VECTOR_WIDTH_16
      if isUneven(strip) {
        return halves.winogradOutput(products, channels: channels, strip: strip, bias: bias, images: images)
      }
    #endif
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
    #if VECTOR_WIDTH_16
      if isUneven(strip) {
        return halves.winogradOutputAdjoint(
          gradients, activations: activations, channels: channels, strip: strip, transformed: transformed)
      }
    #endif
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
  func transform<Transform: TileTransform>(_ transform: Transform, channels: Int, strip: WinogradStrip) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        if strip.isTall {
          transformPairs(transform, channels: channels, strip: strip, rows: SixPixels.self)
        } else {
          transformPairs(transform, channels: channels, strip: strip, rows: FourPixels.self)
        }
        return
      }
    #endif
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
    let vectors = LaneVectors<16>(stride: 0)
    let lanes = parts * Vector.scalarCount
    let channelStride = strip.channelStride(lanes: lanes)
    for channel in 0..<channels {
      for part in 0..<parts {
        let lane = part * Vector.scalarCount
        let pixel = channel * strip.planeStride + lane
        let transformed = channel * channelStride + lane
        for tile in 0..<strip.sixes {
          transform.apply(
            channel: channel, pixel: pixel + 6 * tile * laneCount, tile: transformed + tile * lanes, rows,
            SixPixels.self, vectors)
        }
        for tile in strip.sixes..<strip.tiles {
          transform.apply(
            channel: channel, pixel: pixel + (4 * tile + 2 * strip.sixes) * laneCount,
            tile: transformed + tile * lanes, rows, FourPixels.self, vectors)
        }
      }
    }
  }

  #if VECTOR_WIDTH_16
    /// Whether a vector would be the last tile of six and the first of four.
    @inline(__always)
    private func isUneven(_ strip: WinogradStrip) -> Bool {
      lanes < laneCount && strip.sixes % 2 > 0 && strip.fours > 0
    }

    /// Transforms the tiles of a strip by twos, 8 lanes of each in a vector.
    ///
    /// The last of an odd number is there twice: its twin's points are those of the gap behind.
    @inline(__always)
    private func transformPairs<Transform: TileTransform, Rows: WinogradAxis>(
      _ transform: Transform, channels: Int, strip: WinogradStrip, rows: Rows.Type
    ) {
      let channelStride = strip.channelStride(lanes: 8)
      for channel in 0..<channels {
        let pixel = channel * strip.planeStride
        let transformed = channel * channelStride
        for tile in stride(from: 0, to: strip.sixes, by: 2) {
          transform.apply(
            channel: channel, pixel: pixel + 6 * tile * laneCount, tile: transformed + tile * 8, rows, SixPixels.self,
            LaneVectors<8>(stride: tile + 1 < strip.sixes ? 6 * laneCount : 0))
        }
        for tile in stride(from: strip.sixes, to: strip.tiles, by: 2) {
          transform.apply(
            channel: channel, pixel: pixel + (4 * tile + 2 * strip.sixes) * laneCount, tile: transformed + tile * 8,
            rows, FourPixels.self, LaneVectors<8>(stride: tile + 1 < strip.tiles ? 4 * laneCount : 0))
        }
      }
    }
  #endif

  /// images = B v Bᵀ of every tile of a strip, added where tiles overlap.
  ///
  /// Strips come row by row, each row from its first tile; how a row is cut into strips does not change a bit: the rows and
  /// columns that a strip shares with the next are left to that. So nothing is written but what `winogradOutputAdjoint` of this
  /// strip and the earlier ones has read, if the images are the same. The border receives values without meaning.
  public func winogradInputAdjoint(
    _ transformed: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, images: UnsafeMutablePointer<Float>
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        // A vector is two rows of points, then two columns of pixels.
        let rows = LaneVectors<8>(stride: 8 * strip.positionStride(channels: channels, lanes: 8))
        addInputAdjoint(transformed, channels, strip, rows, LaneVectors<8>(stride: laneCount), to: images)
        return
      }
    #endif
    let vectors = LaneVectors<16>(stride: 0)
    addInputAdjoint(transformed, channels, strip, vectors, vectors, to: images)
  }

  @inline(__always)
  private func addInputAdjoint<let width: Int>(
    _ transformed: UnsafePointer<Float>, _ channels: Int, _ strip: WinogradStrip, _ points: LaneVectors<width>,
    _ pixels: LaneVectors<width>, to images: UnsafeMutablePointer<Float>
  ) {
    let lanes = min(width, parts * Vector.scalarCount)
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    let channelStride = strip.channelStride(lanes: lanes)
    for channel in 0..<channels {
      for part in 0..<parts {
        let lane = part * Vector.scalarCount
        let output = images + channel * strip.planeStride + strip.inputOffset + lane
        let input = transformed + channel * channelStride + lane
        let carry = strip.columnCarry + channel * 2 * 8 * laneCount + lane
        let lastRows = strip.rowCarry + channel * 2 * strip.rowStride + strip.firstColumn * laneCount + lane
        var point = 0
        while point < strip.rowPoints {
          inputAdjointRow(
            input + 8 * point * positionStride, positionStride, points, strip, lanes,
            to: strip.scratch + point * width + lane, carry + point * width)
          point += LaneVectors<width>.perVector
        }
        if strip.isTall {
          inputAdjointColumns(strip, lane, pixels, SixPixels.self, to: output, lastRows)
        } else {
          inputAdjointColumns(strip, lane, pixels, FourPixels.self, to: output, lastRows)
        }
      }
    }
  }

  /// One row of v Bᵀ, or two in one vector, tiles added where they overlap; pixels are 8·`width` floats apart.
  @inline(__always)
  private func inputAdjointRow<let width: Int>(
    _ input: UnsafePointer<Float>, _ positionStride: Int, _ points: LaneVectors<width>, _ strip: WinogradStrip,
    _ lanes: Int, to row: UnsafeMutablePointer<Float>, _ carry: UnsafeMutablePointer<Float>
  ) {
    let column = 8 * width
    // The last two columns of a tile are the first two of the next.
    var first = strip.beginsRow ? Vector() : load(carry)
    var second = strip.beginsRow ? Vector() : load(carry + column)
    @inline(__always) func add<Columns: WinogradAxis>(
      _: Columns.Type, _ input: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>
    ) {
      var y = Line(repeating: Vector())
      for j in 0..<Columns.points {
        y[j] = points.vector(at: input + j * positionStride)
      }
      let x = Columns.inputAdjoint(y)
      store(first + x[0], to: output)
      store(second + x[1], to: output + column)
      for j in 2..<Columns.pixels { store(x[j], to: output + j * column) }
      first = x[Columns.pixels]
      second = x[Columns.pixels + 1]
    }
    for tile in 0..<strip.sixes { add(SixPixels.self, input + tile * lanes, row + 6 * tile * column) }
    for tile in strip.sixes..<strip.tiles {
      add(FourPixels.self, input + tile * lanes, row + (4 * tile + 2 * strip.sixes) * column)
    }
    let rest = strip.endsRow ? row + strip.width * column : carry
    store(first, to: rest)
    store(second, to: rest + column)
  }

  /// B times the columns in the strip's scratch, with what the row of tiles above has left in `lastRows`.
  @inline(__always)
  private func inputAdjointColumns<let width: Int, Rows: WinogradAxis>(
    _ strip: WinogradStrip, _ lane: Int, _ pixels: LaneVectors<width>, _: Rows.Type,
    to output: UnsafeMutablePointer<Float>, _ lastRows: UnsafeMutablePointer<Float>
  ) {
    let scratch = LaneVectors<width>(stride: 8 * width)
    // The last two rows of a tile are the first two of the one below.
    let rest = strip.endsImage ? output + Rows.pixels * strip.rowStride : lastRows
    @inline(__always) func add(_ columns: Range<Int>, addedRows: Int) {
      var column = columns.lowerBound
      while column < columns.upperBound {
        let offset = column * laneCount
        var y = Line(repeating: Vector())
        for i in 0..<Rows.points {
          y[i] = scratch.vector(at: strip.scratch + lane + column * scratch.stride + i * width)
        }
        prefetch(
          Pixels(first: output + offset + strip.planeStride, rowStride: strip.rowStride), rows: Rows.pixels,
          columns: 0..<LaneVectors<width>.perVector)
        let x = Rows.inputAdjoint(y)
        for i in 0..<addedRows {
          let above = pixels.vector(at: lastRows + i * strip.rowStride + offset)
          pixels.setVector(x[i] + above, at: output + i * strip.rowStride + offset)
        }
        for i in addedRows..<Rows.pixels { pixels.setVector(x[i], at: output + i * strip.rowStride + offset) }
        for i in 0..<2 { pixels.setVector(x[Rows.pixels + i], at: rest + i * strip.rowStride + offset) }
        column += LaneVectors<width>.perVector
      }
    }
    let columns = 0..<strip.width + (strip.endsRow ? 2 : 0)
    if strip.firstRow > 0 { add(columns, addedRows: 2) } else { add(columns, addedRows: 0) }
  }
}
