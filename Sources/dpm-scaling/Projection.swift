import Foundation

/// Efficiency at numbers of ranks that nobody has measured: measured computation, and an α-β model of communication.
///
/// A step's exchange sends (n-1)/n of the gradient's bytes twice, in log₂ n rounds: sums to their owners, then updates to
/// all. Rounds cost α, bytes β; the buckets' sums queue for the link in the order in which the backward pass completes them,
/// and hide behind what is left of it. Updates hide behind nothing. What hides is not free: the processor copies, converts
/// and adds. Computation is a part that every rank repeats and one for each lane group of 16 images, which is why strong
/// scaling ends where a rank has less than a group.
struct Projection {
  /// A network between ranks.
  struct Network: Equatable, Encodable {
    var name: String
    /// Seconds of a message's way.
    var latency: Double
    /// Bytes a second that a rank gets through.
    var bandwidth: Double

    enum CodingKeys: String, CodingKey {
      case name
      case latency = "latency_seconds"
      case bandwidth = "bytes_per_second"
    }

    /// JSON has no infinity, which a bandwidth is that noise has hidden: it becomes null.
    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(name, forKey: .name)
      try values.encode(latency, forKey: .latency)
      try values.encode(bandwidth.isFinite ? bandwidth : nil, forKey: .bandwidth)
    }
  }

  /// Half of a round trip, and what TCP or verbs leave of the line's rate, as published measurements have them.
  static let networks = [
    Network(name: "1GbE", latency: 50e-6, bandwidth: 0.117e9),
    Network(name: "10GbE", latency: 30e-6, bandwidth: 1.15e9),
    Network(name: "25GbE", latency: 20e-6, bandwidth: 2.9e9), Network(name: "100GbE", latency: 5e-6, bandwidth: 11.5e9),
    Network(name: "HDR", latency: 1.5e-6, bandwidth: 24e9),
  ]

  /// A bucket of the gradient.
  struct Bucket: Equatable {
    /// As it travels.
    var bytes: Double
    /// Seconds from its completion to the end of the backward pass, on one rank.
    var lead: Double
  }

  /// An exchange that was measured.
  struct Exchange {
    var bytes: Double
    var seconds: Double
    var pollSeconds: Double
  }

  var network: Network
  /// Seconds that each byte which is sent for a sum takes from the computation.
  var pollSecondsPerByte: Double
  /// Seconds of computation that do not depend on the share, and for each lane group.
  var fixedSeconds: Double
  var groupSeconds: Double
  /// In the order of completion.
  var buckets: [Bucket]
  var mode: ScalingStudy.Mode
  var batchSize: Int

  /// One number of ranks.
  struct Row: Encodable {
    var ranks: Int
    var stepSeconds: Double
    var exposedSeconds: Double
    var efficiency: Double

    enum CodingKeys: String, CodingKey {
      case ranks, efficiency
      case stepSeconds = "step_seconds"
      case exposedSeconds = "exposed_communication_seconds"
    }
  }

  private func compute(_ ranks: Int) -> Double {
    let share = Double(batchSize) / (mode == .strong ? Double(ranks) : 1)
    return fixedSeconds + groupSeconds * max(1, (share / 16).rounded(.up))
  }

  /// The part of the gradient's bytes that a rank sends in each of the two exchanges.
  private static func sentPart(_ ranks: Int) -> Double { Double(ranks - 1) / Double(ranks) }

  private var bytes: Double { buckets.reduce(0) { $0 + $1.bytes } }

  private func exposed(_ ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let ways = log2(Double(ranks)).rounded(.up) * network.latency
    let part = Self.sentPart(ranks)
    let pace = compute(ranks) / compute(1)
    // When the link is free again, counted from the end of the backward pass.
    let free = buckets.reduce(-Double.infinity) {
      max($0, -pace * $1.lead) + part * $1.bytes / network.bandwidth
    }
    // Between the two exchanges goes a message, which tensors are finite, and behind them another, that all have everything.
    return max(0, free + ways) + 2 * ways + ways + part * bytes / network.bandwidth
  }

  /// What is predicted for a number of ranks.
  func row(_ ranks: Int) -> Row {
    let exposed = exposed(ranks)
    let step = compute(ranks) + Self.sentPart(ranks) * bytes * pollSecondsPerByte + exposed
    let ideal = mode == .strong ? compute(1) / Double(ranks) : compute(1)
    return Row(ranks: ranks, stepSeconds: step, exposedSeconds: exposed, efficiency: ideal / step)
  }

  /// A table.
  func text(_ counts: [Int]) -> String {
    let lines = counts.map(row).map {
      String(
        format: "%5d  %9.5f s  %9.5f s  %5.1f %%", $0.ranks, $0.stepSeconds, $0.exposedSeconds, 100 * $0.efficiency)
    }
    return """
      predicted, not measured: \(mode.rawValue) scaling over \(network.name), latency \
      \(String(format: "%.1f us, %.2f GB/s", network.latency * 1e6, network.bandwidth / 1e9)), one rank a port
      ranks   step          exposed      efficiency
      \(lines.joined(separator: "\n"))
      """
  }

  /// Latency, bandwidth and the price of hiding from measured exchanges: seconds = rounds·α + bytes·β.
  ///
  /// β is the slope of the line of least squares, which the largest exchanges determine; α is the smallest exchange's, since
  /// a line's intercept is lost in the noise of the largest, and switches let through short bursts at more than their rate.
  static func fit(_ measured: [Exchange], ranks: Int) -> (network: Network, pollSecondsPerByte: Double) {
    let part = sentPart(ranks)
    let count = Double(measured.count)
    let meanBytes = measured.reduce(0) { $0 + $1.bytes } / count
    let meanSeconds = measured.reduce(0) { $0 + $1.seconds } / count
    let product = measured.reduce(0) { $0 + ($1.bytes - meanBytes) * ($1.seconds - meanSeconds) }
    let square = measured.reduce(0) { $0 + ($1.bytes - meanBytes) * ($1.bytes - meanBytes) }
    let rounds = 2 * log2(Double(ranks)).rounded(.up)
    let smallest = measured.map(\.seconds).min() ?? 0
    return (
      Network(
        name: "the network measured", latency: smallest / rounds,
        bandwidth: 2 * part * square / max(product, .leastNormalMagnitude)),
      measured.reduce(0) { $0 + $1.pollSeconds } / (part * meanBytes * count)
    )
  }
}
