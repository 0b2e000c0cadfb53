import KernelInterface
import Tensors

/// The convolutional branch (MODEL.md, "Network", 1): layers of 3×3 convolutions at one or several resolutions.
///
/// Works on one lane group at a time and keeps that group's activations for the backward pass.
final class ConvolutionBranch {
  private let layers: [MultiScaleLayer]
  /// Output of every layer but the last, bordered; without training every other layer's takes the place of the one before.
  private let activations: [FloatBuffer]
  /// x_t after dropout; empty without.
  private let droppedImage: FloatBuffer

  init(
    _ architecture: Architecture, layout: ParameterLayout, transformedWeights: TransformedWeights, forTraining: Bool,
    hasDropout: Bool, secondLevelCache: Int, kernels: any KernelSet, profile: StepProfile?
  ) {
    let width = architecture.spatialWidth
    let plane = (width + 2) * (width + 2) * laneCount
    droppedImage = FloatBuffer(count: hasDropout ? architecture.colorCount * plane : 0)
    let workspace = WinogradWorkspace(
      channels: architecture.convolutionChannels, width: width, secondLevelCache: secondLevelCache,
      tilesPerWideStrip: kernels.tilesPerWideStrip)
    layers = (0..<architecture.convolutionLayers).map { layer in
      MultiScaleLayer(
        layer: layer, inputs: layer == 0 ? architecture.colorCount : architecture.convolutionChannels,
        architecture: architecture, layout: layout, transformedWeights: transformedWeights, workspace: workspace,
        kernels: kernels, profile: profile)
    }
    let innerLayers = architecture.convolutionLayers - 1
    let buffers = (0..<(forTraining ? innerLayers : min(2, innerLayers))).map { _ in
      FloatBuffer(count: architecture.convolutionChannels * plane)
    }
    activations = (0..<innerLayers).map { buffers[$0 % buffers.count] }
  }

  /// Derives what the passes need from new parameters.
  func prepare(_ parameters: UnsafePointer<Float>) { for layer in layers { layer.prepare(parameters) } }

  /// Computes the branch's features of 16 images.
  ///
  /// - Parameters:
  ///   - noisy: x_t, bordered [C][W + 2][W + 2][16].
  ///   - features: Receives [n_hidden_conv][W + 2][W + 2][16]; its border is left as it is (zero).
  ///   - dropout: With the images' indices; nil for none.
  ///   - kernels: For the group's lanes.
  func forward(
    _ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>,
    dropout: (masks: Dropout, indices: UnsafePointer<UInt32>)? = nil, kernels: any KernelSet
  ) {
    var input = noisy
    for (index, layer) in layers.enumerated() {
      if let dropout {
        let values = index == 0 ? droppedImage.pointer : activations[index - 1].pointer
        let elements = (index == 0 ? droppedImage.count : activations[index - 1].count) / laneCount
        if index == 0 { values.update(from: noisy, count: elements * laneCount) }
        dropout.masks.apply(values, elements: elements, site: .convolution(index), indices: dropout.indices)
        input = UnsafePointer(values)
      }
      let output = index == layers.count - 1 ? features : activations[index].pointer
      layer.forward(parameters, input: input, output: output, kernels: kernels)
      input = UnsafePointer(output)
    }
  }

  /// Adds all gradients of parameters of 16 images, given the gradient of the features.
  ///
  /// - Parameters:
  ///   - featureGradient: With one scale the gradient before the last layer's activation, else that of the features
  ///     themselves (`MultiScaleLayer.backward`). Each layer's gradient takes its place.
  ///   - partGradient: The canonical part's gradient, as `flush` is given: wide layers' are added to it at once.
  ///   - dropout, kernels: What `forward` was given.
  ///   - working: Called every now and then: an occasion to look after messages.
  func backward(
    noisy: UnsafePointer<Float>, featureGradient: UnsafeMutablePointer<Float>,
    partGradient: UnsafeMutablePointer<Float>, dropout: Dropout? = nil, kernels: any KernelSet, working: () -> Void
  ) {
    for index in layers.indices.reversed() {
      let image = dropout == nil ? noisy : UnsafePointer(droppedImage.pointer)
      let input = index == 0 ? image : UnsafePointer(activations[index - 1].pointer)
      // The last layer's gradient comes from the upper branch, which has passed the activation.
      let output = index == layers.count - 1 ? nil : UnsafePointer(activations[index].pointer)
      layers[index].backward(
        input: input, gradient: featureGradient, output: output, partGradient: partGradient, kernels: kernels,
        working: working)
      guard index > 0 else { continue }
      dropout?.applyGradient(dropped: input, gradient: featureGradient, count: activations[index - 1].count)
    }
  }

  /// Adds what is still in lane sums to the gradient and starts new ones: the end of a canonical part.
  func flush(into gradient: UnsafeMutablePointer<Float>) { for layer in layers { layer.flush(into: gradient) } }
}
