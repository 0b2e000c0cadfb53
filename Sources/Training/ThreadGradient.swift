internal import Collectives
internal import Network

/// One thread's gradient, bucket by bucket: where it computes each, and who takes it over when it is complete.
///
///     thread 1 … : into its own memory → added by a neighbour (`ThreadSum`)
///     thread 0   : where the exchange says → with the others' added, exchanged with other ranks (`GradientExchange`)
final class ThreadGradient: GradientStorage {
  private let thread: Int
  private let buckets: [Range<Int>]
  private let threadSum: ThreadSum
  private let exchange: GradientExchange
  private let weightSharing: WeightSharing?
  /// Where the bucket lies that is being computed.
  private var current: UnsafeMutablePointer<Float>?
  /// What kept this rank from exchanging, if anything has: nothing is exchanged afterwards.
  private(set) var failure: CollectiveError?

  init(
    thread: Int, buckets: [Range<Int>], threadSum: ThreadSum, exchange: GradientExchange,
    weightSharing: WeightSharing?
  ) {
    self.weightSharing = weightSharing
    self.thread = thread
    self.buckets = buckets
    self.threadSum = threadSum
    self.exchange = exchange
  }

  func place(_ range: Range<Int>) -> UnsafeMutablePointer<Float> {
    let bucket = bucket(range)
    if thread == 0 { tryUnlessFailed { () throws(CollectiveError) in try exchange.waitForPlace(of: bucket) } }
    let place = thread == 0 ? exchange.place(of: bucket) : threadSum.place(of: bucket, thread: thread)
    current = place
    return place
  }

  /// Hands over what is complete, waits for what the computation needs of other workers, and now and then moves the exchange on;
  /// only the first thread talks to other ranks.
  func report(_ progress: GradientProgress) {
    switch progress {
    case .completed(let range):
      guard let current else { preconditionFailure("a bucket that is complete had a place") }
      let bucket = bucket(range)
      threadSum.complete(bucket, at: current, thread: thread) { poll() }
      if thread == 0 { tryUnlessFailed { () throws(CollectiveError) in try exchange.begin(bucket: bucket) } }
    case .working: poll()
    case .needsTransformedWeights:
      guard let weightSharing else { return }
      tryUnlessFailed { () throws(CollectiveError) in
        if thread == 0 {
          try exchange.wait { () throws(CollectiveError) in try weightSharing.wait(thread: thread) }
        } else {
          try weightSharing.wait(thread: thread)
        }
      }
    }
  }

  private func poll() {
    if thread == 0 { tryUnlessFailed { () throws(CollectiveError) in try exchange.poll() } }
  }

  private func tryUnlessFailed(_ work: () throws(CollectiveError) -> Void) {
    guard failure == nil else { return }
    do { try work() } catch { failure = error }
  }

  private func bucket(_ range: Range<Int>) -> Int {
    guard let bucket = buckets.firstIndex(of: range) else { preconditionFailure("a range of the gradient is a bucket") }
    return bucket
  }
}
