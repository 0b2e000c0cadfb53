import KernelInterface
import Tensors
import Testing

/// Each of Winograd's linear maps against its adjoint, and the whole convolution against its definition.
@Suite struct WinogradTests {
  /// 6 + 6 + 4: rows and columns of both kinds of tiles.
  private static let width = 16

  private static let scratchCount = 8 * (width + 2) * laneCount
  private static let columnCarryCount = 5 * 2 * 8 * laneCount
  /// A strip's scratch and what it carries to the next, of up to 5 channels.
  private func scratch() -> FloatBuffer {
    FloatBuffer(count: Self.scratchCount + Self.columnCarryCount + 5 * 2 * (Self.width + 2) * laneCount)
  }

  private func tiling() throws -> WinogradTiling { try #require(WinogradTiling(width: Self.width)) }

  private func strip(_ row: Int, _ tiles: Range<Int>, _ scratch: FloatBuffer) throws -> WinogradStrip {
    let columnCarry = scratch.pointer + Self.scratchCount
    return WinogradStrip(
      tiling: try tiling(), row: row, tiles: tiles, scratch: scratch.pointer, columnCarry: columnCarry,
      rowCarry: columnCarry + Self.columnCarryCount)
  }

  @Test("tiles of 6 and 4 pixels cover every even width from 4, with the fewest points")
  func tilings() {
    for width in 1...256 {
      guard width % 2 == 0, width >= 4 else {
        #expect(WinogradTiling(width: width) == nil)
        continue
      }
      let tiling = WinogradTiling(width: width)
      #expect(tiling.map { 6 * $0.sixes + 4 * $0.fours } == width)
      #expect(tiling.map { $0.fours < 3 } == true)
      let pixels = tiling.map { tiling in (0...tiling.count).map { tiling.firstPixel($0) } } ?? []
      #expect(pixels.first == 0 && pixels.last == width)
    }
    #expect(WinogradTiling(width: 28)?.sixes == 4)
  }

  /// A bordered image with random pixels and a zero border.
  private func image(_ channels: Int, seed: UInt64) -> FloatBuffer {
    let side = Self.width + 2
    let buffer = randomBuffer(channels * side * side * laneCount, seed: seed)
    for pixel in 0..<channels * side * side {
      let (y, x) = (pixel / side % side, pixel % side)
      if y == 0 || x == 0 || y == side - 1 || x == side - 1 {
        for lane in 0..<laneCount { buffer[pixel * laneCount + lane] = 0 }
      }
    }
    return buffer
  }

  private func dot(_ a: FloatBuffer, _ b: FloatBuffer) -> Double {
    zip(a.elements, b.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  @Test("the convolution by tiles equals the direct sums", arguments: kernelNames)
  func convolution(_ name: String) throws {
    let kernels = try kernelSet(name)
    let (inputs, outputs, side) = (3, 5, Self.width + 2)
    let input = image(inputs, seed: 1)
    let weights = randomBuffer(outputs * inputs * 9, seed: 2)
    let bias = randomBuffer(outputs, seed: 3)
    let transformed = FloatBuffer(count: 64 * outputs * inputs)
    kernels.winogradWeights(
      weights.pointer, count: outputs * inputs, transformed: transformed.pointer, positionStride: outputs * inputs)
    let result = FloatBuffer(count: outputs * side * side * laneCount)
    let scratch = scratch()
    for row in 0..<(try tiling()).count {
      for tiles in [0..<1, 1..<3] {
        let strip = try strip(row, tiles, scratch)
        let column = tiles.count * laneCount
        let tileStride = strip.positionStride(channels: inputs, lanes: laneCount)
        let productStride = strip.positionStride(channels: outputs, lanes: laneCount)
        let tile = FloatBuffer(count: 64 * tileStride)
        let products = FloatBuffer(count: 64 * productStride)
        kernels.winogradInput(input.pointer, channels: inputs, strip: strip, transformed: tile.pointer)
        for position in 0..<64 {
          for output in 0..<outputs {
            for index in 0..<column {
              products[position * productStride + output * column + index] = (0..<inputs).reduce(0) { sum, channel in
                sum + transformed[(position * outputs + output) * inputs + channel]
                  * tile[position * tileStride + channel * column + index]
              }
            }
          }
        }
        kernels.winogradOutput(
          products.pointer, channels: outputs, strip: strip, bias: bias.pointer, images: result.pointer)
      }
    }
    var expected = [Double](repeating: 0, count: result.count)
    for output in 0..<outputs {
      for y in 0..<Self.width {
        for x in 0..<Self.width {
          for lane in 0..<laneCount {
            var sum = Double(bias[output])
            for channel in 0..<inputs {
              for tap in 0..<9 {
                let pixel = (channel * side + y + tap / 3) * side + x + tap % 3
                sum += Double(weights[(output * inputs + channel) * 9 + tap]) * Double(input[pixel * laneCount + lane])
              }
            }
            expected[((output * side + y + 1) * side + x + 1) * laneCount + lane] = sum > 0 ? sum : 0.05 * sum
          }
        }
      }
    }
    #expect(relativeError(result, expected) < 3e-6)
  }

  @Test("⟨transform x, y⟩ = ⟨x, adjoint y⟩ for the input's transform", arguments: kernelNames)
  func inputAdjoint(_ name: String) throws {
    let kernels = try kernelSet(name)
    let x = image(2, seed: 4)
    let scratch = scratch()
    let adjoint = FloatBuffer(count: x.count)
    var sum = 0.0
    for row in 0..<(try tiling()).count {
      for tiles in [0..<2, 2..<3] {
        let strip = try strip(row, tiles, scratch)
        let transformed = FloatBuffer(count: 64 * strip.positionStride(channels: 2, lanes: laneCount))
        let y = randomBuffer(transformed.count, seed: UInt64(10 + row * 2 + tiles.lowerBound))
        kernels.winogradInput(x.pointer, channels: 2, strip: strip, transformed: transformed.pointer)
        sum += dot(transformed, y)
        kernels.winogradInputAdjoint(y.pointer, channels: 2, strip: strip, images: adjoint.pointer)
      }
    }
    #expect(abs(dot(x, adjoint) - sum) < 1e-3 * abs(sum) + 1e-2)
  }

  @Test("one gradient replaces the other strip by strip", arguments: kernelNames, [true, false])
  func gradientInPlace(_ name: String, isHalf: Bool) throws {
    let kernels = isHalf ? KernelChoice.forHalfGroups(try kernelSet(name)) : try kernelSet(name)
    let gradient = image(5, seed: 6)
    let scratch = scratch()
    /// The input's adjoint of the output's adjoint, with no weights between them.
    func backward(_ gradient: FloatBuffer, into result: FloatBuffer) throws {
      for row in 0..<(try tiling()).count {
        for tiles in [0..<2, 2..<3] {
          let strip = try strip(row, tiles, scratch)
          let transformed = FloatBuffer(count: 64 * strip.positionStride(channels: 5, lanes: kernels.lanes))
          kernels.winogradOutputAdjoint(
            gradient.pointer, activations: nil, channels: 5, strip: strip, transformed: transformed.pointer)
          kernels.winogradInputAdjoint(transformed.pointer, channels: 5, strip: strip, images: result.pointer)
        }
      }
    }
    let apart = FloatBuffer(count: gradient.count)
    try backward(gradient, into: apart)
    try backward(gradient, into: gradient)
    let side = Self.width + 2
    for pixel in 0..<5 * side * side {
      for lane in pixel * laneCount..<pixel * laneCount + kernels.lanes { #expect(gradient[lane] == apart[lane]) }
    }
  }

  @Test("the gradient's transform is the adjoint of the output's", arguments: kernelNames, [1, 2])
  func outputAdjoint(_ name: String, row: Int) throws {
    let kernels = try kernelSet(name)
    let scratch = scratch()
    let strip = try strip(row, 0..<3, scratch)
    // Positive sums: there the leaky ReLU is the identity and the whole map is linear.
    let products = FloatBuffer(count: 64 * strip.positionStride(channels: 2, lanes: laneCount))
    let noise = randomBuffer(products.count, seed: 20)
    for index in 0..<products.count { products[index] = noise[index] * 0.001 }
    let bias = FloatBuffer(count: 2)
    bias.fill(10)
    let images = FloatBuffer(count: image(2, seed: 1).count)
    kernels.winogradOutput(products.pointer, channels: 2, strip: strip, bias: bias.pointer, images: images.pointer)
    let y = image(2, seed: 21)
    let transformed = FloatBuffer(count: products.count)
    kernels.winogradOutputAdjoint(
      y.pointer, activations: nil, channels: 2, strip: strip, transformed: transformed.pointer)
    var withoutBias = 0.0
    for index in 0..<images.count where images[index] != 0 {
      withoutBias += Double(images[index] - 10) * Double(y[index])
    }
    let other = dot(products, transformed)
    #expect(abs(withoutBias - other) < 1e-3 * abs(other) + 1e-2)
  }

  @Test("the weights' gradient is the adjoint of their transform", arguments: kernelNames)
  func weightsAdjoint(_ name: String) throws {
    let kernels = try kernelSet(name)
    let weights = randomBuffer(6 * 9, seed: 30)
    let transformed = FloatBuffer(count: 64 * 6)
    kernels.winogradWeights(weights.pointer, count: 6, transformed: transformed.pointer, positionStride: 6)
    let y = randomBuffer(64 * 6, seed: 31)
    let gradient = FloatBuffer(count: 6 * 9)
    kernels.winogradWeightsAdjoint(
      y.pointer, positionStride: 6, outputStride: 2, outputs: 3, inputs: 2, gradient: gradient.pointer)
    let sum = dot(transformed, y)
    #expect(abs(dot(weights, gradient) - sum) < 1e-5 * max(1, abs(sum)))
  }
}
