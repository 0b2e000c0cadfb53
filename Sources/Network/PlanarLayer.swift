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
