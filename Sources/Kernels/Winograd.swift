import KernelInterface

// F(4×4, 3×3) with the points 0, ±1, ±2, ∞. With the matrices of Lavin & Gray, section 4.1,
//
//     output = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ x B)]A
//
// and the backward pass is the adjoint of each of the three steps: with dM = A dy Aᵀ, both gradients come from it:
// dx = B[Uᵀ dM]Bᵀ and dU = dM ⊙ (Bᵀ x B), summed over tiles. So dy is transformed once.

/// The first three of Bᵀ x, for six vectors x[0] … x[5].
@inline(__always)
private func inputTransformHead(_ x: InlineArray<6, Vector>) -> InlineArray<3, Vector> {
  let four = Vector(repeating: 4)
  let a = multiplyAdd(x[4], x[2], -four)
  let b = multiplyAdd(x[3], x[1], -four)
  return [multiplyAdd(multiplyAdd(x[4], x[2], Vector(repeating: -5)), x[0], four), a + b, a - b]
}

/// The last three of Bᵀ x.
@inline(__always)
private func inputTransformTail(_ x: InlineArray<6, Vector>) -> InlineArray<3, Vector> {
  let c = x[4] - x[2]
  let d = x[3] - x[1]
  return [
    multiplyAdd(c, d, Vector(repeating: 2)),
    multiplyAdd(c, d, Vector(repeating: -2)),
    multiplyAdd(multiplyAdd(x[5], x[3], Vector(repeating: -5)), x[1], Vector(repeating: 4)),
  ]
}

/// B y, the adjoint of `inputTransform`.
@inline(__always)
private func inputAdjoint(_ y: InlineArray<6, Vector>) -> InlineArray<6, Vector> {
  let four = Vector(repeating: 4)
  let minusFour = Vector(repeating: -4)
  let minusFive = Vector(repeating: -5)
  let two = Vector(repeating: 2)
  let a = y[1] + y[2]
  let b = y[1] - y[2]
  let c = y[3] + y[4]
  let d = y[3] - y[4]
  return [
    four * y[0],
    multiplyAdd(multiplyAdd(four * y[5], b, minusFour), d, -two),
    multiplyAdd(multiplyAdd(-c, a, minusFour), y[0], minusFive),
    multiplyAdd(multiplyAdd(b, d, two), y[5], minusFive),
    (y[0] + a) + c,
    y[5],
  ]
}

/// Aᵀ m: six vectors to four.
@inline(__always)
private func outputTransform(_ m: InlineArray<6, Vector>) -> InlineArray<4, Vector> {
  let a = m[1] + m[2]
  let b = m[1] - m[2]
  let c = m[3] + m[4]
  let d = m[3] - m[4]
  return [
    (m[0] + a) + c,
    multiplyAdd(b, d, Vector(repeating: 2)),
    multiplyAdd(a, c, Vector(repeating: 4)),
    multiplyAdd(b + m[5], d, Vector(repeating: 8)),
  ]
}

/// A y, the adjoint of `outputTransform`: four vectors to six.
@inline(__always)
private func outputAdjoint(_ y: InlineArray<4, Vector>) -> InlineArray<6, Vector> {
  let a = y[0] + y[2]
  let b = y[1] + y[3]
  let c = multiplyAdd(y[0], y[2], Vector(repeating: 4))
  let d = multiplyAdd(y[1], y[3], Vector(repeating: 4)) * 2
  return [y[0], a + b, a - b, c + d, c - d, y[3]]
}

/// Three rows of Bᵀ x B of one tile: those that `half` gives of each column.
@inline(__always)
private func inputRows(
  _ pixels: UnsafePointer<Float>, _ rowStride: Int, to result: UnsafeMutablePointer<Float>, _ positionStride: Int,
  _ half: (InlineArray<6, Vector>) -> InlineArray<3, Vector>
) {
  var rows = InlineArray<3, InlineArray<6, Vector>>(repeating: InlineArray(repeating: Vector()))
  for j in 0..<6 {
    var x = InlineArray<6, Vector>(repeating: Vector())
    for i in 0..<6 { x[i] = load(pixels + i * rowStride + j * laneCount) }
    let y = half(x)
    for i in 0..<3 { rows[i][j] = y[i] }
  }
  for i in 0..<3 {
    let head = inputTransformHead(rows[i])
    let tail = inputTransformTail(rows[i])
    let output = result + 6 * i * positionStride
    for j in 0..<3 {
      store(head[j], to: output + j * positionStride)
      store(tail[j], to: output + (3 + j) * positionStride)
    }
  }
}

