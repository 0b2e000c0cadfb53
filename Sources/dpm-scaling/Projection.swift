import Foundation

/// Efficiency at numbers of ranks that nobody has measured: measured computation, and an α-β model of communication.
///
/// A step's exchange sends (n-1)/n of the gradient's bytes twice, in log₂ n rounds for each bucket: sums to their owners,
/// then updated parameters to all. Rounds cost α, bytes β. Sums of all buckets but the last hide behind the rest of the
/// backward pass, as long as that takes; gathering hides behind nothing. Computation is a part that every rank repeats and
/// one for each lane group of 16 images, which is why strong scaling ends where a rank has less than a group.
struct Projection {
  /// A network between ranks.
  struct Network: Equatable {
    var name: String
    /// Seconds of a message's way.
    var latency: Double
    /// Bytes a second that a rank gets through.
    var bandwidth: Double
  }

  /// Half of a round trip, and what TCP or verbs leave of the line's rate, as published measurements have them.
  static let networks = [
    Network(name: "1GbE", latency: 50e-6, bandwidth: 0.117e9),
    Network(name: "10GbE", latency: 30e-6, bandwidth: 1.15e9),
    Network(name: "25GbE", latency: 20e-6, bandwidth: 2.9e9), Network(name: "100GbE", latency: 5e-6, bandwidth: 11.5e9),
    Network(name: "HDR", latency: 1.5e-6, bandwidth: 24e9),
  ]

  var network: Network
  /// Seconds of computation that do not depend on the share, and for each lane group.
  var fixedSeconds: Double
  var groupSeconds: Double
  /// Of a step's computation, the part behind the first bucket's completion.
  var windowShare: Double
  /// As they travel, in the order of completion.
  var bucketBytes: [Double]
  var mode: ScalingStudy.Mode
  var batchSize: Int

  /// One number of ranks.
  struct Row: Encodable {
    var ranks: Int
    var stepSeconds: Double
    var exposedSeconds: Double
    var efficiency: Double
  }

  private func compute(_ ranks: Int) -> Double {
    let share = Double(batchSize) / (mode == .strong ? Double(ranks) : 1)
    return fixedSeconds + groupSeconds * max(1, (share / 16).rounded(.up))
  }

  private func exposed(_ ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let rounds = log2(Double(ranks)).rounded(.up)
    let part = Double(ranks - 1) / Double(ranks)
    func exchange(_ buckets: ArraySlice<Double>) -> Double {
      buckets.reduce(0) { $0 + rounds * network.latency + part * $1 / network.bandwidth }
    }
    let sums = exchange(bucketBytes[...])
    let hidden = min(exchange(bucketBytes.dropLast()), windowShare * compute(ranks))
    // The message between the two exchanges: which tensors are finite.
    return sums - hidden + 2 * rounds * network.latency + exchange(bucketBytes[...])
  }

  /// A row for each number of ranks.
  func rows(_ counts: [Int]) -> [Row] {
    let base = compute(1)
    return counts.map { ranks in
      let step = compute(ranks) + exposed(ranks)
      let ideal = mode == .strong ? base / Double(ranks) : base
      return Row(ranks: ranks, stepSeconds: step, exposedSeconds: exposed(ranks), efficiency: ideal / step)
    }
  }

  /// A table.
  func text(_ counts: [Int]) -> String {
    let lines = rows(counts).map {
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

  /// Latency and bandwidth by least squares from measured exchanges: seconds = rounds·α + bytes·β.
  ///
  /// Weighted by 1/seconds, so that small messages, which alone tell of α, count as much as large ones.
  static func fit(_ measured: [(bytes: Double, seconds: Double)], ranks: Int) -> Network {
    let rounds = 2 * log2(Double(ranks)).rounded(.up)
    let part = 2 * Double(ranks - 1) / Double(ranks)
    var (aa, ab, bb, at, bt) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for (bytes, seconds) in measured {
      let (a, b) = (rounds / seconds, part * bytes / seconds)
      aa += a * a
      ab += a * b
      bb += b * b
      at += a
      bt += b
    }
    let determinant = aa * bb - ab * ab
    let (alpha, beta) = ((at * bb - bt * ab) / determinant, (bt * aa - at * ab) / determinant)
    return Network(name: "the network measured", latency: max(alpha, 0), bandwidth: 1 / max(beta, 1e-15))
  }
}
