internal import Foundation
internal import Tensors

/// Work that rank 0 does beside training: drawing figures, writing the run's page.
///
/// One piece after the other on a thread of low priority, so that the step, which the other ranks wait for, goes on. Who
/// waits for the work does what is left of it itself, at its own priority, but for the piece under way: a thread's
/// priority cannot be raised again without privileges. No MPI there. What goes wrong waits for `takeFault`; the pieces behind it
/// are done all the same.
final class BackgroundWork {
  /// A piece of work; a structure, since Swift 6.3 crashes on arrays of closures with a type of error.
  struct Piece: Sendable {
    let run: @Sendable () throws(InputError) -> Void

    init(_ run: @escaping @Sendable () throws(InputError) -> Void) { self.run = run }
  }

  private let shared = Shared()

  /// What both threads share.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    // All under the condition's lock.
    var pieces: [Piece] = []
    var isAtWork = false
    /// Whether the rest is done by who waits for it.
    var isAwaited = false
    var fault: InputError?
    var seconds = 0.0
    var isOver = false

    var isIdle: Bool { pieces.isEmpty && !isAtWork }

    /// Does the next piece, with the lock released meanwhile.
    func doPiece() {
      isAtWork = true
      let piece = pieces.removeFirst()
      condition.unlock()
      var fault: InputError?
      let start = BackgroundWork.processorSeconds()
      do throws(InputError) { try piece.run() } catch { fault = error }
      let duration = BackgroundWork.processorSeconds() - start
      condition.lock()
      isAtWork = false
      seconds += duration
      self.fault = self.fault ?? fault
      condition.broadcast()
    }
  }

  /// Starts the thread.
  init() {
    let thread = Thread { [shared] in
      // Linux gives priorities to threads; 0 is the calling one. A third of a core beside one that is busy: of the lowest
      // priority it would be a hundredth, and who waits for a piece of 0.3 s beside other programs would wait for minutes.
      let thread = __priority_which_t(0)
      setpriority(thread, 0, getpriority(thread, 0) + 5)
      shared.condition.withLock {
        while !shared.isOver {
          let isMine = !shared.pieces.isEmpty && !shared.isAtWork && !shared.isAwaited
          if isMine { shared.doPiece() } else { shared.condition.wait() }
        }
      }
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

  /// Hands over pieces, to be done in their order behind those before.
  func submit(_ pieces: [Piece]) {
    shared.condition.withLock {
      shared.pieces += pieces
      shared.condition.broadcast()
    }
  }

  /// Hands over a piece if there is nothing else to do; a later one will make up for it.
  func submitIfIdle(_ piece: Piece) {
    if shared.condition.withLock({ shared.isIdle }) { submit([piece]) }
  }

  /// Does what is left to do, for about this long; to be called again until all is done.
  ///
  /// - Returns: Whether all is done.
  func advance(for duration: Duration) -> Bool {
    let end = Date() + duration.seconds
    return shared.condition.withLock {
      while !shared.isIdle, Date() < end {
        shared.isAwaited = true
        if shared.isAtWork { _ = shared.condition.wait(until: end) } else { shared.doPiece() }
      }
      if shared.isIdle { shared.isAwaited = false }
      return shared.isIdle
    }
  }

  /// What the first piece threw of those that did since this was asked last.
  func takeFault() -> InputError? {
    shared.condition.withLock {
      defer { shared.fault = nil }
      return shared.fault
    }
  }

  /// Of the calling thread.
  private static func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
