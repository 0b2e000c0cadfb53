internal import CMPI
import Foundation
import Tensors

/// The ranks of a job and what they do together.
///
/// A process that no launcher started is one rank by itself: it never starts MPI, and every operation returns at once.
/// All members are for the main thread (MPI runs at the level FUNNELED). Every operation is collective: all ranks call
/// it, in the same order, or the job waits until the watchdog ends it.
public final class Communicator {
  /// This process's rank.
  public let rank: Int
  /// Where all ranks run.
  public let topology: Topology
  /// The exit status of a rank whose watchdog ended the job (EX_TEMPFAIL: worth trying again, from the checkpoint).
  public static let timeoutStatus: Int32 = 75

  /// The watchdog's state; it has a thread only if there is more than this process.
  let watchdog: Watchdog
  private let world: cmpi_communicator?
  private var isFinished = false

  /// Number of ranks.
  public var rankCount: Int { topology.rankCount }
  /// This rank's host name.
  public var host: String { topology.hosts[rank] }
  /// Whether this is the rank that prints and writes.
  public var isRankZero: Bool { rank == 0 }

  private init(rank: Int, topology: Topology, watchdog: Watchdog, world: cmpi_communicator?) {
    self.rank = rank
    self.topology = topology
    self.watchdog = watchdog
    self.world = world
  }

  /// Joins the job that a launcher (mpirun, mpiexec, srun) started, or stands alone.
  ///
  /// Call it once, after the command line is parsed: `--help` must not need MPI.
  ///
  /// - Parameters:
  ///   - timeout: Longest wait in one operation before the watchdog ends the job; nil to wait for ever. The work of
  ///     other ranks counts: it must be longer than what one rank may do while the others wait for it.
  ///   - environment: The process's environment, which tells whether there is a launcher.
  /// - Throws: `CollectiveError.launch` where MPI sees another number of ranks than the launcher started.
  public static func start(
    timeout: Duration? = .seconds(300), environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(CollectiveError) -> Communicator {
    let host = Self.ownHostName()
    let watchdog = Watchdog(timeout: timeout)
    guard let launcher = Launcher.detect(in: environment) else {
      return Communicator(
        rank: 0, topology: Topology(hosts: [host], hostLeaders: [0]), watchdog: watchdog, world: nil)
    }
    precondition(cmpi_is_started() == 0, "MPI is started once per process")
    watchdog.run(rank: launcher.rank ?? 0, hosts: [host])

    var world = cmpi_communicator()
    var rank: Int32 = 0
    var rankCount: Int32 = 0
    var leader: Int32 = 0
    var allowsThreads: Int32 = 0
    watchdog.enter(.start)
    var code = cmpi_start(&world, &allowsThreads)
    if code == cmpi_success { code = cmpi_rank(world, &rank) }
    if code == cmpi_success { code = cmpi_rank_count(world, &rankCount) }
    if code == cmpi_success { code = cmpi_lowest_rank_on_host(world, &leader) }
    watchdog.leave()
    try check(code, .start)
    guard allowsThreads != 0 else {
      throw .launch("this MPI allows one thread a process, expected MPI_THREAD_FUNNELED: others watch and compute")
    }
    if let expected = launcher.rankCount, expected != Int(rankCount) {
      throw .launch(
        "\(launcher.name) started \(expected) processes, but MPI sees \(rankCount) of them: the launcher does not belong "
          + "to the MPI library of this program (with SLURM: srun --mpi=pmix)")
    }

    // Two steps, because gathering needs a communicator and its topology is what is gathered.
    let alone = Communicator(
      rank: Int(rank),
      topology: Topology(
        hosts: Array(repeating: host, count: Int(rankCount)), hostLeaders: Array(repeating: 0, count: Int(rankCount))),
      watchdog: watchdog, world: world)
    let topology = Topology(
      hosts: try alone.gather(Array(host.utf8)).map { String(decoding: $0, as: UTF8.self) },
      hostLeaders: try alone.gather(Int(leader)))
    let memory = HostPulses.memory()
    let offers = try alone.gather(memory?.offer)
    watchdog.name(
      rank: Int(rank), hosts: topology.hosts,
      pulses: memory.map { HostPulses($0, offers: offers, rank: Int(rank), topology: topology) },
      hostCount: topology.hostCount)
    return Communicator(rank: Int(rank), topology: topology, watchdog: watchdog, world: world)
  }

  /// Leaves the job; no operation may follow, and further calls do nothing.
  public func finish() throws(CollectiveError) {
    guard !isFinished else { return }
    isFinished = true
    if let world { try perform(.finish) { _ in cmpi_finish(world) } }
    watchdog.stop()
  }

  /// Ends all ranks at once, for a rank that cannot agree with the others any more and has said why.
  ///
  /// Under mpirun the other ranks get SIGTERM and, a second later, SIGKILL.
  public func abort(status: Int32) -> Never {
    if world != nil { cmpi_abort(status) }
    exit(status)
  }

  /// Calls MPI, if there is any, under the watchdog's eyes.
  ///
  /// - Parameters:
  ///   - operation: What an error and the watchdog call it.
  ///   - peer: The rank whose message is waited for, where it is one rank's.
  ///   - call: Returns MPI's error code.
  func perform(
    _ operation: Operation, waitingFor peer: Int? = nil, _ call: (cmpi_communicator) -> Int32
  ) throws(CollectiveError) {
    guard let world else { return }
    watchdog.enter(operation, waitingFor: peer)
    let code = call(world)
    watchdog.leave()
    try Self.check(code, operation)
  }

  /// Calls MPI, if there is any, for what returns at once.
  func performAtOnce(_ operation: Operation, _ call: (cmpi_communicator) -> Int32) throws(CollectiveError) {
    guard let world else { return }
    try Self.check(call(world), operation)
  }

  /// Looks again and again, under the watchdog's eyes, until what other ranks do has come about.
  ///
  /// - Parameters:
  ///   - operation: What the watchdog calls it.
  ///   - peer: The rank that is waited for, where it is one.
  ///   - look: Moves on what there is; returns whether anything has changed, and may call `perform`.
  func wait(
    _ operation: Operation, for peer: @autoclosure () -> Int?, until isDone: () -> Bool,
    looking look: () throws(CollectiveError) -> Bool
  ) throws(CollectiveError) {
    guard !isDone() else { return }
    watchdog.enter(operation, waitingFor: peer())
    defer { watchdog.leave() }
    while !isDone() {
      if try look() {
        // It may have waited elsewhere, and for another.
        watchdog.enter(operation, waitingFor: peer())
      } else {
        // There may be more ranks than cores.
        sched_yield()
      }
    }
  }

  private static func ownHostName() -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { characters in
      guard let start = characters.baseAddress, gethostname(start, 255) == 0 else { return "localhost" }
      start[255] = 0
      return String(cString: start)
    }
  }

  /// The one place where MPI's return codes become errors.
  private static func check(_ code: Int32, _ operation: Operation) throws(CollectiveError) {
    guard code != cmpi_success else { return }
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(cmpi_error_text_capacity)) { characters in
      guard let start = characters.baseAddress else { return "" }
      cmpi_error_text(code, start)
      return String(cString: start)
    }
    throw .mpi(operation: operation.description, text: text)
  }
}
