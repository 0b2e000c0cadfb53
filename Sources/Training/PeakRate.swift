internal import KernelInterface
internal import Tensors

/// The fused multiply-add peak of the core that runs this, measured: what a step is compared with.
enum PeakRate {
  /// The highest of several short runs, in 10⁹ floating-point operations a second.
  static func gigaflops(_ kernels: any KernelSet) -> Double {
    let result = FloatBuffer(count: laneCount)
    var best = 0.0
    for _ in 0..<20 {
      result[0] = 1e-3
      result[1] = 1e-3
      let start = ContinuousClock.now
      let operations = kernels.multiplyAddChains(rounds: 200_000, result: result.pointer)
      best = max(best, Double(operations) / start.duration(to: .now).seconds / 1e9)
    }
    return best
  }
}
