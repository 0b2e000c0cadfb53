import Foundation
import Synchronization

/// The threads of a rank: this one, and others that sleep between two pieces of work.
///
/// MPI is called by this thread alone (the level FUNNELED).
public final class ThreadTeam {
  /// Threads, the calling one included.
  public let count: Int
  private let shared = Shared()

  /// What the threads share; they keep it alive, the team itself may go.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    // All under the condition's lock.
    var work: ((Int) -> Void)?
    var round = 0
    var unfinished = 0
    var isOver = false
  }

  /// Starts `count - 1` threads.
  public init(count: Int) {
    precondition(count >= 1, "a team has this thread at least")
    self.count = count
    for index in 1..<max(count, 1) {
      let thread = Thread { [shared] in Self.serve(shared, index: index) }
      thread.name = "dpm \(index)"
      // Thread's own default is small on some systems.
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  deinit {
    shared.condition.withLock {
      shared.isOver = true
      shared.condition.broadcast()
    }
  }

  /// Runs `work` once on each thread and returns when all are done.
  ///
  /// - Parameter work: Takes the thread's number; the calling thread is number 0.
  public func run(_ work: (Int) -> Void) {
    guard count > 1 else { return work(0) }
    withoutActuallyEscaping(work) { work in
      shared.condition.withLock {
        shared.work = work
        shared.round += 1
        shared.unfinished = count - 1
        shared.condition.broadcast()
      }
      work(0)
      shared.condition.withLock {
        while shared.unfinished > 0 { shared.condition.wait() }
        shared.work = nil
      }
    }
  }

  private static func serve(_ shared: Shared, index: Int) {
    var round = 0
    while doWork(of: shared, after: &round, index: index) {
      shared.condition.withLock {
        shared.unfinished -= 1
        if shared.unfinished == 0 { shared.condition.broadcast() }
      }
    }
  }

  /// Waits for work and does it; returns false when there will be none.
  ///
  /// A function of its own, so that the work, which does not escape `run`, is let go before it is said to be done.
  @inline(never)
  private static func doWork(of shared: Shared, after round: inout Int, index: Int) -> Bool {
    let work: ((Int) -> Void)? = shared.condition.withLock {
      while shared.round == round && !shared.isOver { shared.condition.wait() }
      round = shared.round
      return shared.isOver ? nil : shared.work
    }
    work?(index)
    return work != nil
  }
}