extension VectorKernels {
  /// transformed = Bᵀ x B of every tile of a strip, [36][channels][tiles][lanes].
  public func winogradInput(
    _ images: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, transformed: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    for channel in 0..<channels {
      let input = images + channel * strip.planeStride + strip.inputOffset
      let output = transformed + channel * strip.tiles * lanes
      for tile in 0..<strip.tiles {
        for part in 0..<parts {
          let lane = part * Vector.scalarCount
          // Three rows of the result at a time: more would not stay in 32 registers.
          let pixels = input + 4 * tile * laneCount + lane
          let result = output + tile * lanes + lane
          inputRows(pixels, strip.rowStride, to: result, positionStride, inputTransformHead)
          inputRows(pixels, strip.rowStride, to: result + 18 * positionStride, positionStride, inputTransformTail)
        }
      }
    }
  }

  /// outputs = leakyReLU(Aᵀ m A + bias) of every tile of a strip.
  public func winogradOutput(
    _ products: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, bias: UnsafePointer<Float>,
    images: UnsafeMutablePointer<Float>
  ) {
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    for channel in 0..<channels {
      let input = products + channel * strip.tiles * lanes
      let output = images + channel * strip.planeStride + strip.outputOffset
      let start = Vector(repeating: bias[channel])
      for tile in 0..<strip.tiles {
        for part in 0..<parts {
          let lane = part * Vector.scalarCount
          var columns = InlineArray<6, InlineArray<4, Vector>>(repeating: InlineArray(repeating: Vector()))
          for j in 0..<6 {
            var m = InlineArray<6, Vector>(repeating: Vector())
            for i in 0..<6 { m[i] = load(input + (6 * i + j) * positionStride + tile * lanes + lane) }
            columns[j] = outputTransform(m)
          }
          for i in 0..<4 {
            var m = InlineArray<6, Vector>(repeating: Vector())
            for j in 0..<6 { m[j] = columns[j][i] }
            let y = outputTransform(m)
            let row = output + i * strip.rowStride + 4 * tile * laneCount + lane
            for j in 0..<4 { store(leakyReLU(y[j] + start), to: row + j * laneCount) }
          }
        }
      }
    }
  }

