import Tensors

/// The order in which an epoch visits the images.
public enum EpochPermutation {
  /// All indices 0 ..< count in the order of one epoch.
  ///
  /// A Fisher–Yates shuffle over counter-based random numbers: a pure function of its arguments, so every rank computes the
  /// same order, and a resumed run the one it would have had.
  ///
  /// - Parameters:
  ///   - count: Number of images, 0 ... 2³¹ − 1.
  ///   - seed: The run's seed.
  ///   - epoch: The epoch, from 0.
  public static func order(count: Int, seed: UInt64, epoch: Int) -> [Int32] {
    precondition((0...Int(Int32.max)).contains(count), "Image indices are 32-bit numbers.")
    let random = CounterRandom(seed: seed, purpose: .permutation, step: epoch)
    var order = Array(0..<Int32(count))
    for last in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(last, random.integer(below: last + 1, index: last))
    }
    return order
  }
}
