public import Collectives
internal import Datasets
internal import KernelInterface
internal import Network
internal import Tensors

/// Times the drawing of a figure's samples, from noise to image, shared out over the ranks.
public struct SampleBenchmark {
  /// What was measured; the keys of `dpm-benchmark --sample --json`.
  public struct Result: Encodable, Sendable {
    /// The data set whose images' shape was taken.
    public var config: String
    /// Ranks of the job.
    public var ranks: Int
    /// Threads of a rank.
    public var threads: Int
    /// Images drawn.
    public var samples: Int
    /// Reverse steps of each image.
    public var reverseSteps: Int
    /// Seconds of the whole trajectory.
    public var fullTrajectorySeconds: Double
    /// Seconds of one reverse step of all images.
    public var stepSeconds: Double
    /// Images per second, over all ranks.
    public var imagesPerSecond: Double
    /// Most memory of each rank, in bytes.
    public var peakRssBytes: [Int]
    /// The processor's name.
    public var cpu: String
    /// The kernels in use.
    public var kernels: String

    enum CodingKeys: String, CodingKey {
      case config, ranks, threads, samples
      case reverseSteps = "reverse_steps"
      case fullTrajectorySeconds = "full_trajectory_seconds"
      case stepSeconds = "step_seconds"
      case imagesPerSecond = "images_per_second"
      case peakRssBytes = "peak_rss_bytes"
      case cpu, kernels
    }
  }

  private let configuration: Configuration

  /// A benchmark of a configuration's sampling.
  public init(_ configuration: Configuration) { self.configuration = configuration }

  /// Measures; collective.
  ///
  /// - Throws: `InputError` for a configuration that cannot run, `CollectiveError` where ranks fail.
  public func run(on communicator: Communicator) throws -> Result {
    let setup = try BenchmarkSetup(configuration, communicator: communicator)
    let architecture = setup.configuration.model
    let threads = setup.configuration.distributed.threads
    let trajectory = SampleTrajectory(
      standardization: setup.standardization, schedule: setup.schedule, architecture: architecture,
      layout: setup.layout, communicator: communicator, threads: threads, kernels: setup.kernels)
    let start = ContinuousClock.now
    let samples = setup.configuration.output.sampleCount
    _ = try trajectory.draw(setup.state.parameters, [.init(count: samples)])
    let seconds = try communicator.maximum(of: start.duration(to: .now).seconds)
    let steps = architecture.trajectoryLength - 1
    let report = try HostReport(communicator, threads: threads)
    return Result(
      config: setup.configuration.dataset.name.rawValue, ranks: communicator.rankCount, threads: threads,
      samples: samples,
      reverseSteps: steps, fullTrajectorySeconds: seconds, stepSeconds: seconds / Double(steps),
      imagesPerSecond: Double(samples) / seconds,
      peakRssBytes: report.ranks.map(\.peakResidentBytes), cpu: CPU.name, kernels: setup.kernels.name)
  }
}
