internal import Collectives
internal import Foundation
internal import Tensors

/// Work that rank 0 does beside training: drawing figures, writing the run's page.
///
/// One piece after the other on a thread of low priority, so that the step, which the other ranks wait for, goes on. Who
/// waits for the work does what is left of it himself, at his own priority, but for the piece under way: a thread's
/// priority cannot be raised again without privileges. No MPI there. What goes wrong ends the work that was handed over, and is told at the next call.
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
    var failure: InputError?
    var seconds = 0.0
    var isOver = false

    var isIdle: Bool { pieces.isEmpty && !isAtWork }

    /// Does the next piece, with the lock released meanwhile.
    func doPiece() {
      isAtWork = true
      let piece = pieces.removeFirst()
      condition.unlock()
      var failure: InputError?
      let start = BackgroundWork.processorSeconds()
      do throws(InputError) { try piece.run() } catch { failure = error }
      let duration = BackgroundWork.processorSeconds() - start
      condition.lock()
      isAtWork = false
      seconds += duration
      if let failure {
        self.failure = self.failure ?? failure
        // They were to go on from what it did.
        pieces = []
      }
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
  ///
  /// - Throws: What an earlier piece threw.
  func submitIfIdle(_ piece: Piece) throws(InputError) {
    if try advance(for: .zero) { submit([piece]) }
  }

  /// Does what is left to do, for about this long; to be called again until all is done.
  ///
  /// - Returns: Whether all is done.
  /// - Throws: What a piece threw.
  func advance(for duration: Duration) throws(InputError) -> Bool {
    let end = Date() + duration.seconds
    let (isDone, failure) = shared.condition.withLock { () -> (Bool, InputError?) in
      while !shared.isIdle, Date() < end {
        shared.isAwaited = true
        if shared.isAtWork { _ = shared.condition.wait(until: end) } else { shared.doPiece() }
      }
      guard shared.isIdle else { return (false, nil) }
      defer { shared.failure = nil }
      shared.isAwaited = false
      return (true, shared.failure)
    }
    if let failure { throw failure }
    return isDone
  }

  /// Waits until rank 0's work is done; collective.
  ///
  /// In meetings, so that no rank waits longer in one operation than the watchdog allows, however slow rank 0's core is.
  ///
  /// - Parameter work: Rank 0's; nil elsewhere.
  static func finish(_ work: BackgroundWork?, on communicator: Communicator) throws {
    var isDone = false
    while !isDone {
      let own = try communicator.onRankZero("draw the figures") { try work?.advance(for: .milliseconds(500)) }
      isDone = try communicator.minimum(of: own == false ? 0 : 1) == 1
    }
  }

  /// Of the calling thread.
  private static func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
