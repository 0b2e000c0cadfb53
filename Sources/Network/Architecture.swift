import KernelInterface
import Tensors

/// The sizes of the network and of the trajectory: MODEL.md's table, with the reference's names.
///
/// Values are checked by `validate()`; every other type may rely on them.
public struct Architecture: Equatable, Sendable {
  /// Width and height of the images, H = W.
  public var spatialWidth = 28
  /// Colours of a pixel: 1 (grey) or 3, as data sets have; 2 is allowed too.
  public var colorCount = 1
  /// T: the number of steps of the forward and the reverse trajectory.
  public var trajectoryLength = 1000
  /// nb: bumps that the coefficients of a time step are built from.
  public var temporalBasisCount = 10
  /// Width of the dense branch's hidden layers; 0 leaves the branch out.
  public var denseLowerWidth = 500
  /// Values a pixel that the dense branch hands to the upper branch.
  public var denseLowerOutputs = 2
  /// Width of the per-pixel layers of the upper branch.
  public var denseUpperWidth = 20
  /// Channels of the convolutional branch.
  public var convolutionChannels = 20
  /// Layers of the convolutional branch.
  public var convolutionLayers = 4
  /// Layers of the dense branch; 0 leaves the branch out.
  public var denseLowerLayers = 4
  /// Per-pixel layers, the last one (to 2·C·nb coefficients) included.
  public var denseUpperLayers = 2
  /// Draws of t (and of the noise) that every minibatch is averaged over.
  public var timesPerMinibatch = 1
  /// Resolutions of a convolutional layer: 1 is an ordinary 3×3 convolution.
  public var scaleCount = 1
  /// Lower bound of β_0 above the others' 1e-6.
  public var firstStepBeta = 0.001

  /// The reference's defaults: its MNIST model.
  public init() {}

  /// Whether the dense branch exists.
  public var hasDenseBranch: Bool { denseLowerWidth > 0 && denseLowerLayers > 0 }

  /// Values of an image, C·H·W.
  public var imageElements: Int { colorCount * spatialWidth * spatialWidth }

  /// Channels that the upper branch sees at a pixel: the convolutions' and the dense branch's.
  public var upperInputs: Int { convolutionChannels + (hasDenseBranch ? denseLowerOutputs : 0) }

  /// Widths of the dense branch from its input, C·H·W, to its output, H·W·`denseLowerOutputs`; empty without the branch.
  public var denseLowerWidths: [Int] {
    guard hasDenseBranch else { return [] }
    let hidden = Array(repeating: denseLowerWidth, count: denseLowerLayers - 1)
    return [imageElements] + hidden + [spatialWidth * spatialWidth * denseLowerOutputs]
  }

  /// Widths of the upper branch, from the concatenated channels to C·2·nb.
  public var denseUpperWidths: [Int] {
    let hidden = Array(repeating: denseUpperWidth, count: denseUpperLayers - 1)
    return [upperInputs] + hidden + [colorCount * 2 * temporalBasisCount]
  }

  /// Multiply-adds of one image's forward pass, convolutions counted as direct ones; biases and activations are not counted.
  public var forwardMultiplyAdds: Int {
    let pixels = spatialWidth * spatialWidth
    var sum = 0
    for scale in 0..<scaleCount {
      var inputs = colorCount
      for _ in 0..<convolutionLayers {
        sum += (pixels >> (2 * scale)) * 9 * inputs * convolutionChannels
        inputs = convolutionChannels
      }
    }
    for (inputs, outputs) in zip(denseLowerWidths, denseLowerWidths.dropFirst()) { sum += inputs * outputs }
    for (inputs, outputs) in zip(denseUpperWidths, denseUpperWidths.dropFirst()) { sum += pixels * inputs * outputs }
    return sum
  }

  /// Floating-point operations of one image's training step: forward, input and weight gradients, 2 a multiply-add.
  public var trainingOperations: Int { 3 * 2 * forwardMultiplyAdds }

  /// Checks every size on its own and against the others.
  ///
  /// - Throws: `InputError` that names the key as configuration files spell it, its value and what is allowed.
  public func validate() throws(InputError) {
    try require((1...1024).contains(spatialWidth), "spatial_width", spatialWidth, "1 ... 1024")
    try require(colorCount == 1 || colorCount == 3 || colorCount == 2, "n_colors", colorCount, "1, 2 or 3")
    try require((3...1_000_000).contains(trajectoryLength), "trajectory_length", trajectoryLength, "3 ... 1000000")
    try require((2...1000).contains(temporalBasisCount), "n_temporal_basis", temporalBasisCount, "2 ... 1000")
    try require((0...65536).contains(denseLowerWidth), "n_hidden_dense_lower", denseLowerWidth, "0 ... 65536")
    try require(
      (1...1024).contains(denseLowerOutputs), "n_hidden_dense_lower_output", denseLowerOutputs, "1 ... 1024")
    try require((1...4096).contains(denseUpperWidth), "n_hidden_dense_upper", denseUpperWidth, "1 ... 4096")
    try require((1...4096).contains(convolutionChannels), "n_hidden_conv", convolutionChannels, "1 ... 4096")
    try require((1...100).contains(convolutionLayers), "n_layers_conv", convolutionLayers, "1 ... 100")
    try require((0...100).contains(denseLowerLayers), "n_layers_dense_lower", denseLowerLayers, "0 ... 100")
    try require((1...100).contains(denseUpperLayers), "n_layers_dense_upper", denseUpperLayers, "1 ... 100")
    try require((1...1000).contains(timesPerMinibatch), "n_t_per_minibatch", timesPerMinibatch, "1 ... 1000")
    try require((1...8).contains(scaleCount), "n_scales", scaleCount, "1 ... 8")
    try require(
      spatialWidth % (1 << (scaleCount - 1)) == 0, "n_scales", scaleCount,
      "2^(n_scales - 1) to divide spatial_width (\(spatialWidth))")
    try require(
      firstStepBeta >= 0 && firstStepBeta < 0.5, "step1_beta", firstStepBeta, "a number from 0 to below 0.5")
  }

  /// Checks that images of the data set's size are not too large for the network, once that is known.
  ///
  /// - Throws: `InputError` as `validate`.
  public func validateSizes() throws(InputError) {
    // Kernels find their numbers by 32 bits.
    let most = Int(Int32.max)
    let groupFloats = upperInputs * (spatialWidth + 2) * (spatialWidth + 2) * laneCount
    try require(
      groupFloats <= most, "spatial_width", spatialWidth,
      "fewer pixels or channels: 16 images have \(groupFloats) numbers behind the convolutions, at most \(most)")
  }

  private func require(
    _ condition: Bool, _ key: String, _ value: some CustomStringConvertible, _ allowed: String
  ) throws(InputError) {
    guard condition else { throw InputError("model.\(key)", found: value.description, expected: allowed) }
  }
}
