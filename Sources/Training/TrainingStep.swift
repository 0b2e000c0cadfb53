public import Collectives
public import Datasets
public import Diffusion
public import KernelInterface
public import Network
public import Tensors

/// One step of training, from a shard of the minibatch to new parameters: the whole path of the data in one place.
///
///     images → lanes → forward process → network → objective → gradient → sum over ranks → optimizer
///
/// Everything it needs is allocated once; a step itself allocates nothing.
public final class TrainingStep {
  /// What one step found out; the same on all ranks.
  public struct Outcome: Sendable {
    /// J of the minibatch, in bits/pixel, before the update.
    public var objective: Double
    /// Tensors whose gradient was not finite.
    public var badTensors: Int
    /// Ranks that were asked to stop.
    public var stopRequests: Int
    /// Seconds of this rank's forward process, forward and backward pass.
    public var computeSeconds: Double
  }

  /// What every step of a run shares.
  public struct Recipe: Sendable {
    /// Images of a full minibatch, over all ranks.
    public var batchSize: Int
    /// How t is drawn.
    public var timeSampling: TimeSampling
    /// The probability of dropping an input of a layer.
    public var dropoutRate: Double
    /// The run's seed.
    public var seed: UInt64
    /// How gradients are summed over the ranks.
    public var reduction: Reduction
    /// In which format gradients and updates travel.
    public var wirePrecision: WirePrecision

    /// Describes a recipe; see the properties.
    public init(
      batchSize: Int, timeSampling: TimeSampling, dropoutRate: Double, seed: UInt64, reduction: Reduction,
      wirePrecision: WirePrecision = .float32
    ) {
      self.batchSize = batchSize
      self.timeSampling = timeSampling
      self.dropoutRate = dropoutRate
      self.seed = seed
      self.reduction = reduction
      self.wirePrecision = wirePrecision
    }
  }

  private let recipe: Recipe
  private let dataset: ImageDataset
  private let forwardProcess: ForwardProcess
  private let model: ReverseModel
  private let exchange: GradientExchange
  private let dropout: Dropout?
  private let batch: DiffusedBatch
  private let images = LaneImages()
  private let times: AlignedBuffer<Int32>
  private let fullShare: Minibatch
  private let lastShare: Minibatch
  private let profile: StepProfile?
  private let inputProfile: SectionProfile
  private let diffusionProfile: SectionProfile

  /// Seconds spent in communication since the run began, on this rank.
  public var communicationTime: CommunicationTime { exchange.time }

  /// The parameters being trained.
  public let parameters: FloatBuffer

  /// Allocates all that a step needs.
  public init(
    recipe: Recipe, dataset: ImageDataset, standardization: Standardization, schedule: NoiseSchedule,
    architecture: Architecture, layout: ParameterLayout, parameters: FloatBuffer, optimizer: Optimizer,
    communicator: Communicator, kernels: any KernelSet, profile: StepProfile? = nil
  ) {
    self.profile = profile
    inputProfile = SectionProfile(profile, "input")
    diffusionProfile = SectionProfile(profile, "forward process")
    self.recipe = recipe
    self.dataset = dataset
    self.parameters = parameters
    let (rank, ranks) = (communicator.rank, communicator.rankCount)
    fullShare = Minibatch(images: recipe.batchSize, batchSize: recipe.batchSize, rank: rank, ranks: ranks)
    lastShare = Minibatch(
      images: dataset.count % recipe.batchSize, batchSize: recipe.batchSize, rank: rank, ranks: ranks)
    let capacity = max(1, fullShare.groups.count, lastShare.groups.count)
    forwardProcess = ForwardProcess(
      schedule: schedule, scale: standardization.scale, shift: standardization.shift,
      elements: dataset.shape.elements, seed: recipe.seed, kernels: kernels)
    batch = DiffusedBatch(
      colors: architecture.colorCount, width: architecture.spatialWidth, basisCount: architecture.temporalBasisCount,
      groupCapacity: capacity)
    dropout = Dropout(
      rate: recipe.dropoutRate, seed: recipe.seed, architecture: architecture, kernels: kernels)
    model = ReverseModel(
      architecture, layout: layout, kernels: kernels, groupCapacity: capacity, partCapacity: fullShare.parts.count,
      forTraining: true, dropout: dropout, profile: profile)
    times = AlignedBuffer(count: recipe.batchSize)
    exchange = GradientExchange(
      layout: layout, ranges: model.gradientRanges, parameters: parameters, optimizer: optimizer,
      reduction: recipe.reduction, wirePrecision: recipe.wirePrecision, communicator: communicator, profile: profile)
    model.prepare(parameters)
  }

