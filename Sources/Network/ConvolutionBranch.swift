import KernelInterface
import Tensors

/// The convolutional branch (MODEL.md, "Network", 1): layers of 3×3 convolutions at one or several resolutions.
///
/// Works on one lane group at a time and keeps that group's activations for the backward pass.
final class ConvolutionBranch {
  private let layers: [MultiScaleLayer]
  /// Output of every layer but the last, bordered.
  private let activations: [FloatBuffer]
  /// The gradient of a layer's input; the one of its output is where that of the layer before goes next.
  private let gradient: FloatBuffer
  /// x_t after dropout; empty without.
  private let droppedImage: FloatBuffer

  init(
    _ architecture: Architecture, layout: ParameterLayout, hasDropout: Bool, secondLevelCache: Int,
    kernels: any KernelSet, profile: StepProfile?
  ) {
    let width = architecture.spatialWidth
    let plane = (width + 2) * (width + 2) * laneCount
    droppedImage = FloatBuffer(count: hasDropout ? architecture.colorCount * plane : 0)
    let workspace = WinogradWorkspace(
      channels: architecture.convolutionChannels, width: width, secondLevelCache: secondLevelCache)
    layers = (0..<architecture.convolutionLayers).map { layer in
      MultiScaleLayer(
        layer: layer, inputs: layer == 0 ? architecture.colorCount : architecture.convolutionChannels,
        architecture: architecture, layout: layout, workspace: workspace, kernels: kernels,
        profile: profile)
    }
    activations = (0..<architecture.convolutionLayers - 1).map { _ in
      FloatBuffer(count: architecture.convolutionChannels * plane)
    }
    gradient = FloatBuffer(count: architecture.convolutionLayers > 1 ? architecture.convolutionChannels * plane : 0)
  }

  /// Derives what the passes need from new parameters.
  func prepare(_ parameters: UnsafePointer<Float>) { for layer in layers { layer.prepare(parameters) } }

  /// The rows of pixels that the last layer's passes compute at a time, without those of other blocks.
  var rowBlocks: [Range<Int>] { layers[layers.count - 1].rowBlocks }

  /// Computes the branch's features of 16 images.
  ///
  /// - Parameters:
  ///   - noisy: x_t, bordered [C][W + 2][W + 2][16].
  ///   - features: Receives [n_hidden_conv][W + 2][W + 2][16]; its border is left as it is (zero).
  ///   - kernels: For the group's lanes.
  func forward(
    _ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>, features: UnsafeMutablePointer<Float>,
    kernels: any KernelSet
  ) {
    forwardBeforeLast(parameters, noisy: noisy, kernels: kernels)
    forwardLast(parameters, noisy: noisy, features: features, kernels: kernels)
  }

  /// Computes all layers but the last.
  ///
  /// - Parameter dropout: With the images' indices; nil for none. Inputs of layers are dropped, the last layer's too.
  func forwardBeforeLast(
    _ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>,
    dropout: (masks: Dropout, indices: UnsafePointer<UInt32>)? = nil, kernels: any KernelSet
  ) {
    for (index, layer) in layers.enumerated() {
      if let dropout {
        let values = index == 0 ? droppedImage.pointer : activations[index - 1].pointer
        let elements = (index == 0 ? droppedImage.count : activations[index - 1].count) / laneCount
        if index == 0 { values.update(from: noisy, count: elements * laneCount) }
        dropout.masks.apply(values, elements: elements, site: .convolution(index), indices: dropout.indices)
      }
      guard index < layers.count - 1 else { return }
      layer.forward(
        parameters, input: input(index, noisy, isDropped: dropout != nil), output: activations[index].pointer,
        kernels: kernels)
    }
  }

  /// Computes the last layer.
  ///
  /// - Parameters:
  ///   - isDropped: Whether `forwardBeforeLast` has dropped inputs.
  ///   - blocks: Which of `rowBlocks`; nil for all.
  func forwardLast(
    _ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>, isDropped: Bool = false,
    features: UnsafeMutablePointer<Float>, blocks: Range<Int>? = nil, kernels: any KernelSet
  ) {
    layers[layers.count - 1].forward(
      parameters, input: input(layers.count - 1, noisy, isDropped: isDropped), output: features, blocks: blocks,
      kernels: kernels)
  }

  /// What a layer reads.
  private func input(_ layer: Int, _ noisy: UnsafePointer<Float>, isDropped: Bool) -> UnsafePointer<Float> {
    if layer > 0 { return UnsafePointer(activations[layer - 1].pointer) }
    return isDropped ? UnsafePointer(droppedImage.pointer) : noisy
  }

  /// Adds the gradients of the last layer's parameters of 16 images, and gives that of its input to `backwardBeforeLast`.
  ///
  /// - Parameters:
  ///   - featureGradient: With one scale the gradient before the last layer's activation, else that of the features
  ///     themselves (`MultiScaleLayer.backward`). Overwritten.
  ///   - isDropped, kernels: What `forwardLast` was given.
  ///   - blocks: Which of `rowBlocks`, whose calls come in order; nil for all.
  func backwardLast(
    noisy: UnsafePointer<Float>, featureGradient: UnsafeMutablePointer<Float>, isDropped: Bool = false,
    blocks: Range<Int>? = nil, kernels: any KernelSet
  ) {
    let last = layers.count - 1
    // The gradient comes from the upper branch, which has passed the activation.
    layers[last].backward(
      input: input(last, noisy, isDropped: isDropped), outputGradient: featureGradient, output: nil,
      inputGradient: last == 0 ? nil : gradient.pointer, blocks: blocks, kernels: kernels)
  }

  /// Adds the gradients of all other layers' parameters.
  ///
  /// - Parameters:
  ///   - free: Memory that `backwardLast` has done with: its gradient of the features.
  ///   - dropout: What `forwardBeforeLast` was given.
  func backwardBeforeLast(
    noisy: UnsafePointer<Float>, free: UnsafeMutablePointer<Float>, dropout: Dropout? = nil, kernels: any KernelSet
  ) {
    var (outputGradient, freeGradient) = (gradient.pointer, free)
    for index in layers.indices.dropLast().reversed() {
      let output = activations[index]
      dropout?.applyGradient(dropped: output.pointer, gradient: outputGradient, count: output.count)
      layers[index].backward(
        input: input(index, noisy, isDropped: dropout != nil), outputGradient: outputGradient,
        output: UnsafePointer(output.pointer), inputGradient: index == 0 ? nil : freeGradient, kernels: kernels)
      swap(&outputGradient, &freeGradient)
    }
  }

  /// Adds the lane sums to the gradient and starts new ones: the end of a canonical part.
  func flush(into gradient: UnsafeMutablePointer<Float>) { for layer in layers { layer.flush(into: gradient) } }
}
