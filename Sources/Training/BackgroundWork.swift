internal import Foundation
internal import Tensors

/// Work that rank 0 does beside training: drawing figures, writing the run's page.
///
/// One piece after the other on a thread of the lowest priority, so that the step, which the other ranks wait for, goes
/// on. No MPI there. What goes wrong is told at the next piece, or at the end.
final class BackgroundWork {
  /// A piece of work.
  typealias Piece = @Sendable () throws(InputError) -> Void

  private let shared = Shared()

  /// What both threads share.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    // All under the condition's lock.
    var piece: Piece?
    var failure: InputError?
    var seconds = 0.0
    var isOver = false
  }

  /// Starts the thread.
  init() {
    let thread = Thread { [shared] in
      // Linux gives priorities to threads; 0 is the calling one.
      setpriority(__priority_which_t(0), 0, 19)
      while Self.doPiece(of: shared) {}
    }
    thread.name = "dpm figures"
    thread.stackSize = 8 << 20
    thread.start()
  }

  deinit {
    shared.condition.withLock {
      shared.isOver = true
      shared.condition.broadcast()
    }
  }

  /// Processor time of all pieces so far, in seconds.
  var seconds: Double { shared.condition.withLock { shared.seconds } }

  /// Hands over a piece, once the one before is done.
  ///
  /// - Throws: What an earlier piece threw.
  func submit(_ piece: @escaping Piece) throws(InputError) {
    try finish()
    shared.condition.withLock {
      shared.piece = piece
      shared.condition.broadcast()
    }
  }

  /// Hands over a piece if there is nothing else to do; a later one will make up for it.
  ///
  /// - Throws: What an earlier piece threw.
  func submitIfIdle(_ piece: @escaping Piece) throws(InputError) {
    if shared.condition.withLock({ shared.piece == nil }) { try submit(piece) }
  }

  /// Waits until all is done.
  ///
  /// - Throws: What a piece threw.
  func finish() throws(InputError) {
    let failure = shared.condition.withLock {
      while shared.piece != nil { shared.condition.wait() }
      defer { shared.failure = nil }
      return shared.failure
    }
    if let failure { throw failure }
  }

  /// Waits for a piece and does it; returns false when there will be none.
  private static func doPiece(of shared: Shared) -> Bool {
    let piece: Piece? = shared.condition.withLock {
      while shared.piece == nil && !shared.isOver { shared.condition.wait() }
      return shared.piece
    }
    guard let piece else { return false }
    var failure: InputError?
    let start = processorSeconds()
    do throws(InputError) { try piece() } catch { failure = error }
    shared.condition.withLock {
      shared.piece = nil
      shared.failure = shared.failure ?? failure
      shared.seconds += processorSeconds() - start
      shared.condition.broadcast()
    }
    return true
  }

  /// Of the calling thread.
  private static func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
