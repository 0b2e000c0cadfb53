import Foundation

/// What each rank has to work with: cores, threads, memory.
public struct HostReport: Sendable {
  /// One rank's resources.
  public struct Rank: Equatable, Sendable {
    /// Its number.
    public let rank: Int
    /// Its host.
    public let host: String
    /// The cores that it may run on, ascending.
    public let cores: [Int]
    /// The number of cores that its host has.
    public let hostCoreCount: Int
    /// The threads that it works with.
    public let threads: Int
    /// Memory that it holds now, in bytes; of what it shares with other ranks its part.
    public let residentBytes: Int
    /// The most that it has held, in bytes.
    public let peakResidentBytes: Int
  }

  /// All ranks, in order.
  public let ranks: [Rank]
  /// Where they run.
  public let topology: Topology

  init(ranks: [Rank], topology: Topology) {
    self.ranks = ranks
    self.topology = topology
  }

  /// Asks all ranks; collective, the same result on all.
  ///
  /// - Parameter threads: The threads that this rank works with.
  public init(_ communicator: Communicator, threads: Int) throws(CollectiveError) {
    let own = ProcessStatus.read()
    let fields =
      [threads, own.residentBytes, own.peakResidentBytes, sysconf(Int32(_SC_NPROCESSORS_ONLN))] + own.cores
    let reports = try communicator.gather(Array(fields.map(String.init).joined(separator: " ").utf8))
    ranks = reports.enumerated().map { rank, bytes in
      let numbers = String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int($0) }
      return Rank(
        rank: rank, host: communicator.topology.hosts[rank], cores: Array(numbers.dropFirst(4)),
        hostCoreCount: numbers.dropFirst(3).first ?? 0, threads: numbers.first ?? 1,
        residentBytes: numbers.dropFirst().first ?? 0, peakResidentBytes: numbers.dropFirst(2).first ?? 0)
    }
    topology = communicator.topology
  }

  /// One line per host whose ranks have more threads than cores: they will take turns, and all others wait for them.
  public var warnings: [String] {
    topology.hostLeaders.indices.filter { topology.hostLeaders[$0] == $0 }.compactMap { leader in
      let members = topology.ranks(onHostOf: leader).map { ranks[$0] }
      // Ranks that compete share cores: bound to the same one, or all free to use any.
      let crowded = Set(members.map(\.cores)).compactMap { cores -> String? in
        let sharing = members.filter { !Set($0.cores).isDisjoint(with: cores) }
        let available = Set(sharing.flatMap(\.cores)).count
        let threads = sharing.reduce(0) { $0 + $1.threads }
        guard available > 0, threads > available else { return nil }
        let more = available < ranks[leader].hostCoreCount ? ", or bind them to more cores (mpirun --bind-to none)" : ""
        return "\(sharing.count) \(sharing.count == 1 ? "rank has" : "ranks have") \(threads) threads for "
          + "\(available) \(available == 1 ? "core" : "cores"): use fewer ranks or threads\(more)"
      }
      return crowded.sorted().first.map { "\(ranks[leader].host): \($0)" }
    }
  }
}

extension Communicator {
  /// Cores that this rank has for itself, as far as it can tell: all that it may run on where there is no other rank, else one.
  public var ownCores: Int { rankCount == 1 ? max(1, ProcessStatus.read().cores.count) : 1 }
}

/// What the kernel says of this process.
struct ProcessStatus: Equatable {
  var cores: [Int] = []
  var residentBytes = 0
  var peakResidentBytes = 0

  static func read() -> ProcessStatus {
    let files = ["/proc/self/status", "/proc/self/smaps_rollup"]
    return ProcessStatus(text: files.compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }.joined())
  }

  /// Reads the format of proc(5), `/proc/pid/status` and `/proc/pid/smaps_rollup` behind each other.
  init(text: String) {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let value = parts[1].trimmingCharacters(in: .whitespaces)
      switch parts[0] {
      case "Cpus_allowed_list": cores = Self.numbers(in: value)
      case "VmRSS": residentBytes = Self.bytes(value)
      // Kernels that tell how many processes share a page: its part of such pages, so that ranks' numbers add up.
      case "Pss": residentBytes = Self.bytes(value)
      case "VmHWM": peakResidentBytes = Self.bytes(value)
      default: continue
      }
    }
  }

  /// "1234 kB" as a number of bytes.
  private static func bytes(_ text: String) -> Int {
    (text.split(separator: " ").first.flatMap { Int($0) } ?? 0) * 1024
  }

  /// "0-2,5" as [0, 1, 2, 5].
  private static func numbers(in list: String) -> [Int] {
    list.split(separator: ",").flatMap { run -> [Int] in
      let borders = run.split(separator: "-").compactMap { Int($0) }
      guard let first = borders.first, let last = borders.last, first <= last else { return [] }
      return Array(first...last)
    }
  }
}
