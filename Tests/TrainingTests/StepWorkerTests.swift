import Collectives
import Datasets
import Diffusion
import Network
import TestSupport
import Tensors
import Testing

@testable import Training

/// What a minibatch is averaged over: `n_t_per_minibatch` draws of t and noise.
@Suite struct StepWorkerTests {
  private let batchSize = 20
  private let dataset: ImageDataset
  private let kernels = try? KernelChoice.kernels(requested: nil)

  init() {
    let shape = ImageShape(colors: 1, height: 8, width: 8)
    let pixels = (0..<20 * shape.elements).map { UInt8(truncatingIfNeeded: $0 * 97 + $0 / 64 * 31) }
    dataset = ImageDataset(name: "stripes", shape: shape, pixels: pixels)
  }

  /// A worker with so many draws of t.
  private func worker(_ draws: Int, _ sampling: TimeSampling, dropoutRate: Double) throws -> StepWorker {
    let recipe = TrainingStep.Recipe(
      batchSize: batchSize, timeSampling: sampling, dropoutRate: dropoutRate, seed: 4, reduction: .fixedOrder)
    let architecture = architecture(draws)
    return StepWorker(
      0, of: 1, recipe: recipe, dataset: dataset, standardization: try Standardization(of: dataset),
      schedule: NoiseSchedule(
        trajectoryLength: architecture.trajectoryLength, temporalBasisCount: architecture.temporalBasisCount,
        firstStepBeta: architecture.firstStepBeta),
      architecture: architecture, layout: ParameterLayout(architecture), kernels: try #require(kernels), profile: nil)
  }

  private func architecture(_ draws: Int) -> Architecture {
    var architecture = Architecture()
    architecture.spatialWidth = 8
    architecture.trajectoryLength = 40
    architecture.temporalBasisCount = 4
    architecture.denseLowerWidth = 12
    architecture.denseLowerLayers = 2
    architecture.convolutionChannels = 5
    architecture.convolutionLayers = 2
    architecture.denseUpperWidth = 6
    architecture.timesPerMinibatch = draws
    return architecture
  }

  /// Numbers that are no layer's optimum, in every tensor.
  private func parameters(_ layout: ParameterLayout) -> FloatBuffer {
    let random = CounterRandom(seed: 2, purpose: .initialization, step: 0)
    let parameters = layout.parameterBuffer()
    for entry in layout.entries {
      for index in entry.range { parameters[index] = Float(0.3 * (2 * random.uniform(index: 0, element: index) - 1)) }
    }
    return parameters
  }

  private func gradient(
    _ worker: StepWorker, _ parameters: FloatBuffer, step: Int
  ) -> (objective: Double, gradient: [Double]) {
    let gradient = worker.model.layout.parameterBuffer()
    let order = (0..<batchSize).map { Int32(($0 * 7) % batchSize) }
    worker.model.prepare(parameters)
    let objective = worker.gradient(parameters, step: step, positions: 0..<batchSize, order: order, into: gradient) {
      _ in
    }
    return (objective, gradient.elements.map(Double.init))
  }

  @Test(
    "several draws of t are the mean of as many minibatches of one draw, each with its own t and noise",
    arguments: TimeSampling.allCases, [0, 0.2])
  func mean(_ sampling: TimeSampling, _ dropoutRate: Double) throws {
    let (draws, step) = (3, 5)
    let several = try worker(draws, sampling, dropoutRate: dropoutRate)
    let single = try worker(1, sampling, dropoutRate: dropoutRate)
    let parameters = parameters(several.model.layout)
    let result = gradient(several, parameters, step: step)
    let parts = (0..<draws).map { gradient(single, parameters, step: step * draws + $0) }
    #expect(Set(parts.map(\.objective)).count == draws)
    #expect(
      objectiveDistance(result.objective, parts.reduce(0) { $0 + $1.objective } / Double(draws)) < 1e-12)
    for entry in several.model.layout.entries {
      let mean = entry.range.map { index in parts.reduce(0) { $0 + $1.gradient[index] } / Double(draws) }
      #expect(relativeDistance(entry.range.map { result.gradient[$0] }, mean) < 1e-5, "\(entry.name)")
    }
  }

  @Test("the gradient of several draws is the slope of their mean objective")
  func slope() throws {
    let worker = try worker(4, .perImage, dropoutRate: 0)
    let layout = worker.model.layout
    let parameters = parameters(layout)
    let analytic = gradient(worker, parameters, step: 1).gradient
    for entry in layout.entries {
      // Along the tensor's own gradient: the steepest slope, far above float32's noise.
      let norm = entry.range.reduce(0) { $0 + analytic[$1] * analytic[$1] }.squareRoot()
      func moved(_ distance: Double) -> Double {
        let moved = layout.parameterBuffer()
        for index in 0..<layout.count { moved[index] = parameters[index] }
        for index in entry.range { moved[index] += Float(distance * analytic[index] / norm) }
        return gradient(worker, moved, step: 1).objective
      }
      let step = 2e-3
      let slope = (moved(step) - moved(-step)) / (2 * step)
      #expect(abs(slope - norm) < 0.03 * norm, "\(entry.name): slope \(slope), gradient \(norm)")
    }
  }
}
