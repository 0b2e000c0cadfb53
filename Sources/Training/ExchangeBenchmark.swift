public import Collectives
internal import Datasets
internal import Foundation
internal import Network
internal import Tensors

/// Times the exchange of a step, sums to their owners and updates to all, for several sizes: what an α-β model is fitted to.
public struct ExchangeBenchmark {
  /// One size.
  public struct Exchange: Encodable, Sendable {
    /// Bytes of the gradient, as it travels.
    public var bytes: Int
    /// Seconds of a whole exchange that nothing hides; the median.
    public var seconds: Double
    /// Seconds that the sum takes from a computation that it hides behind: copying, converting, adding; the median.
    public var pollSeconds: Double

    enum CodingKeys: String, CodingKey {
      case bytes, seconds
      case pollSeconds = "poll_seconds"
    }
  }

  /// What was measured; the keys of `dpm-benchmark --exchange --json`.
  public struct Result: Encodable, Sendable {
    /// Ranks of the job.
    public var ranks: Int
    /// From the smallest to the whole gradient.
    public var exchanges: [Exchange]
  }

  /// About the time between two polls of a step.
  private static let pollInterval = 200e-6
  /// Floats of a bucket, about those of a step's: one long message may be slower than several (over TCP at 1 Gbit/s by a third).
  private static let bucketCount = 1 << 17
  /// Seconds of polling before the rank waits, under the watchdog's eyes: each poll is a wait of its own.
  private static let longestPolling = 1.0

  private let configuration: Configuration

  /// A benchmark of the exchange that a configuration's step makes: its wire precision, its reduction, up to its size.
  public init(_ configuration: Configuration) { self.configuration = configuration }

  /// Measures, by messages also where a step would use a host's memory: what is between hosts; collective.
  ///
  /// - Throws: `InputError` for a configuration that cannot run, `CollectiveError` where ranks fail.
  public func run(on communicator: Communicator) throws -> Result {
    let (configuration, _) = try BenchmarkSetup.completed(configuration, communicator: communicator)
    let whole = ParameterLayout(configuration.model).count
    var exchanges: [Exchange] = []
    for count in Array(sequence(first: 256) { 4 * $0 < whole ? 4 * $0 : nil }) + [whole] {
      exchanges.append(try exchange(count, configuration.distributed, on: communicator))
    }
    return Result(ranks: communicator.rankCount, exchanges: exchanges)
  }

  private func exchange(
    _ count: Int, _ distribution: Configuration.Distribution, on communicator: Communicator
  ) throws -> Exchange {
    let parameters = FloatBuffer(count: count)
    let exact = distribution.wirePrecision == .float32 ? parameters : FloatBuffer(count: count)
    let buckets = stride(from: 0, to: count, by: Self.bucketCount).map { $0..<min(count, $0 + Self.bucketCount) }
    let reducer = try GradientReducer(
      communicator: communicator, gradient: FloatBuffer(count: count), buckets: buckets,
      reduction: distribution.reduction, wirePrecision: distribution.wirePrecision)
    var whole: [Double] = []
    var polling: [Double] = []
    for _ in 0..<(count < 1 << 18 ? 41 : 11) {
      try communicator.barrier()
      let start = ContinuousClock.now
      for bucket in buckets.indices { try reducer.begin(bucket: bucket) }
      try reducer.finish()
      try reducer.allGatherUpdates(exact: exact, into: parameters, largestUpdate: 1e-3)
      whole.append(start.duration(to: .now).seconds)

      try communicator.barrier()
      let (before, beginning) = (reducer.time.polling, ContinuousClock.now)
      for bucket in buckets.indices { try reducer.begin(bucket: bucket) }
      while !reducer.isIdle, beginning.duration(to: .now).seconds < Self.longestPolling {
        let pause = ContinuousClock.now
        while pause.duration(to: .now).seconds < Self.pollInterval {}
        try reducer.poll()
      }
      polling.append(reducer.time.polling - before)
      try reducer.finish()
    }
    func slowest(_ seconds: [Double]) throws -> Double {
      try communicator.maximum(of: seconds.sorted()[seconds.count / 2])
    }
    return Exchange(
      bytes: distribution.wirePrecision.byteCount * count, seconds: try slowest(whole),
      pollSeconds: try slowest(polling))
  }
}
