internal import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// What a benchmark needs of a run: a model with initial parameters and images of the data set's shape.
struct BenchmarkSetup {
  let configuration: Configuration
  let kernels: any KernelSet
  let dataset: ImageDataset
  let standardization: Standardization
  let schedule: NoiseSchedule
  let layout: ParameterLayout
  let state: TrainingState
  /// The ranks that have one copy of the state's parameters; nil where each has its own.
  let block: HostBlock?
  /// The kernels that OpenBLAS chose; on rank 0 only.
  let openBLASCore: String?

  /// Collective.
  ///
  /// - Throws: `InputError` for a configuration that cannot run, `CollectiveError` where ranks fail.
  init(_ requested: Configuration, communicator: Communicator) throws {
    let kernels = try communicator.chooseKernels()
    let (configuration, shape) = try Self.completed(requested, communicator: communicator)
    let layout = ParameterLayout(configuration.model)
    let openBLAS = try communicator.onRankZero("load OpenBLAS") { try OpenBLAS() }
    let initial = openBLAS.map {
      layout.initialParameters(seed: configuration.training.seed, kernels: kernels, openBLAS: $0)
    }
    openBLASCore = openBLAS?.coreName
    self.configuration = configuration
    self.kernels = kernels
    self.layout = layout
    dataset = Self.randomImages(shape, count: configuration.training.batchSize)
    standardization = try Standardization(of: dataset)
    schedule = NoiseSchedule(configuration.model)
    block = try HostBlock(
      communicator, reduction: configuration.distributed.reduction,
      wirePrecision: configuration.distributed.wirePrecision)
    state = TrainingState(
      parameters: try layout.parameters(initial, sharedBy: block), layout: layout, recipe: configuration.training,
      block: block, kernels: kernels)
    try state.broadcast(communicator)
  }

  /// The configuration for images of the data set's shape, checked against the ranks; collective.
  ///
  /// - Throws: `InputError` for a configuration that cannot run, `CollectiveError` where ranks have different ones.
  static func completed(
    _ requested: Configuration, communicator: Communicator
  ) throws -> (configuration: Configuration, shape: ImageShape) {
    try communicator.requireSameOnAllRanks(requested.facts)
    return try communicator.agree("check the configuration") {
      let shape = try requested.dataset.name.shape(width: requested.spatialWidth, colors: requested.colorCount)
      let completed = try requested.completed(for: shape)
      try Trainer.check(completed, imageCount: completed.training.batchSize, rankCount: communicator.rankCount)
      return (completed, shape)
    }
  }

  /// Images of random pixels: a step's time does not depend on what they show.
  private static func randomImages(_ shape: ImageShape, count: Int) -> ImageDataset {
    let random = CounterRandom(seed: 1, purpose: .permutation, step: 0)
    let pixels = (0..<(count * shape.elements + 15) / 16).flatMap { block in
      let words = random.words(index: 0, block: block)
      return (0..<4).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: words[word] >> UInt32(8 * $0)) } }
    }
    return ImageDataset(name: "random images", shape: shape, pixels: Array(pixels.prefix(count * shape.elements)))
  }
}
