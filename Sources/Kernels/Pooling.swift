import KernelInterface

// Between the resolutions of a multi-scale layer. Images are [channels][width + 2][width + 2][16] with a zero border.

extension VectorKernels {
  /// coarse = scale · (sum of each 2 × 2 block of fine): mean pooling (¼), or the gradient of doubling (1).
  public func halve(
    _ fine: UnsafePointer<Float>, into coarse: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int,
    scale: Float
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        return halves.halve(fine, into: coarse, channels: channels, coarseWidth: coarseWidth, scale: scale)
      }
    #endif
    let fineRow = (2 * coarseWidth + 2) * laneCount
    let coarseRow = (coarseWidth + 2) * laneCount
    for channel in 0..<channels {
      for y in 0..<coarseWidth {
        let input = fine + channel * (2 * coarseWidth + 2) * fineRow + (2 * y + 1) * fineRow + laneCount
        let output = coarse + channel * (coarseWidth + 2) * coarseRow + (y + 1) * coarseRow + laneCount
        for x in 0..<coarseWidth {
          for v in 0..<parts {
            let lane = v * Vector.scalarCount
            let block = input + 2 * x * laneCount + lane
            let upper = load(block) + load(block + laneCount)
            let lower = load(block + fineRow) + load(block + fineRow + laneCount)
            store((upper + lower) * scale, to: output + x * laneCount + lane)
          }
        }
      }
    }
  }

  /// fine += scale · (each pixel of coarse, repeated 2 × 2): doubling (1), or the gradient of mean pooling (¼).
  public func addDoubled(
    _ coarse: UnsafePointer<Float>, into fine: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int,
    scale: Float
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        return halves.addDoubled(coarse, into: fine, channels: channels, coarseWidth: coarseWidth, scale: scale)
      }
    #endif
    let fineRow = (2 * coarseWidth + 2) * laneCount
    let coarseRow = (coarseWidth + 2) * laneCount
    for channel in 0..<channels {
      for y in 0..<2 * coarseWidth {
        let input = coarse + channel * (coarseWidth + 2) * coarseRow + (y / 2 + 1) * coarseRow + laneCount
        let output = fine + channel * (2 * coarseWidth + 2) * fineRow + (y + 1) * fineRow + laneCount
        for x in 0..<2 * coarseWidth {
          for v in 0..<parts {
            let lane = v * Vector.scalarCount
            let pixel = output + x * laneCount + lane
            store(load(pixel) + load(input + (x / 2) * laneCount + lane) * scale, to: pixel)
          }
        }
      }
    }
  }

  /// Mean pooling of one image's planes, [channels][width + 2][width + 2]; the sums of `halve`.
  public func halvePlanes(
    _ fine: UnsafePointer<Float>, into coarse: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int
  ) {
    let (fineSide, coarseSide) = (2 * coarseWidth + 2, coarseWidth + 2)
    for channel in 0..<channels {
      for y in 0..<coarseWidth {
        let upper = fine + (channel * fineSide + 2 * y + 1) * fineSide + 1
        let lower = upper + fineSide
        let output = coarse + (channel * coarseSide + y + 1) * coarseSide + 1
        for x in 0..<coarseWidth {
          output[x] = ((upper[2 * x] + upper[2 * x + 1]) + (lower[2 * x] + lower[2 * x + 1])) * 0.25
        }
      }
    }
  }

  /// fine = factor · (fine + each pixel of coarse, repeated 2 × 2) of one image's planes; the sums of `addDoubled`.
  public func addDoubledPlanes(
    _ coarse: UnsafePointer<Float>, into fine: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int,
    factor: Float
  ) {
    let (fineSide, coarseSide) = (2 * coarseWidth + 2, coarseWidth + 2)
    for channel in 0..<channels {
      for y in 0..<2 * coarseWidth {
        let input = coarse + (channel * coarseSide + y / 2 + 1) * coarseSide + 1
        let output = fine + (channel * fineSide + y + 1) * fineSide + 1
        for x in 0..<coarseWidth {
          output[2 * x] = (output[2 * x] + input[x]) * factor
          output[2 * x + 1] = (output[2 * x + 1] + input[x]) * factor
        }
      }
    }
  }

  /// output = scale · input over whole buffers.
  public func scale(
    _ input: UnsafePointer<Float>, by factor: Float, into output: UnsafeMutablePointer<Float>, count: Int
  ) {
    var index = 0
    while index < count {
      store(load(input + index) * factor, to: output + index)
      index += Vector.scalarCount
    }
  }

  /// gradient *= the leaky ReLU's derivative where its output was `activations`.
  public func applyLeakyReLUGradient(
    activations: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int
  ) {
    var index = 0
    while index < count {
      store(load(gradient + index) * leakyReLUDerivative(load(activations + index)), to: gradient + index)
      index += Vector.scalarCount
    }
  }

  /// sums[row] += Σ of the row's columns, lane by lane: the gradient of a bias.
  ///
  /// One after the other: how columns are cut into calls does not change a bit.
  public func addColumns(
    _ input: UnsafePointer<Float>, rowStride: Int, columnStride: Int, rows: Int, columns: Int,
    sums: UnsafeMutablePointer<Float>
  ) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        return halves.addColumns(
          input, rowStride: rowStride, columnStride: columnStride, rows: rows, columns: columns, sums: sums)
      }
    #endif
    for row in 0..<rows {
      for v in 0..<parts {
        let lane = v * Vector.scalarCount
        let first = input + row * rowStride + lane
        var sum = load(sums + row * laneCount + lane)
        for column in 0..<columns { sum += load(first + column * columnStride) }
        store(sum, to: sums + row * laneCount + lane)
      }
    }
  }
}
