import Foundation
import Synchronization

/// Ends a job that hangs, and says where.
///
/// A thread looks once a second whether the main thread is still in the same wait. After the timeout it prints one line
/// that names rank, host, operation and seconds, and the rank that keeps the others waiting where it is on the same host
/// (`HostPulses`). It exits with `Communicator.timeoutStatus`: `MPI_Abort` is not allowed from a second thread, but a rank
/// that exits without `MPI_Finalize` makes mpirun (and srun with `--kill-on-bad-exit=1`) end all others, stopped ones too,
/// within two seconds.
///
/// Waits are counted in the thread's own wake-ups, not by the clock: a job that is suspended as a whole (SIGSTOP, a
/// scheduler's gang) is not accused when it wakes.
final class Watchdog: Sendable {
  private struct Names {
    var rank = 0
    var hosts: [String] = []
    var task: String?
    var pulses: HostPulses?
    /// Whether there are other hosts, of whose ranks nothing is known.
    var isAlone = true
  }

  private let timeout: Double?
  private let names = Mutex(Names())
  private let isStopped = Atomic(false)
  /// 0 outside of any wait; inside: a running number | operation | peer + 1, in 32, 8 and 24 bits.
  ///
  /// One word, so that entering and leaving a wait costs one store each.
  private let wait = Atomic<UInt64>(0)
  private let waitCount = Atomic<UInt64>(0)

  init(timeout: Duration?) {
    self.timeout = timeout.map { Double($0.components.seconds) + Double($0.components.attoseconds) * 1e-18 }
  }

  /// Starts the thread, unless there is no timeout.
  func run(rank: Int, hosts: [String]) {
    name(rank: rank, hosts: hosts, pulses: nil, hostCount: 1)
    guard let timeout else { return }
    Thread.detachNewThread { [self] in watch(timeout: timeout) }
  }

  /// Sets whom the line names, and by what it knows of the others.
  func name(rank: Int, hosts: [String], pulses: HostPulses?, hostCount: Int) {
    names.withLock { names in
      names.rank = rank
      names.hosts = hosts
      names.pulses = pulses
      names.isAlone = hostCount == 1
    }
  }

  /// Sets the task in whose name the ranks wait, outside of steps; nil when it is done.
  func name(task: String?) { names.withLock { $0.task = task } }

  /// Marks the beginning of a wait of the main thread.
  func enter(_ operation: Operation, waitingFor peer: Int? = nil) {
    let number = waitCount.load(ordering: .relaxed) &+ 1
    waitCount.store(number, ordering: .relaxed)
    wait.store(
      number << 32 | UInt64(operation.rawValue) << 24 | UInt64((peer ?? -1) + 1) & 0xFF_FFFF, ordering: .relaxed)
  }

  /// Marks its end.
  func leave() { wait.store(0, ordering: .relaxed) }

  /// Lets the thread end at its next wake-up.
  func stop() { isStopped.store(true, ordering: .relaxed) }

  private func watch(timeout: Double) {
    let interval = min(1, timeout / 8)
    var watched: UInt64 = 0
    var waits = 0
    while !isStopped.load(ordering: .relaxed) {
      Thread.sleep(forTimeInterval: interval)
      let current = wait.load(ordering: .relaxed)
      waits = current == watched && current != 0 ? waits + 1 : 0
      watched = current
      let names = names.withLock { $0 }
      names.pulses?.look(waits: waits)
      let seconds = Double(waits) * interval
      guard seconds >= timeout else { continue }
      let culprit = names.pulses?.culprit(waits: waits)
      let turn = Self.turn(names, culprit: culprit, waits: waits)
      if seconds >= timeout + Self.endingSeconds * Double(turn) {
        endJob(names, culprit: culprit, wait: current, seconds: seconds)
      }
    }
  }

  /// What mpirun needs to end the other ranks after one's exit: SIGKILL comes after two seconds, and on a busy machine later.
  private static let endingSeconds = 4.0

  /// How many others may speak before this rank does.
  ///
  /// First those that know who is waited for, of each host the lowest rank.
  private static func turn(_ names: Names, culprit: HostPulses.Culprit?, waits: Int) -> Int {
    guard let pulses = names.pulses else { return min(names.rank, 2) }
    guard culprit == nil else { return min(pulses.waitingRanks(below: names.rank, waits: waits), 2) }
    return min(names.rank, 2) + (names.isAlone ? 0 : 1)
  }

  private func endJob(_ names: Names, culprit: HostPulses.Culprit?, wait: UInt64, seconds: Double) -> Never {
    func name(_ rank: Int) -> String { "rank \(rank) on \(names.hosts[rank])" }
    var place = Operation(rawValue: UInt8(truncatingIfNeeded: wait >> 24))?.description ?? "a collective"
    if let task = names.task { place += " to \(task)" }
    let peer = Int(wait & 0xFF_FFFF) - 1
    if let culprit {
      place += ", for \(name(culprit.rank)), which \(culprit.isSilent ? "does not answer" : "waits for nobody")"
    } else if names.hosts.indices.contains(peer) {
      place += ", for \(name(peer)), itself perhaps waiting"
    }
    let host = names.hosts.indices.contains(names.rank) ? names.hosts[names.rank] : names.hosts.first ?? ""
    let line = "error: rank \(names.rank) on \(host) has waited \(Int(seconds)) s in \(place); ending the job\n"
    // One write, so that lines of several ranks do not mix; not stdio, whose lock the main thread may hold.
    _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    _exit(Communicator.timeoutStatus)
  }
}