  /// The ranges of the parameters that this rank updates, and whose moments and average it keeps.
  public var ownedRanges: [Range<Int>] { exchange.ownedRanges }

  /// Brings what each rank keeps of the training state to all ranks: before a checkpoint, an evaluation, figures.
  ///
  /// - Throws: `CollectiveError` where the ranks cannot exchange it.
  public func gather(_ state: TrainingState) throws {
    for buffer in state.scatteredBuffers { try exchange.gather(buffer) }
  }

  /// Takes a step.
  ///
  /// - Parameters:
  ///   - step: Steps taken before this one, over the whole run: what random numbers are keyed by.
  ///   - positions: The minibatch, as a range of positions in `order`.
  ///   - order: The epoch's order of the images.
  ///   - isStopRequested: Whether this rank was asked to stop; the outcome tells all ranks.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their gradients.
  public func take(
    step: Int, positions: Range<Int>, order: [Int32], learningRate: Double, isStopRequested: Bool
  ) throws -> Outcome {
    let share = positions.count == recipe.batchSize ? fullShare : lastShare
    let draws = model.architecture.timesPerMinibatch
    let start = ContinuousClock.now
    var objective = 0.0
    for draw in 0..<draws {
      let noiseStep = step * draws + draw
      diffuse(share, positions, order, noiseStep: noiseStep, draws: draws)
      dropout?.begin(step: noiseStep)
      try model.gradient(
        parameters, batch: batch, parts: share.parts, gradient: exchange.gradient, accumulating: draw > 0
      ) { progress in
        // Only the last draw's additions complete a range.
        if draw == draws - 1 { try exchange.advance(progress) }
      }
      objective += objectiveSum(share) / Double(positions.count * draws)
    }
    let computeSeconds = start.duration(to: .now).seconds
    let sums = try exchange.finish(
      objective: objective, isStopRequested: isStopRequested, learningRate: learningRate)
    model.prepare(parameters)
    profile?.enter(nil)
    return Outcome(
      objective: sums.objective, badTensors: sums.badTensors, stopRequests: sums.stopRequests,
      computeSeconds: computeSeconds)
  }

  /// Forward process of this rank's share, with a t for every image of the global minibatch.
  private func diffuse(
    _ share: Minibatch, _ positions: Range<Int>, _ order: [Int32], noiseStep: Int, draws: Int
  ) {
    inputProfile.begin()
    recipe.timeSampling.draw(
      count: positions.count, trajectoryLength: model.architecture.trajectoryLength, seed: recipe.seed,
      step: noiseStep, into: times.elements)
    let weight = forwardProcess.schedule.objectiveWeight(
      images: positions.count * draws, pixels: dataset.shape.height * dataset.shape.width)
    dataset.withPixels { pixels in
      guard let base = pixels.baseAddress else { return }
      for (group, range) in share.groups.enumerated() {
        inputProfile.begin()
        images.count = 0
        for position in range {
          let index = Int(order[positions.lowerBound + position])
          images.append(
            pixels: base + index * dataset.shape.elements, index: index, time: Int(times[position]))
        }
        diffusionProfile.begin()
        forwardProcess.diffuse(images, step: noiseStep, gradientWeight: Float(weight), into: batch, group: group)
      }
    }
  }

  /// Σ J over this rank's images, in bits/pixel.
  private func objectiveSum(_ share: Minibatch) -> Double {
    var sum = 0.0
    for (group, range) in share.groups.enumerated() {
      for lane in 0..<range.count {
        sum += forwardProcess.schedule.objective(
          divergence: batch.divergence[group * laneCount + lane], colors: batch.colors,
          pixels: batch.width * batch.width)
      }
    }
    return sum
  }
}
