internal import Foundation
internal import Tensors

/// Work that rank 0 does beside training: drawing figures, writing the run's page.
///
/// One piece after the other on a thread of the lowest priority, so that the step, which the other ranks wait for, goes
/// on. No MPI there. What goes wrong waits for `takeFault`.
final class BackgroundWork {
  /// A piece of work.
  typealias Piece = @Sendable () throws(InputError) -> Void

  private let shared = Shared()

  /// What both threads share.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    // All under the condition's lock.
    var pieces: [Piece] = []
    var fault: InputError?
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

  /// Hands over a piece, once all before are done.
  func submit(_ piece: @escaping Piece) {
    finish()
    append(piece)
  }

  /// Hands over a piece that belongs to the one before.
  func append(_ piece: @escaping Piece) {
    shared.condition.withLock {
      shared.pieces.append(piece)
      shared.condition.broadcast()
    }
  }

  /// Hands over a piece if there is nothing else to do; a later one will make up for it.
  func submitIfIdle(_ piece: @escaping Piece) {
    if shared.condition.withLock({ shared.pieces.isEmpty }) { submit(piece) }
  }

  /// Waits until all is done.
  func finish() {
    shared.condition.withLock {
      while !shared.pieces.isEmpty { shared.condition.wait() }
    }
  }

  /// What the first piece threw of those that did since this was asked last.
  func takeFault() -> InputError? {
    shared.condition.withLock {
      defer { shared.fault = nil }
      return shared.fault
    }
  }

  /// Waits for a piece and does it; returns false when there will be none.
  private static func doPiece(of shared: Shared) -> Bool {
    let piece: Piece? = shared.condition.withLock {
      while shared.pieces.isEmpty && !shared.isOver { shared.condition.wait() }
      return shared.pieces.first
    }
    guard let piece else { return false }
    var fault: InputError?
    let start = processorSeconds()
    do throws(InputError) { try piece() } catch { fault = error }
    shared.condition.withLock {
      shared.pieces.removeFirst()
      shared.fault = shared.fault ?? fault
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
