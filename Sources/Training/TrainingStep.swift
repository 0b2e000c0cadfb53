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
    /// Ranks that want a checkpoint.
    public var checkpointRequests: Int
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

  private let team: ThreadTeam
  /// Those of this rank's threads.
  private let workers: [StepWorker]
  /// Nil where there is one worker only.
  private let weightSharing: WeightSharing?
  private let objectives: AlignedBuffer<Double>
  private let threadSum: ThreadSum
  private let exchange: GradientExchange
  /// Each thread's.
  private let gradients: [ThreadGradient]
  private let profile: StepProfile?

  /// Seconds spent in communication since the run began, on this rank.
  public var communicationTime: CommunicationTime { exchange.time }

  /// Bytes that this rank has sent since the run began.
  public var bytesSent: Int { exchange.bytesSent }
  /// Numbers of each bucket of the gradient, in the order in which the backward pass completes them.
  public var bucketCounts: [Int] { exchange.bucketCounts }
  /// Seconds from each bucket's completion to the end of the backward pass, added up over the steps so far.
  public var leadSeconds: [Double] { exchange.leadSeconds }
  /// Seconds in which this rank's first thread looked up its images, since the run began.
  public var inputSeconds: Double { workers[0].inputSeconds }

  /// The parameters being trained.
  public let parameters: FloatBuffer

  /// Allocates all that a step needs, and starts the rank's threads; collective.
  ///
  /// - Parameters:
  ///   - threads: Of this rank, the same on all.
  ///   - block: Ranks that have one copy of `parameters`; nil for none.
  /// - Throws: `CollectiveError` where a block's ranks cannot share memory.
  public init(
    recipe: Recipe, dataset: ImageDataset, standardization: Standardization, schedule: NoiseSchedule,
    architecture: Architecture, layout: ParameterLayout, parameters: FloatBuffer, optimizer: Optimizer,
    communicator: Communicator, block: HostBlock?, threads: Int = 1, kernels: any KernelSet, profile: StepProfile? = nil
  ) throws(CollectiveError) {
    self.profile = profile
    self.parameters = parameters
    team = ThreadTeam(count: threads)
    let sendsMessages = communicator.rankCount > block?.ranks.count ?? 1
    let weightSharing = try WeightSharing(architecture, block: block, threads: threads)
    self.weightSharing = weightSharing
    let workers = (0..<threads).map { thread in
      StepWorker(
        communicator.rank * threads + thread, of: communicator.rankCount * threads, recipe: recipe, dataset: dataset,
        standardization: standardization, schedule: schedule, architecture: architecture, layout: layout,
        transformedWeights: weightSharing?.weights(thread: thread), hidesMessages: sendsMessages, kernels: kernels,
        profile: thread == 0 ? profile : nil)
    }
    self.workers = workers
    objectives = AlignedBuffer(count: threads)
    let buckets = workers[0].model.gradientRanges
    // Several draws of t are added up where the first has been.
    let places = BucketPlaces(buckets, isReused: architecture.timesPerMinibatch == 1)
    let exchange = try GradientExchange(
      layout: layout, ranges: buckets, places: places, parameters: parameters, optimizer: optimizer,
      reduction: recipe.reduction, wirePrecision: recipe.wirePrecision, communicator: communicator, block: block,
      profile: profile)
    let threadSum = ThreadSum(threads: threads, buckets: buckets, places: places, kernels: kernels)
    self.exchange = exchange
    self.threadSum = threadSum
    gradients = (0..<threads).map { thread in
      ThreadGradient(
        thread: thread, buckets: buckets, threadSum: threadSum, exchange: exchange, weightSharing: weightSharing)
    }
  }

  /// The ranges of the parameters that this rank updates, and whose moments and average it keeps.
  public var ownedRanges: [Range<Int>] { exchange.ownedRanges }

  /// Brings what each rank keeps of the training state to all ranks: before a checkpoint, an evaluation, figures.
  ///
  /// - Throws: `CollectiveError` where the ranks cannot exchange it.
  public func gather(_ state: TrainingState) throws {
    for buffer in state.scatteredBuffers { try exchange.gather(buffer) }
  }

  /// Brings what each rank has of a buffer of the parameters' layout to all ranks.
  ///
  /// - Throws: `CollectiveError` where the ranks cannot exchange it.
  func gather(_ buffer: FloatBuffer) throws { try exchange.gather(buffer) }

  /// Gives back the memory of what `gather` brought, once it has served.
  public func release(_ state: TrainingState) { state.releaseScattered(keeping: ownedRanges) }

  /// Takes a step.
  ///
  /// - Parameters:
  ///   - step: Steps taken before this one, over the whole run: what random numbers are keyed by.
  ///   - positions: The minibatch, as a range of positions in `order`.
  ///   - order: The epoch's order of the images.
  ///   - isStopRequested: Whether this rank was asked to stop; the outcome tells all ranks.
  ///   - isCheckpointDue: Whether this rank wants a checkpoint; likewise.
  ///   - observer: Is shown this rank's part of the update.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their gradients.
  func take(
    step: Int, positions: Range<Int>, order: [Int32], learningRate: Double, isStopRequested: Bool,
    isCheckpointDue: Bool = false, observer: StepObserver? = nil
  ) throws -> Outcome {
    let start = ContinuousClock.now
    let exposedBefore = exchange.time.exposed
    team.run { thread in
      workers[thread].model.prepare(parameters)
      weightSharing?.complete(thread: thread)
      objectives[thread] = workers[thread].gradient(
        parameters, step: step, positions: positions, order: order, into: gradients[thread]
      ) { progress in gradients[thread].report(progress) }
    }
    threadSum.endStep()
    weightSharing?.endStep()
    if let failure = gradients[0].failure { throw failure }
    // A rank that is ahead of its host's others may have waited for them before its gradient was complete.
    let computeSeconds = start.duration(to: .now).seconds - (exchange.time.exposed - exposedBefore)
    let sums = try exchange.finish(
      objective: objectives.elements.reduce(0, +), isStopRequested: isStopRequested,
      isCheckpointDue: isCheckpointDue, learningRate: learningRate, observer: observer)
    profile?.enter(nil)
    return Outcome(
      objective: sums.objective, badTensors: sums.badTensors, stopRequests: sums.stopRequests,
      checkpointRequests: sums.checkpointRequests, computeSeconds: computeSeconds)
  }
}
