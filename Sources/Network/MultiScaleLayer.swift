import KernelInterface
import Tensors

/// A convolutional layer at `n_scales` resolutions: output = (1/S)·Σ_s double^s(leakyReLU(conv_s(meanpool_{2^s}(input)))).
///
/// With one scale it is that scale's convolution, whose backward pass takes the activation's derivative into the first
/// reading of the gradient.
final class MultiScaleLayer {
  private let convolutions: [Convolution3x3]
  private let kernels: any KernelSet
  private let channels: Int
  private let inputs: Int
  private let width: Int
  // For more than one scale; index s - 1 or s. All bordered, at width W/2^s.
  private let pooledInputs: [FloatBuffer]
  private let scaleOutputs: [FloatBuffer]
  private let accumulated: [FloatBuffer]
  private let hasInputGradient: Bool

  init(
    layer: Int, inputs: Int, architecture: Architecture, layout: ParameterLayout,
    transformedWeights: TransformedWeights, workspace: WinogradWorkspace, kernels: any KernelSet, profile: StepProfile?
  ) {
    self.kernels = kernels
    self.inputs = inputs
    hasInputGradient = layer > 0
    channels = architecture.convolutionChannels
    width = architecture.spatialWidth
    let scales = architecture.scaleCount
    let channels = channels
    let width = width
    convolutions = (0..<scales).map { scale in
      let name = "conv.\(layer).scale\(scale)"
      return Convolution3x3(
        inputs: inputs, outputs: channels, width: width >> scale, weight: layout.entry("\(name).weight"),
        bias: layout.entry("\(name).bias"), hasInputGradient: layer > 0,
        transformedWeights: transformedWeights.layer(layer, scale: scale), workspace: workspace, kernels: kernels,
        profile: LayerProfile(
          profile, name, multiplyAdds: (width >> scale) * (width >> scale) * 9 * inputs * channels,
          hasInputGradient: layer > 0))
    }
    func buffers(_ scaleRange: Range<Int>, _ channels: Int) -> [FloatBuffer] {
      guard scales > 1 else { return [] }
      return scaleRange.map { FloatBuffer(count: bordered(channels, width >> $0)) }
    }
    pooledInputs = buffers(1..<scales, inputs)
    scaleOutputs = buffers(0..<scales, channels)
    accumulated = buffers(1..<scales, channels)
  }

  func prepare(_ parameters: UnsafePointer<Float>) {
    for convolution in convolutions { convolution.prepare(parameters) }
  }

  func flush(into gradient: UnsafeMutablePointer<Float>) {
    for convolution in convolutions { convolution.flush(into: gradient) }
  }

  /// Computes the layer of 16 images; all images are bordered.
  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>,
    kernels: any KernelSet
  ) {
    guard convolutions.count > 1 else {
      convolutions[0].forward(parameters, input: input, output: output, kernels: kernels)
      return
    }
    let coarsest = convolutions.count - 1
    for scale in 1...coarsest {
      let finer = scale == 1 ? input : UnsafePointer(pooledInputs[scale - 2].pointer)
      kernels.halve(
        finer, into: pooledInputs[scale - 1].pointer, channels: inputs, coarseWidth: width >> scale, scale: 0.25)
    }
    // From the coarsest to the finest: sum_s = leakyReLU(conv_s) + double(sum_{s+1}).
    for scale in (0...coarsest).reversed() {
      let scaleInput = scale == 0 ? input : UnsafePointer(pooledInputs[scale - 1].pointer)
      convolutions[scale].forward(parameters, input: scaleInput, output: scaleOutputs[scale].pointer, kernels: kernels)
      let sum = scale == 0 ? output : accumulated[scale - 1].pointer
      kernels.scale(scaleOutputs[scale].pointer, by: 1, into: sum, count: bordered(channels, width >> scale))
      if scale < coarsest {
        kernels.addDoubled(
          accumulated[scale].pointer, into: sum, channels: channels, coarseWidth: width >> (scale + 1), scale: 1)
      }
    }
    kernels.scale(output, by: 1 / Float(convolutions.count), into: output, count: bordered(channels, width))
  }

  /// Adds the gradients of the parameters of 16 images and gives that of the input, but for the first layer.
  ///
  /// - Parameters:
  ///   - input: What `forward` was given.
  ///   - gradient: That of the output, which that of the input replaces.
  ///   - output: What `forward` gave; nil, with one scale, where the gradient has passed the activation already.
  ///   - partGradient: The canonical part's gradient, as `flush` is given.
  ///   - working: Called every now and then.
  func backward(
    input: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, output: UnsafePointer<Float>?,
    partGradient: UnsafeMutablePointer<Float>, kernels: any KernelSet, working: () -> Void
  ) {
    guard convolutions.count > 1 else {
      convolutions[0].backward(
        input: input, gradient: gradient, output: output, partGradient: partGradient, kernels: kernels,
        working: working)
      return
    }
    let coarsest = convolutions.count - 1
    kernels.scale(gradient, by: 1 / Float(convolutions.count), into: gradient, count: bordered(channels, width))
    func scaleGradient(_ scale: Int) -> UnsafeMutablePointer<Float> {
      scale == 0 ? gradient : accumulated[scale - 1].pointer
    }
    // The gradient of doubling adds 2 × 2 blocks; it must be taken before a scale's own activation masks the gradient.
    for scale in 1...coarsest {
      kernels.halve(
        scaleGradient(scale - 1), into: scaleGradient(scale), channels: channels, coarseWidth: width >> scale, scale: 1)
    }
    for scale in 0...coarsest {
      let scaleInput = scale == 0 ? input : UnsafePointer(pooledInputs[scale - 1].pointer)
      convolutions[scale].backward(
        input: scaleInput, gradient: scaleGradient(scale), output: scaleOutputs[scale].pointer,
        partGradient: partGradient, kernels: kernels, working: working)
    }
    guard hasInputGradient else { return }
    // The gradient of mean pooling spreads a quarter to each pixel, from the coarsest down.
    for scale in (1...coarsest).reversed() {
      kernels.addDoubled(
        scaleGradient(scale), into: scaleGradient(scale - 1), channels: inputs, coarseWidth: width >> scale,
        scale: 0.25)
    }
  }
}
