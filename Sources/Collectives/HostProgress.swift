import Foundation
import Synchronization
import Tensors

/// How far each worker of a host has come: a number each, which only grows, in memory that all of them see.
///
/// A worker is a thread of a rank. What it has written before its number grew, those have who have seen the number.
public final class HostProgress {
  private let block: HostBlock?
  private let memory: FloatBuffer
  /// By rank of the block, then by worker; each alone in its cache line.
  private let counts: [UnsafeMutablePointer<Atomic<Int>>]
  private let workersPerRank: Int

  /// Shares the numbers, all zero; collective with a block.
  ///
  /// - Parameter block: The ranks; nil for this one alone.
  /// - Throws: `CollectiveError` where ranks fail or have no memory.
  public init(_ block: HostBlock?, workersPerRank: Int = 1) throws(CollectiveError) {
    self.block = block
    self.workersPerRank = workersPerRank
    let workers = (block?.ranks.count ?? 1) * workersPerRank
    let line = 64 / MemoryLayout<Float>.stride
    memory = try block?.sharedBuffer(count: workers * line) ?? FloatBuffer(count: workers * line)
    counts = (0..<workers).map { [memory] in
      UnsafeMutableRawPointer(memory.pointer + $0 * line).assumingMemoryBound(to: Atomic<Int>.self)
    }
  }

  /// Tells all others that a worker of this rank has come to `count`.
  public func store(_ count: Int, worker: Int = 0) {
    counts[(block?.place ?? 0) * workersPerRank + worker].pointee.store(count, ordering: .releasing)
  }

  /// A worker that has yet to come to `count`, by its place; nil where all have.
  private func workerBehind(_ count: Int) -> Int? {
    counts.firstIndex { $0.pointee.load(ordering: .acquiring) < count }
  }

  /// A rank of the block of which a worker has yet to come to `count`; nil where all have.
  func rankBehind(_ count: Int) -> Int? {
    workerBehind(count).map { (block?.ranks.lowerBound ?? 0) + $0 / workersPerRank }
  }

  /// Waits until all have come to `count`.
  ///
  /// - Parameter worker: Which of this rank's waits; the first does so under the watchdog's eyes.
  /// - Throws: `CollectiveError` where ranks fail.
  public func wait(for count: Int, worker: Int = 0) throws(CollectiveError) {
    if let block, worker == 0 {
      try block.communicator.wait(
        .weightTransforms, for: rankBehind(count).flatMap { $0 == block.communicator.rank ? nil : $0 },
        until: { workerBehind(count) == nil }, looking: { () throws(CollectiveError) in false })
    } else {
      // There may be more threads than cores.
      while workerBehind(count) != nil { sched_yield() }
    }
  }
}
