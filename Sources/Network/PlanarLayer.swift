import KernelInterface
import Tensors

/// The forward pass of a convolutional layer of one image, planar, at all of its resolutions.
///
/// What `MultiScaleLayer` computes of a lane, bit for bit.
final class PlanarLayer {
  /// By scale.
  private let convolutions: [any PlanarForward]
  private let kernels: any KernelSet
  private let inputs: Int
  private let channels: Int
  private let width: Int
  private let memory: Memory

  /// What all layers use one after the other.
  final class Memory {
    fileprivate let tiles: PlanarConvolution.Memory?
    /// Inputs at scale s + 1.
    fileprivate let pooled: [FloatBuffer]
    /// Sums of all scales from s + 1 on.
    fileprivate let sums: [FloatBuffer]

    init(_ architecture: Architecture) {
      let channels = architecture.convolutionChannels
      let widths = (0..<architecture.scaleCount).map { architecture.spatialWidth >> $0 }
      let tilings = widths.compactMap { WinogradTiling(width: $0) }
      tiles = tilings.isEmpty ? nil : PlanarConvolution.Memory(channels: channels, tilings: tilings)
      pooled = widths.dropFirst().map { planes(max(channels, architecture.colorCount), width: $0) }
      sums = widths.dropFirst().map { planes(channels, width: $0) }
    }
  }

  /// Nil where Winograd's algorithm does not apply to a layer that is not the first.
  init?(
    layer: Int, architecture: Architecture, layout: ParameterLayout, transformedWeights: TransformedWeights,
    memory: Memory, kernels: any KernelSet
  ) {
    let channels = architecture.convolutionChannels
    let inputs = layer == 0 ? architecture.colorCount : channels
    var convolutions: [any PlanarForward] = []
    for scale in 0..<architecture.scaleCount {
      let width = architecture.spatialWidth >> scale
      let name = "conv.\(layer).scale\(scale)"
      let (weight, bias) = (layout.entry("\(name).weight").offset, layout.entry("\(name).bias").offset)
      if layer == 0 {
        convolutions.append(
          PlanarDirectConvolution(
            inputs: inputs, outputs: channels, width: width, weight: weight, bias: bias, kernels: kernels))
      } else {
        guard let weights = transformedWeights.layer(layer, scale: scale), let tiling = WinogradTiling(width: width),
          let tiles = memory.tiles
        else { return nil }
        convolutions.append(
          PlanarConvolution(
            channels: channels, tiling: tiling, bias: bias, transformedWeights: weights, memory: tiles,
            kernels: kernels))
      }
    }
    self.convolutions = convolutions
    self.kernels = kernels
    self.inputs = inputs
    self.channels = channels
    self.memory = memory
    width = architecture.spatialWidth
  }

  /// Computes the layer; the border of the output, zero, is left so.
  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) {
    func pooled(_ scale: Int) -> UnsafePointer<Float> {
      scale == 0 ? input : UnsafePointer(memory.pooled[scale - 1].pointer)
    }
    func sum(_ scale: Int) -> UnsafeMutablePointer<Float> { scale == 0 ? output : memory.sums[scale - 1].pointer }
    let coarsest = convolutions.count - 1
    for scale in 0..<coarsest {
      kernels.halvePlanes(
        pooled(scale), into: memory.pooled[scale].pointer, channels: inputs, coarseWidth: width >> (scale + 1))
    }
    for scale in (0...coarsest).reversed() {
      convolutions[scale].forward(parameters, input: pooled(scale), output: sum(scale))
      guard scale < coarsest else { continue }
      kernels.addDoubledPlanes(
        sum(scale + 1), into: sum(scale), channels: channels, coarseWidth: width >> (scale + 1),
        factor: scale == 0 ? 1 / Float(convolutions.count) : 1)
    }
  }
}

/// A convolution's forward pass of one planar image.
protocol PlanarForward {
  /// output = leakyReLU(weights ⋆ input + bias); the output's border, zero, is left so.
  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>)
}

/// The first layer's, of few inputs: a product over the rows of a plane with their borders, in one go.
final class PlanarDirectConvolution: PlanarForward {
  private let inputs: Int
  private let outputs: Int
  private let width: Int
  private let weight: Int
  private let bias: Int
  private let kernels: any KernelSet
  private let offsets: AlignedBuffer<Int32>

  /// - Parameter weight, bias: Where they are among the parameters.
  init(inputs: Int, outputs: Int, width: Int, weight: Int, bias: Int, kernels: any KernelSet) {
    self.inputs = inputs
    self.outputs = outputs
    self.width = width
    self.weight = weight
    self.bias = bias
    self.kernels = kernels
    let side = width + 2
    offsets = AlignedBuffer(count: inputs * 9)
    for index in 0..<offsets.count {
      offsets[index] = Int32(index / 9 * side * side + index % 9 / 3 * side + index % 3)
    }
  }

  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) {
    let side = width + 2
    kernels.product(
      Product(
        weights: parameters + weight, rowStride: inputs * 9, depthStride: 1, inputs: input, offsets: offsets.pointer,
        columnStride: laneCount, outputs: output + side + 1, outputRowStride: side * side,
        outputColumnStride: laneCount, rows: outputs, depth: inputs * 9, columns: planeVectors(width: width),
        epilogue: .biasLeakyReLU(parameters + bias)))
    clearBorder(output)
  }

  /// Makes the border zero again which rows in one go, and the end of the plane before, have run through.
  private func clearBorder(_ image: UnsafeMutablePointer<Float>) {
    let side = width + 2
    for channel in 0..<outputs {
      let plane = image + channel * side * side
      plane.update(repeating: 0, count: side)
      for y in 1...width {
        plane[y * side] = 0
        plane[y * side + width + 1] = 0
      }
      (plane + (width + 1) * side).update(repeating: 0, count: side)
    }
  }
}

/// Vectors of 16 from a plane's first pixel to its last, borders between rows included.
func planeVectors(width: Int) -> Int { (width * (width + 2) - 2 + laneCount - 1) / laneCount }

/// Bordered planes of zeros: vectors may reach a little further than the last one.
func planes(_ count: Int, width: Int) -> FloatBuffer {
  FloatBuffer(count: count * (width + 2) * (width + 2) + 2 * laneCount)
}
