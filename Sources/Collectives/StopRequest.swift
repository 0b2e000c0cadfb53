import Foundation
import Synchronization

/// A signal that asks the job to stop at the next step boundary.
public enum StopSignal: Int, CaseIterable, Sendable, CustomStringConvertible {
  /// SIGTERM, SIGINT, SIGUSR1 and SIGUSR2. The raw values are ours, the same on all systems: ranks exchange them.
  case terminate = 1
  case interrupt, user1, user2

  /// The operating system's number.
  public var number: Int32 {
    switch self {
    case .terminate: SIGTERM
    case .interrupt: SIGINT
    case .user1: SIGUSR1
    case .user2: SIGUSR2
    }
  }

  /// The signal's usual name.
  public var description: String {
    switch self {
    case .terminate: "SIGTERM"
    case .interrupt: "SIGINT"
    case .user1: "SIGUSR1"
    case .user2: "SIGUSR2"
    }
  }
}

/// A signal came while there was nothing yet that could be saved; all ranks throw this.
public struct Stopped: Error, CustomStringConvertible, Sendable {
  /// The signal.
  public let signal: StopSignal
  private let task: String

  /// Stopped by a signal while doing something, as in "downloading".
  public init(by signal: StopSignal, task: String) {
    self.signal = signal
    self.task = task
  }

  /// One line.
  public var description: String { "stopped by \(signal) while \(task)" }
}

/// The first signal that arrived, 0 before.
///
/// A signal handler belongs to the process, hence so does what it writes.
private let requestedNumber = Atomic<Int32>(0)

/// Turns signals into a flag that the training loop looks at between steps.
///
/// The handler does nothing but set the flag: it must not start a collective save, since the same SIGTERM comes when
/// another rank has died. A second SIGINT ends the process at once.
///
/// Any one rank may get the signal, so the ranks must agree when to leave. Let one more number ride in a sum that every step
/// makes anyway; all ranks see the same sum and leave after the same step. Then
/// `communicator.maximum(of: StopRequest.pending?.rawValue ?? 0)` tells all of them which signal it was.
///
/// What ranks get under Open MPI 4.1 (measured; each rank is its own process group, so a terminal's Ctrl-C reaches
/// mpirun only):
///
/// | sent | to mpirun | to one rank |
/// |---|---|---|
/// | SIGUSR1, SIGUSR2 | all ranks get it at once; mpirun waits for them and returns their status | that rank gets it |
/// | SIGTERM, SIGINT | all ranks get SIGCONT at once, SIGTERM after 1 s, SIGKILL 1 s later; mpirun returns 1 | that rank gets it, mpirun goes on |
/// | second SIGINT | mpirun exits, ranks die of the lost connection | the rank ends, and with it the job |
/// | SIGKILL | ranks end within a second | mpirun names the rank and its host; the others get SIGCONT, SIGTERM after 1 s, SIGKILL 1 s later |
///
/// The second between SIGTERM and SIGKILL is too short for a checkpoint: ask mpirun to stop with SIGUSR1, or start it
/// with `--mca odls_base_sigkill_timeout 60` (which also delays the SIGTERM itself by 60 s).
public enum StopRequest {
  /// Catches SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 from here on.
  public static func install() {
    // The first use of a global initializes it, which a handler must not do.
    requestedNumber.store(0, ordering: .relaxed)
    var action = sigaction()
    action.sa_flags = Int32(SA_RESTART)
    action.__sigaction_handler.sa_handler = { number in
      _ = requestedNumber.compareExchange(expected: 0, desired: number, ordering: .relaxed)
      if number == SIGINT { signal(SIGINT, SIG_DFL) }
    }
    for stop in StopSignal.allCases { sigaction(stop.number, &action, nil) }
  }

  /// The first signal that this rank has got since `install`.
  public static var pending: StopSignal? {
    let number = requestedNumber.load(ordering: .relaxed)
    return number == 0 ? nil : StopSignal.allCases.first { $0.number == number }
  }
}
