/// Where the ranks of a job run; the same on every rank.
public struct Topology: Equatable, Sendable {
  /// Host name of every rank.
  public let hosts: [String]
  /// For every rank, the lowest rank that it shares memory with.
  ///
  /// Ranks with the same one are on the same host. Names do not tell: two hosts may have the same (containers, network
  /// namespaces).
  public let hostLeaders: [Int]

  /// Number of ranks.
  public var rankCount: Int { hosts.count }

  /// Number of hosts.
  public var hostCount: Int { hostLeaders.indices.count { hostLeaders[$0] == $0 } }

  /// The ranks on the host of `rank`, ascending.
  public func ranks(onHostOf rank: Int) -> [Int] {
    hostLeaders.indices.filter { hostLeaders[$0] == hostLeaders[rank] }
  }

  /// The place of `rank` among the ranks of its host, from 0.
  public func localRank(of rank: Int) -> Int {
    hostLeaders[..<rank].count { $0 == hostLeaders[rank] }
  }
}
