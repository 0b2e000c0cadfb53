/// A report in the few words that the head of a log has room for.
extension HostReport {
  /// Groups of hosts and of ranks that are told one by one; the rest is counted.
  private static let mostGroups = 4

  /// Which ranks each host has, and the cores that they are bound to: a line for all hosts that are alike.
  ///
  /// "node0 (ranks 0-7), node1 (ranks 8-15): 1 core each of 0-7". The kernel does not tell bound ranks from free ones: a
  /// free one has all cores.
  public var places: [String] {
    let leaders = topology.hostLeaders.indices.filter { topology.hostLeaders[$0] == $0 }
    var kinds: [(cores: String, hosts: [String])] = []
    for leader in leaders {
      let members = topology.ranks(onHostOf: leader)
      let host = "\(ranks[leader].host) (\(members.count == 1 ? "rank" : "ranks") \(members.inRuns))"
      let cores = Self.cores(of: members.map { ranks[$0].cores })
      if let index = kinds.firstIndex(where: { $0.cores == cores }) {
        kinds[index].hosts.append(host)
      } else {
        kinds.append((cores, [host]))
      }
    }
    return kinds.map { kind in
      let more = kind.hosts.count - Self.mostGroups
      return kind.hosts.prefix(Self.mostGroups).joined(separator: ", ")
        + (more > 0 ? " and \(more) more \(more == 1 ? "host" : "hosts")" : "") + ": " + kind.cores
    }
  }

  /// The cores of a host's ranks.
  static func cores(of sets: [[Int]]) -> String {
    func name(_ cores: [Int]) -> String {
      cores.isEmpty ? "cores unknown" : "\(cores.count == 1 ? "core" : "cores") \(cores.inRuns)"
    }
    let all = Set(sets.flatMap { $0 }).sorted()
    if Set(sets).count == 1 { return sets.count == 1 ? name(all) : "all on \(name(all))" }
    let size = sets[0].count
    if sets.allSatisfy({ $0.count == size }), all.count == size * sets.count {
      return "\(size) \(size == 1 ? "core" : "cores") each of \(all.inRuns)"
    }
    let more = sets.count - mostGroups
    return sets.prefix(mostGroups).map(name).joined(separator: "; ") + (more > 0 ? "; and \(more) more ranks" : "")
  }

  /// The memory that ranks hold, with the ranks that hold least and most: "80 MiB (rank 3) to 95 MiB (rank 0)".
  public var memory: String {
    func text(_ rank: Rank) -> String { "\(rank.residentBytes >> 20) MiB" }
    guard let least = ranks.min(by: { $0.residentBytes < $1.residentBytes }),
      let most = ranks.max(by: { $0.residentBytes < $1.residentBytes })
    else { return "" }
    guard least.rank != most.rank else { return text(most) }
    return "\(text(least)) (rank \(least.rank)) to \(text(most)) (rank \(most.rank))"
  }
}
