import KernelInterface
import Tensors

/// The convolutional and upper branches of one image at a time, forward: for a lane group with few images.
///
/// Lanes are an image's pixels and tiles, so a single image costs a tenth of a lane group, not half of it. The image is planar,
/// bordered [channels][W + 2][W + 2]; per-pixel layers run over a plane's rows with their borders, in one go. The bits are those
/// of the image's lane. For samples the dense branch is computed here too (`PlanarDense`).
final class PlanarPass {
  /// Images of a lane group up to which this is faster than half of its lanes are.
  let mostImages: Int

  private let width: Int
  private let colors: Int
  private let denseOutputs: Int
  private let dense: PlanarDense?
  private let kernels: any KernelSet
  private let upper: UpperBranch
  private let channels: Int
  private let layers: [PlanarLayer]
  private let image: FloatBuffer
  /// The output of every other layer but the last.
  private let activations: [FloatBuffer]
  /// The last layer's output, then the dense branch's.
  private let features: FloatBuffer
  private let featureOffsets: AlignedBuffer<Int32>
  /// y_t of the image in every lane, [nb][16].
  private let basis: FloatBuffer
  /// [2·C][(W + 2)²].
  private let readouts: FloatBuffer

  /// Nil where an architecture has layers that Winograd's algorithm does not apply to, or images that are too small.
  ///
  /// - Parameter hasDenseBranch: Whether to compute the dense branch, if there is one.
  init?(
    _ architecture: Architecture, layout: ParameterLayout, transformedWeights: TransformedWeights, upper: UpperBranch,
    hasDenseBranch: Bool, kernels: any KernelSet
  ) {
    let width = architecture.spatialWidth
    let channels = architecture.convolutionChannels
    // A vector that begins in the last row of pixels ends in the border below.
    guard width + 2 > laneCount else { return nil }
    // Wide layers' weights pass by as often for half a group as for an image.
    let mostImages = WinogradWorkspace.isWide(channels: channels) ? 6 : 4
    self.mostImages = mostImages
    let memory = PlanarLayer.Memory(architecture)
    var layers: [PlanarLayer] = []
    for layer in 0..<architecture.convolutionLayers {
      guard
        let planar = PlanarLayer(
          layer: layer, architecture: architecture, layout: layout, transformedWeights: transformedWeights,
          memory: memory, kernels: kernels)
      else { return nil }
      layers.append(planar)
    }
    self.layers = layers
    self.width = width
    self.channels = channels
    self.kernels = kernels
    self.upper = upper
    colors = architecture.colorCount
    dense =
      hasDenseBranch
      ? PlanarDense(architecture, layout: layout, capacity: mostImages, kernels: kernels) : nil
    denseOutputs = architecture.hasDenseBranch ? architecture.denseLowerOutputs : 0
    let plane = (width + 2) * (width + 2)
    image = planes(architecture.colorCount, width: width)
    activations = (0..<min(2, architecture.convolutionLayers - 1)).map { _ in planes(channels, width: width) }
    features = planes(architecture.upperInputs, width: width)
    featureOffsets = AlignedBuffer(count: architecture.upperInputs)
    for channel in 0..<featureOffsets.count { featureOffsets[channel] = Int32(channel * plane) }
    basis = FloatBuffer(count: architecture.temporalBasisCount * laneCount)
    readouts = planes(2 * architecture.colorCount, width: width)
  }

  /// Floats of a plane.
  private var plane: Int { (width + 2) * (width + 2) }
  /// From a plane's start to its first pixel.
  private var interior: Int { width + 3 }

  /// Whether it computes the dense branch.
  var hasDenseBranch: Bool { dense != nil }

  /// Forgets what it has derived from the parameters: there are new ones.
  func prepare() { dense?.prepare() }

  /// Computes the readouts m and g of the first images of a lane group.
  ///
  /// - Parameters:
  ///   - images: How many, at most `mostImages`.
  ///   - noisy: x_t, bordered [C][W + 2][W + 2][16].
  ///   - lanes: The dense branch's output, [H·W][outputs][16]; nil where it has to be computed here, or there is none.
  ///   - basis: y_t of every lane, [nb][16].
  ///   - results: Receives the images' lanes of [2·C][H·W][16].
  func readouts(
    _ parameters: UnsafePointer<Float>, images: Int, noisy: UnsafePointer<Float>, dense lanes: UnsafePointer<Float>?,
    basis: UnsafePointer<Float>, into results: UnsafeMutablePointer<Float>
  ) {
    let rows = lanes == nil ? dense?.forward(parameters, noisy: noisy, images: images) : nil
    for image in 0..<images {
      convolve(parameters, noisy: noisy + image)
      if let lanes {
        copyDense(lanes + image, stride: laneCount)
      } else if let rows {
        copyDense(rows.outputs + image * rows.stride, stride: 1)
      }
      readOut(parameters, basis: basis + image, into: results + image)
    }
  }

  /// Copies the dense branch's values of an image, [H·W][outputs], `stride` floats apart, behind the convolutions' features.
  private func copyDense(_ values: UnsafePointer<Float>, stride: Int) {
    for output in 0..<denseOutputs {
      let target = features.pointer + (channels + output) * plane + interior
      for pixel in 0..<width * width {
        target[pixel / width * (width + 2) + pixel % width] = values[(pixel * denseOutputs + output) * stride]
      }
    }
  }

  /// Computes a lane of the readouts from the features.
  private func readOut(
    _ parameters: UnsafePointer<Float>, basis lane: UnsafePointer<Float>, into results: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<basis.count { basis.pointer[index] = lane[index / laneCount * laneCount] }
    upper.forward(
      parameters, planar: UnsafePointer(features.pointer + interior), offsets: featureOffsets.pointer,
      vectors: planeVectors(width: width), basis: basis.pointer, readouts: readouts.pointer + interior, stride: plane)
    for readout in 0..<2 * colors {
      let source = readouts.pointer + readout * plane + interior
      let target = results + readout * width * width * laneCount
      for pixel in 0..<width * width {
        target[pixel * laneCount] = source[pixel / width * (width + 2) + pixel % width]
      }
    }
  }

  /// Computes the convolutions' features of the image in a lane.
  private func convolve(_ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>) {
    for index in 0..<colors * plane { image.pointer[index] = noisy[index * laneCount] }
    var input = UnsafePointer(image.pointer)
    for (index, layer) in layers.enumerated() {
      let output = index == layers.count - 1 ? features.pointer : activations[index % 2].pointer
      layer.forward(parameters, input: input, output: output)
      input = UnsafePointer(output)
    }
  }
}
