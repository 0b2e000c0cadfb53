import Diffusion
import KernelInterface
import Network
import Tensors
import TestSupport
import Testing

/// Few images, computed one at a time, against their lanes of a whole group.
@Suite struct PlanarPassTests {
  static let architectures = [
    // MNIST's shape: tiles of 6 and 4 pixels, and pixels that fill no whole number of vectors.
    Architecture(width: 28, colors: 1, channels: 20, layers: 3, dense: (2, 70, 2), upper: (2, 5)),
    // CIFAR-10's, with layers wide enough for other strips.
    Architecture(width: 32, colors: 3, channels: 100, layers: 2, dense: (1, 6, 5), upper: (3, 7)),
    // Tiles of one width; more than fit one band; no dense branch.
    Architecture(width: 48, colors: 1, channels: 5, layers: 3, upper: (2, 5)),
    // One convolution, which is no Winograd convolution; one upper layer.
    Architecture(width: 16, colors: 3, channels: 4, layers: 1, dense: (2, 100, 1), upper: (1, 1)),
    // Scales, down to 4 pixels: planes whose last vector ends in the next one.
    Architecture(width: 16, colors: 1, channels: 5, layers: 2, scales: 2, dense: (2, 6, 2), upper: (2, 5)),
    Architecture(width: 32, colors: 3, channels: 36, layers: 3, scales: 4, upper: (2, 5)),
    // What it does not apply to: odd and small widths, at any scale.
    Architecture(width: 20, colors: 1, channels: 5, layers: 2, scales: 3, dense: (2, 6, 2), upper: (2, 5)),
    Architecture(width: 17, colors: 1, channels: 5, layers: 2, dense: (2, 6, 2), upper: (2, 5)),
    Architecture(width: 10, colors: 1, channels: 5, layers: 2, dense: (2, 6, 2), upper: (2, 5)),
  ]

  @Test(
    "the readouts of few images are those of their lanes, bit for bit", arguments: architectures,
    GoldenNetworkTests.kernelNames)
  func bits(_ architecture: Architecture, _ kernels: String) throws {
    let kernels = try KernelChoice.kernels(requested: kernels)
    let layout = ParameterLayout(architecture)
    let parameters = FloatBuffer(count: layout.count)
    fill(parameters.elements, seed: 1, scale: 0.3)
    for (groups, isForSamples) in [(1, false), (2, false), (1, true), (2, true)] {
      let batch = batch(architecture, groups: groups)
      let model = ReverseModel(
        architecture, layout: layout, kernels: kernels, groupCapacity: groups, partCapacity: 1, forTraining: false,
        isForSamples: isForSamples)
      model.prepare(parameters)
      let count = groups * 2 * batch.targetStride
      func readouts(_ images: Int) -> FloatBuffer {
        batch.imageCounts[groups - 1] = images
        let result = FloatBuffer(count: count)
        model.readouts(parameters, batch: batch, groups: groups, into: result)
        return result
      }
      let whole = readouts(laneCount)
      for images in 1...8 {
        let few = readouts(images)
        let differing = (0..<count).filter {
          $0 / (2 * batch.targetStride) < groups - 1 || $0 % laneCount < images
        }.count { few[$0] != whole[$0] }
        #expect(differing == 0, "\(images) image(s) in the last of \(groups) group(s)")
      }
    }
  }

  @Test("new parameters count")
  func newParameters() throws {
    let architecture = Self.architectures[0]
    let kernels = try KernelChoice.kernels(requested: nil)
    let layout = ParameterLayout(architecture)
    let batch = batch(architecture, groups: 1)
    batch.imageCounts[0] = 1
    let parameters = FloatBuffer(count: layout.count)
    func readouts(_ model: ReverseModel) -> [Float] {
      model.prepare(parameters)
      let result = FloatBuffer(count: 2 * batch.targetStride)
      model.readouts(parameters, batch: batch, groups: 1, into: result)
      return Array(result.elements)
    }
    func model() -> ReverseModel {
      ReverseModel(
        architecture, layout: layout, kernels: kernels, groupCapacity: 1, partCapacity: 1, forTraining: false,
        isForSamples: true)
    }
    fill(parameters.elements, seed: 1, scale: 0.3)
    let used = model()
    let before = readouts(used)
    fill(parameters.elements, seed: 2, scale: 0.3)
    #expect(readouts(used) == readouts(model()))
    #expect(readouts(used) != before)
  }

  /// Random images within their borders, and temporal weights that differ from lane to lane.
  private func batch(_ architecture: Architecture, groups: Int) -> DiffusedBatch {
    let width = architecture.spatialWidth
    let batch = DiffusedBatch(
      colors: architecture.colorCount, width: width, basisCount: architecture.temporalBasisCount,
      groupCapacity: groups)
    fill(batch.noisy.elements, seed: 3, scale: 1)
    fill(batch.basis.elements, seed: 4, scale: 1)
    let side = width + 2
    for pixel in 0..<batch.noisy.count / laneCount {
      let (y, x) = (pixel / side % side, pixel % side)
      guard y == 0 || x == 0 || y == side - 1 || x == side - 1 else { continue }
      for lane in 0..<laneCount { batch.noisy[pixel * laneCount + lane] = 0 }
    }
    return batch
  }

  /// Reproducible numbers between ±scale.
  private func fill(_ values: UnsafeMutableBufferPointer<Float>, seed: UInt64, scale: Double) {
    let random = CounterRandom(seed: seed, purpose: .initialization, step: 0)
    for index in values.indices { values[index] = Float(scale * (2 * random.uniform(index: 0, element: index) - 1)) }
  }
}
