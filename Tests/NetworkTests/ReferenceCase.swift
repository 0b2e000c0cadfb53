import Foundation
import Network
import Tensors
import TestSupport

/// A reference model of any architecture with pseudo-random parameters and draws.
struct ReferenceCase {
  let model: ReferenceModel
  let draws: [ReferenceDraw]

  /// Draws parameters of the size that keeps activations near 1, images and noise; all are numbers of single precision.
  ///
  /// - Parameter imageCount: Images; their times are spread over the whole trajectory.
  init(_ architecture: Architecture, imageCount: Int, seed: UInt64 = 1) {
    let random = CounterRandom(seed: seed, purpose: .initialization, step: 0)
    func numbers(_ stream: Int, _ count: Int, scale: Double) -> [Double] {
      (0..<count).map { Double(Float((2 * random.uniform(index: stream, element: $0) - 1) * scale)) }
    }
    var parameters: NamedTensors = [:]
    for (stream, (name, shape)) in ReferenceModel.parameterShapes(architecture).sorted(by: { $0.key < $1.key })
      .enumerated()
    {
      let inputs = shape.dropFirst().reduce(1, *)
      parameters[name] = numbers(stream, shape.reduce(1, *), scale: shape.count == 1 ? 0.3 : sqrt(3 / Double(inputs)))
    }
    let elements = architecture.imageElements
    model = ReferenceModel(architecture, parameters: parameters)
    draws = (0..<imageCount).map { image in
      ReferenceDraw(
        clean: numbers(1000 + 2 * image, elements, scale: 1.7), noise: numbers(1001 + 2 * image, elements, scale: 1.7),
        time: 1 + (image * 7 + 1) % (architecture.trajectoryLength - 1))
    }
  }
}

extension Architecture {
  /// Sizes that a test cares about.
  init(
    width: Int, colors: Int, length: Int = 20, bumps: Int = 3, channels: Int, layers: Int, scales: Int = 1,
    dense: (layers: Int, width: Int, outputs: Int)? = nil, upper: (layers: Int, width: Int)
  ) {
    self.init()
    spatialWidth = width
    colorCount = colors
    trajectoryLength = length
    temporalBasisCount = bumps
    convolutionChannels = channels
    convolutionLayers = layers
    scaleCount = scales
    denseLowerLayers = dense?.layers ?? 0
    denseLowerWidth = dense?.width ?? 0
    denseLowerOutputs = dense?.outputs ?? 1
    denseUpperLayers = upper.layers
    denseUpperWidth = upper.width
  }
}
