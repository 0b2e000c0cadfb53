internal import Collectives
internal import Foundation
internal import KernelInterface
internal import Synchronization
internal import Tensors

/// Sums the gradients of a rank's threads, bucket by bucket, as they are completed.
///
/// The tree is that of ranks (`HalvingPlan`): neighbours first, the lower one takes the sum. Thread w has its own buckets
/// and adds those of the threads up to the next power of two; thread 0, whose buckets are the rank's, ends with all. So n
/// ranks of m threads give the bits of n·m ranks.
final class ThreadSum {
  private let kernels: any KernelSet
  private let buckets: [Range<Int>]
  private let places: BucketPlaces
  /// Of all threads but the first.
  private let memory: [FloatBuffer]
  private let progress: [Progress]
  /// Buckets of the steps before this one.
  private var stepBase = 0

  /// How far a thread is, in buckets since the run began.
  private final class Progress: Sendable {
    /// Buckets whose sums are complete as far as this thread's part of the tree goes.
    let completed = Atomic(0)
    /// Of them, those that its neighbour has added to its own.
    let taken = Atomic(0)
  }

  /// - Parameters:
  ///   - buckets: In the order in which each thread computes them.
  ///   - places: Where the other threads' lie.
  init(threads: Int, buckets: [Range<Int>], places: BucketPlaces, kernels: any KernelSet) {
    self.kernels = kernels
    self.buckets = buckets
    self.places = places
    memory = (1..<max(threads, 1)).map { _ in FloatBuffer(count: places.count) }
    progress = (0..<threads).map { _ in Progress() }
  }

  /// Ends a step, in which every thread has completed all buckets.
  func endStep() { stepBase += buckets.count }

  /// Where a thread other than the first computes a bucket; waits until its place is free.
  func place(of bucket: Int, thread: Int) -> UnsafeMutablePointer<Float> {
    while progress[thread].taken.load(ordering: .acquiring) < stepBase + places.predecessors[bucket] { sched_yield() }
    return start(bucket, thread: thread)
  }

  private func start(_ bucket: Int, thread: Int) -> UnsafeMutablePointer<Float> {
    memory[thread - 1].pointer + places.offsets[bucket]
  }

  /// Adds other threads' buckets to one that this thread has completed.
  ///
  /// - Parameters:
  ///   - sum: Where this thread's lies.
  ///   - whileWaiting: Called again and again until the other threads have completed theirs.
  func complete(_ bucket: Int, at sum: UnsafeMutablePointer<Float>, thread: Int, whileWaiting: () -> Void) {
    let number = stepBase + bucket
    var distance = 1
    while thread & distance == 0 && thread + distance < progress.count {
      let other = thread + distance
      while progress[other].completed.load(ordering: .acquiring) <= number {
        whileWaiting()
        sched_yield()
      }
      kernels.addArray(start(bucket, thread: other), into: sum, count: buckets[bucket].count)
      progress[other].taken.store(number + 1, ordering: .releasing)
      distance *= 2
    }
    progress[thread].completed.store(number + 1, ordering: .releasing)
  }
}
