internal import Foundation
internal import KernelInterface
internal import Network
internal import Synchronization
internal import Tensors

/// Sums the gradients of a rank's threads, range by range, as they are completed.
///
/// The tree is that of ranks (`HalvingPlan`): neighbours first, the lower one takes the sum. Thread w has its own gradient
/// and those of the threads up to the next power of two; thread 0 ends with all. So n ranks of m threads give the bits of
/// n·m ranks.
final class ThreadSum {
  /// Each thread's gradient; the first is the rank's.
  let gradients: [FloatBuffer]
  private let kernels: any KernelSet
  private let progress: [Progress]

  private final class Progress: Sendable {
    /// Ranges of this step whose sums are complete as far as this thread's part of the tree goes.
    let completed = Atomic(0)
  }

  /// - Parameter gradient: The rank's, and the first thread's.
  init(threads: Int, gradient: FloatBuffer, layout: ParameterLayout, kernels: any KernelSet) {
    gradients = [gradient] + (1..<max(threads, 1)).map { _ in layout.parameterBuffer() }
    progress = (0..<threads).map { _ in Progress() }
    self.kernels = kernels
  }

  /// Begins a step, before any thread does.
  func begin() { for thread in progress { thread.completed.store(0, ordering: .relaxed) } }

  /// Adds other threads' gradients to a range that this thread has completed.
  ///
  /// - Parameter whileWaiting: Called again and again until the other threads have completed theirs.
  func complete(_ range: Range<Int>, thread: Int, whileWaiting: () -> Void) {
    let number = progress[thread].completed.load(ordering: .relaxed)
    var distance = 1
    while thread & distance == 0 && thread + distance < gradients.count {
      let other = thread + distance
      while progress[other].completed.load(ordering: .acquiring) <= number {
        whileWaiting()
        sched_yield()
      }
      kernels.addArray(
        gradients[other].pointer + range.lowerBound, into: gradients[thread].pointer + range.lowerBound,
        count: range.count)
      distance *= 2
    }
    progress[thread].completed.store(number + 1, ordering: .releasing)
  }
}
