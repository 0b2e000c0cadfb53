import Foundation

/// Where the time of reductions went, in seconds.
public struct CommunicationTime: Equatable, Sendable {
  /// From the first bucket's beginning to the last one's completion.
  public var total = 0.0
  /// Of that, inside `begin` and `poll`: the computation pays it.
  public var polling = 0.0
  /// Of that, inside `finish`, `waitForPlace`, `addExposed` and the gathers between steps: what the step waited.
  public var exposed = 0.0

  /// No time at all.
  public init() {}

  /// Adds the time of a wait for other ranks, apart from a reduction.
  public mutating func addExposed(_ wait: () throws(CollectiveError) -> Void) throws(CollectiveError) {
    let start = monotonicSeconds()
    try wait()
    let seconds = monotonicSeconds() - start
    exposed += seconds
    total += seconds
  }
}

/// Seconds of a clock that nobody sets.
func monotonicSeconds() -> Double {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}
