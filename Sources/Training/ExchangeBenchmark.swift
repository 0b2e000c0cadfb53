public import Collectives
internal import Tensors

/// Times the exchange of a step, sums to their owners and back to all, for several sizes: what an α-β model is fitted to.
public struct ExchangeBenchmark {
  /// One size.
  public struct Exchange: Encodable, Sendable {
    /// Bytes of the gradient.
    public var bytes: Int
    /// Seconds of a whole exchange; the median.
    public var seconds: Double
  }

  /// What was measured; the keys of `dpm-benchmark --exchange --json`.
  public struct Result: Encodable, Sendable {
    /// Ranks of the job.
    public var ranks: Int
    /// From the smallest to the largest.
    public var exchanges: [Exchange]
  }

  /// A benchmark of exchanges in single precision.
  public init() {}

  /// Measures; collective.
  ///
  /// - Throws: `CollectiveError` where ranks fail.
  public func run(on communicator: Communicator) throws -> Result {
    let largest = 1 << 22
    var exchanges: [Exchange] = []
    var count = 256
    while count <= largest {
      let reducer = GradientReducer(
        communicator: communicator, gradient: FloatBuffer(count: count), buckets: [0..<count])
      var seconds: [Double] = []
      for _ in 0..<(count < 1 << 18 ? 41 : 11) {
        try communicator.barrier()
        let start = ContinuousClock.now
        try reducer.begin(bucket: 0)
        try reducer.finish()
        seconds.append(start.duration(to: .now).seconds)
      }
      exchanges.append(
        Exchange(bytes: 4 * count, seconds: try communicator.maximum(of: seconds.sorted()[seconds.count / 2])))
      count *= 4
    }
    return Result(ranks: communicator.rankCount, exchanges: exchanges)
  }
}
