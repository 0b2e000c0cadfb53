internal import Collectives
internal import Network
internal import Tensors

/// One memory for the transformed weights of all workers of a host: this rank's threads, and those of its block's other ranks.
///
/// Each transforms a share, and waits for the others' only when it needs them: behind the dense branch's forward pass.
final class WeightSharing {
  private let architecture: Architecture
  private let memory: FloatBuffer
  private let workers: Range<Int>
  private let workerCount: Int
  /// Steps of which each worker has transformed its share.
  private let progress: HostProgress
  private var step = 1

  /// Allocates the memory, collective with a block; nil where a worker is alone, or there is nothing to transform.
  ///
  /// - Throws: `CollectiveError` where a block's ranks cannot share memory.
  init?(_ architecture: Architecture, block: HostBlock?, threads: Int) throws(CollectiveError) {
    let place = block?.place ?? 0
    workers = place * threads..<(place + 1) * threads
    workerCount = (block?.ranks.count ?? 1) * threads
    let count = TransformedWeights.count(architecture)
    guard workerCount > 1, count > 0 else { return nil }
    self.architecture = architecture
    memory = try block?.sharedBuffer(count: count) ?? FloatBuffer(count: count)
    progress = try HostProgress(block, workersPerRank: threads)
  }

  /// What a thread's model is made with.
  func weights(thread: Int) -> TransformedWeights {
    TransformedWeights(architecture, memory: memory, share: workers.lowerBound + thread, of: workerCount)
  }

  /// Tells the others that a thread has transformed its share for this step.
  func complete(thread: Int) { progress.store(step, worker: thread) }

  /// Waits until all have.
  func wait(thread: Int) throws(CollectiveError) { try progress.wait(for: step, worker: thread) }

  /// Ends a step: nobody will read its transformed weights any more, when ranks have exchanged their updates.
  func endStep() { step += 1 }
}
