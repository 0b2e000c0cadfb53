public import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// Times training steps on random images: what a run would do, without data, log and files.
public struct StepBenchmark {
  /// What was measured; the keys of `dpm-benchmark --json` (FORMATS.md, "Measurements").
  public struct Result: Encodable, Sendable {
    /// The data set whose images' shape was taken.
    public var config: String
    /// Ranks of the job.
    public var ranks: Int
    /// Threads of a rank.
    public var threads: Int
    /// Images of a minibatch, over all ranks.
    public var batch: Int
    /// Steps that were timed.
    public var steps: Int
    /// Images per second, over all ranks, at the median step.
    public var imagesPerSecond: Double
    /// Seconds of a step.
    public var stepSecondsMedian: Double
    /// Seconds of a step; the mean, as are the next three.
    public var stepSecondsMean: Double
    /// Of them, seconds of the forward process, forward and backward pass; the mean over the ranks.
    public var computeSecondsMean: Double
    /// Seconds by which those of the step's slowest rank exceed that.
    public var imbalanceSeconds: Double
    /// Seconds that a step waited for communication, the slowest rank's computation among it; the mean over the ranks.
    public var waitingSecondsMean: Double
    /// Seconds of the fastest step.
    public var stepSecondsMin: Double
    /// Seconds of the forward process, forward and backward pass of a step; the median, on the slowest rank.
    public var forwardBackwardSeconds: Double
    /// Seconds that a step waited for communication; the mean, on the rank that waited longest.
    public var exposedCommunicationSeconds: Double
    /// Seconds of the forward process, forward and backward pass of a step, median, on each rank.
    public var computeSecondsByRank: [Double]
    /// Seconds from a step's first message to its last; the mean, on the rank with most.
    public var communicationSeconds: Double
    /// Seconds of a step between each bucket's completion and the backward pass's end: what its sum can hide behind; the
    /// mean, rank 0's.
    public var bucketLeadSeconds: [Double]
    /// Seconds in which rank 0 looked up a step's images.
    public var inputSeconds: Double
    /// Bytes that a rank sends in a step; the mean.
    public var bytesSentPerStep: Double
    /// Bytes of each bucket of the gradient as they travel, in the order of their completion.
    public var bucketBytes: [Int]
    /// 10⁹ operations of a step by the direct-convolution count, 3 × forward.
    public var gflopPerStep: Double
    /// Most memory of each rank, in bytes.
    public var peakRssBytes: [Int]
    /// The processor's name.
    public var cpu: String
    /// The kernels in use.
    public var kernels: String
    /// The kernels that OpenBLAS chose for LAPACK.
    public var openBLASCore: String
    /// The measured peak of a core's multiply-adds, in 10⁹ operations a second; the lowest of all ranks.
    public var peakGigaflops: Double
    /// `gflopPerStep` a second and rank over that peak; above 1 where Winograd saves operations.
    public var effectiveOverPeak: Double
    /// When the first step ended on the last rank, in seconds since 1970: what a launcher's start is subtracted from.
    public var firstStepUnixSeconds: Double
    /// Where rank 0's time went; nil where no profile was asked for.
    public var profile: ProfileTable?

    enum CodingKeys: String, CodingKey {
      case config, ranks, threads, batch, steps
      case imagesPerSecond = "images_per_second"
      case stepSecondsMedian = "step_seconds_median"
      case stepSecondsMean = "step_seconds_mean"
      case computeSecondsMean = "compute_seconds_mean"
      case imbalanceSeconds = "imbalance_seconds"
      case waitingSecondsMean = "waiting_seconds_mean"
      case stepSecondsMin = "step_seconds_min"
      case forwardBackwardSeconds = "forward_backward_seconds"
      case exposedCommunicationSeconds = "exposed_communication_seconds"
      case computeSecondsByRank = "compute_seconds_by_rank"
      case communicationSeconds = "communication_seconds"
      case bucketLeadSeconds = "bucket_lead_seconds"
      case inputSeconds = "input_seconds"
      case bytesSentPerStep = "bytes_sent_per_step"
      case bucketBytes = "bucket_bytes"
      case gflopPerStep = "gflop_per_step"
      case peakRssBytes = "peak_rss_bytes"
      case cpu, kernels, profile
      case openBLASCore = "openblas_core"
      case peakGigaflops = "fma_peak_gflops"
      case effectiveOverPeak = "effective_over_peak"
      case firstStepUnixSeconds = "first_step_unix_seconds"
    }
  }

  private let configuration: Configuration
  private let steps: Int
  private let profiles: Bool

  /// A benchmark of a configuration's step.
  ///
  /// - Parameters:
  ///   - steps: How many are timed, behind three that warm up.
  ///   - profiles: Whether to note where time goes; the clock's calls cost a few percent.
  public init(_ configuration: Configuration, steps: Int, profiles: Bool = false) {
    self.configuration = configuration
    self.profiles = profiles
    self.steps = steps
  }

