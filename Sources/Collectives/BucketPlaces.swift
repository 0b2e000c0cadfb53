/// Where a gradient's buckets lie while they are computed and summed: in memory for a few of them, used again and again.
///
/// What is computed next then lies in a cache, and a rank does not hold a gradient's whole length beside the part that it owns.
public struct BucketPlaces: Sendable {
  /// Where each bucket begins, in floats.
  public let offsets: [Int]
  /// For each bucket, how many of the step's buckets before it must have been summed before it is computed.
  public let predecessors: [Int]
  /// Floats in all.
  public private(set) var count = 0

  /// Floats from which on places are used again: 4 MiB, so that a rank may be a few buckets ahead of another.
  private static let enough = 1 << 20

  /// Lays out buckets one behind the other, from the start again where they come to the end.
  ///
  /// - Parameters:
  ///   - buckets: Ranges of the gradient, in the order in which they are computed.
  ///   - isReused: Whether places serve again within a step; not where several passes add to a gradient.
  public init(_ buckets: [Range<Int>], isReused: Bool) {
    // Borders lie at cache lines, as in the gradient.
    let counts = buckets.map { ($0.count + HalvingPlan.alignment - 1) / HalvingPlan.alignment * HalvingPlan.alignment }
    // Enough that no bucket comes to lie on the one just before it, for which all ranks would wait.
    let least = zip(counts, counts.dropFirst()).map { $0 + 2 * $1 }.max() ?? counts.first ?? 0
    let capacity = isReused ? max(Self.enough, least) : counts.reduce(0, +)
    var offsets: [Int] = []
    var predecessors: [Int] = []
    var end = 0
    for (bucket, count) in counts.enumerated() {
      let start = end + count <= capacity ? end : 0
      end = start + count
      let last = (0..<bucket).last { offsets[$0] < end && start < offsets[$0] + counts[$0] }
      predecessors.append(last.map { $0 + 1 } ?? 0)
      offsets.append(start)
      self.count = max(self.count, end)
    }
    self.offsets = offsets
    self.predecessors = predecessors
  }
}