  /// transformed = A dy Aᵀ of every tile of a strip, [36][channels][tiles][lanes].
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
    for channel in 0..<channels {
      let input = channel * strip.planeStride + strip.outputOffset
      let output = transformed + channel * strip.tiles * lanes
      for tile in 0..<strip.tiles {
        for part in 0..<parts {
          let lane = part * Vector.scalarCount
          var rows = InlineArray<4, InlineArray<6, Vector>>(repeating: InlineArray(repeating: Vector()))
          for i in 0..<4 {
            let row = input + i * strip.rowStride + 4 * tile * laneCount + lane
            var y = InlineArray<4, Vector>(repeating: Vector())
            for j in 0..<4 { y[j] = gradient(row + j * laneCount) }
            rows[i] = outputAdjoint(y)
          }
          for j in 0..<6 {
            var y = InlineArray<4, Vector>(repeating: Vector())
            for i in 0..<4 { y[i] = rows[i][j] }
            let m = outputAdjoint(y)
            for i in 0..<6 { store(m[i], to: output + (6 * i + j) * positionStride + tile * lanes + lane) }
          }
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
    let columns = 4 * strip.tiles + 2
    let scratchRow = columns * laneCount
    let positionStride = strip.positionStride(channels: channels, lanes: lanes)
    for channel in 0..<channels {
      for i in 0..<6 {
        let row = strip.scratch + i * scratchRow
        let input = transformed + 6 * i * positionStride + channel * strip.tiles * lanes
        for part in 0..<parts {
          let lane = part * Vector.scalarCount
          // The last two columns of a tile are the first two of the next.
          var first = Vector()
          var second = Vector()
          for tile in 0..<strip.tiles {
            var y = InlineArray<6, Vector>(repeating: Vector())
            for j in 0..<6 { y[j] = load(input + j * positionStride + tile * lanes + lane) }
            let x = inputAdjoint(y)
            let output = row + 4 * tile * laneCount + lane
            store(first + x[0], to: output)
            store(second + x[1], to: output + laneCount)
            store(x[2], to: output + 2 * laneCount)
            store(x[3], to: output + 3 * laneCount)
            first = x[4]
            second = x[5]
          }
          store(first, to: row + 4 * strip.tiles * laneCount + lane)
          store(second, to: row + (4 * strip.tiles + 1) * laneCount + lane)
        }
      }
      let output = images + channel * strip.planeStride + strip.inputOffset
      var offset = 0
      while offset < scratchRow {
        var y = InlineArray<6, Vector>(repeating: Vector())
        for i in 0..<6 { y[i] = load(strip.scratch + i * scratchRow + offset) }
        let x = inputAdjoint(y)
        let sharesColumn = strip.firstTile > 0 && offset < 2 * laneCount
        for i in 0..<2 {
          let pixel = output + i * strip.rowStride + offset
          store(strip.tileRow > 0 || sharesColumn ? x[i] + load(pixel) : x[i], to: pixel)
        }
        if sharesColumn {
          for i in 2..<6 {
            let pixel = output + i * strip.rowStride + offset
            store(x[i] + load(pixel), to: pixel)
          }
        } else {
          for i in 2..<6 { store(x[i], to: output + i * strip.rowStride + offset) }
        }
        offset += Vector.scalarCount
      }
    }
  }

  /// transformed[position][output][input] = G g Gᵀ of weights [outputs][inputs][3][3].
  public func winogradWeights(
    _ weights: UnsafePointer<Float>, outputs: Int, inputs: Int, transformed: UnsafeMutablePointer<Float>
  ) {
    for pair in 0..<outputs * inputs {
      let g = weights + pair * 9
      var rows = InlineArray<18, Float>(repeating: 0)
      for j in 0..<3 {
        let y = filterTransform(g[j], g[3 + j], g[6 + j])
        for i in 0..<6 { rows[3 * i + j] = y[i] }
      }
      for i in 0..<6 {
        let y = filterTransform(rows[3 * i], rows[3 * i + 1], rows[3 * i + 2])
        for j in 0..<6 { transformed[(6 * i + j) * outputs * inputs + pair] = y[j] }
      }
    }
  }

  /// gradient[output][input][3][3] += Gᵀ dU G, the adjoint of `winogradWeights`.
  ///
  /// - Parameter transformed: dU, position p at p·`positionStride`, output o at o·`outputStride` behind it.
  public func winogradWeightsAdjoint(
    _ transformed: UnsafePointer<Float>, positionStride: Int, outputStride: Int, outputs: Int, inputs: Int,
    gradient: UnsafeMutablePointer<Float>
  ) {
    for output in 0..<outputs {
      for input in 0..<inputs {
        let u = transformed + output * outputStride + input
        var rows = InlineArray<18, Float>(repeating: 0)
        for i in 0..<6 {
          var y = InlineArray<6, Float>(repeating: 0)
          for j in 0..<6 { y[j] = u[(6 * i + j) * positionStride] }
          let g = filterAdjoint(y)
          for j in 0..<3 { rows[3 * i + j] = g[j] }
        }
        let result = gradient + (output * inputs + input) * 9
        for j in 0..<3 {
          var y = InlineArray<6, Float>(repeating: 0)
          for i in 0..<6 { y[i] = rows[3 * i + j] }
          let g = filterAdjoint(y)
          for i in 0..<3 { result[3 * i + j] += g[i] }
        }
      }
    }
  }
}

/// G g: three weights to six.
@inline(__always)
private func filterTransform(_ a: Float, _ b: Float, _ c: Float) -> InlineArray<6, Float> {
  let outer = -(a + c) * (1 / 6)
  let middle = b * (1 / 6)
  let quarter = a * (1 / 24) + c * (1 / 6)
  let twelfth = b * (1 / 12)
  return [a * 0.25, outer - middle, outer + middle, quarter + twelfth, quarter - twelfth, c]
}

/// Gᵀ y, the adjoint of `filterTransform`.
@inline(__always)
private func filterAdjoint(_ y: InlineArray<6, Float>) -> InlineArray<3, Float> {
  let inner = (y[1] + y[2]) * (1 / 6)
  let outer = y[3] + y[4]
  return [
    y[0] * 0.25 - inner + outer * (1 / 24),
    (y[2] - y[1]) * (1 / 6) + (y[3] - y[4]) * (1 / 12),
    outer * (1 / 6) - inner + y[5],
  ]
}