  /// Measures; collective.
  ///
  /// - Throws: `InputError` for a configuration that cannot run, `CollectiveError` where ranks fail.
  public func run(on communicator: Communicator) throws -> Result {
    let setup = try BenchmarkSetup(configuration, communicator: communicator)
    let (configuration, kernels, dataset, state) = (setup.configuration, setup.kernels, setup.dataset, setup.state)
    let batchSize = configuration.training.batchSize
    let recipe = configuration.training
    let threads = configuration.distributed.threads
    let profile = profiles ? StepProfile() : nil
    let step = try TrainingStep(
      recipe: TrainingStep.Recipe(configuration), dataset: dataset, standardization: setup.standardization,
      schedule: setup.schedule,
      architecture: configuration.model, layout: setup.layout, parameters: state.parameters, optimizer: state.optimizer,
      communicator: communicator, block: setup.block, threads: threads, kernels: kernels, profile: profile)

    step.release(state)
    let order = (0..<batchSize).map { Int32($0) }
    var seconds: [Double] = []
    var computing: [Double] = []
    var before = (time: CommunicationTime(), bytes: 0, input: 0.0, leads: [Double]())
    var firstStepUnixSeconds = 0.0
    let warmUp = 3
    for index in 0..<warmUp + steps {
      if index == warmUp {
        before = (step.communicationTime, step.bytesSent, step.inputSeconds, step.leadSeconds)
        profile?.reset()
      }
      let start = ContinuousClock.now
      let outcome = try step.take(
        step: index, positions: 0..<batchSize, order: order, learningRate: recipe.learningRate, isStopRequested: false)
      state.step += 1
      state.updateAverage(in: step.ownedRanges)
      if index == 0 { firstStepUnixSeconds = Date().timeIntervalSince1970 }
      guard index >= warmUp else { continue }
      seconds.append(start.duration(to: .now).seconds)
      computing.append(outcome.computeSeconds)
    }
    func perStep(_ part: KeyPath<CommunicationTime, Double>) -> Double {
      (step.communicationTime[keyPath: part] - before.time[keyPath: part]) / Double(steps)
    }
    let compute = computing.sorted()[steps / 2]
    // Rank 0 tells the others' medians too.
    var computeByRank = [Double](repeating: 0, count: communicator.rankCount)
    computeByRank[communicator.rank] = compute
    computeByRank = try communicator.sum(computeByRank)
    let means =
      try communicator.sum([computing.reduce(0, +), (step.communicationTime.exposed - before.time.exposed)])
      .map { $0 / Double(steps) / Double(communicator.rankCount) }
    let slowest = try communicator.maximum(of: computing).reduce(0, +) / Double(steps)
    let sent = [Double(step.bytesSent - before.bytes) / Double(steps) / Double(communicator.rankCount)]
    let report = try HostReport(communicator, threads: threads)
    let peak = try communicator.minimum(of: PeakRate.gigaflops(kernels))
    let median = seconds.sorted()[steps / 2]
    let operations = Double(configuration.model.trainingOperations * batchSize)
    let table = profile.map { profile in
      let images = Minibatch(
        images: batchSize, batchSize: batchSize, rank: communicator.rank * threads,
        ranks: communicator.rankCount * threads
      ).imageCount
      return ProfileTable(
        profile, steps: steps, images: images, stepSeconds: seconds.reduce(0, +) / Double(steps))
    }
    return Result(
      config: configuration.dataset.name.rawValue, ranks: communicator.rankCount, threads: threads, batch: batchSize,
      steps: steps, imagesPerSecond: Double(batchSize) / median, stepSecondsMedian: median,
      stepSecondsMean: seconds.reduce(0, +) / Double(steps), computeSecondsMean: means[0],
      imbalanceSeconds: slowest - means[0], waitingSecondsMean: means[1],
      stepSecondsMin: seconds.min() ?? median,
      forwardBackwardSeconds: computeByRank.max() ?? compute,
      exposedCommunicationSeconds: try communicator.maximum(of: perStep(\.exposed)),
      computeSecondsByRank: computeByRank, communicationSeconds: try communicator.maximum(of: perStep(\.total)),
      bucketLeadSeconds: zip(step.leadSeconds, before.leads).map { ($0 - $1) / Double(steps) },
      inputSeconds: (step.inputSeconds - before.input) / Double(steps),
      bytesSentPerStep: try communicator.sum(sent)[0],
      bucketBytes: step.bucketCounts.map { configuration.distributed.wirePrecision.byteCount * $0 },
      gflopPerStep: operations / 1e9,
      peakRssBytes: report.ranks.map(\.peakResidentBytes), cpu: CPU.name, kernels: kernels.name,
      openBLASCore: setup.openBLASCore ?? "", peakGigaflops: peak,
      effectiveOverPeak: operations / median / 1e9 / Double(communicator.rankCount * threads) / peak,
      firstStepUnixSeconds: try communicator.maximum(of: firstStepUnixSeconds), profile: table)
  }
}
