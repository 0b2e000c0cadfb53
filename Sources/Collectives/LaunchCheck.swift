/// What must be the same on all ranks before they start.
extension Communicator {
  /// Differences that an error tells; of a job whose ranks were started with different files nearly everything differs.
  private static let mostDifferences = 4

  /// Compares named values (version, configuration, digests of data and parameters) over all ranks.
  ///
  /// Different ones would train different models in one job, or wait for each other for ever. Ranks of another version may
  /// know other names: a name that a rank does not pass is a difference too.
  ///
  /// - Throws: `CollectiveError.ranksDiffer` on all ranks, with what differs and the ranks that have each value.
  public func requireSameOnAllRanks(
    _ facts: @autoclosure () -> [(name: String, value: String)]
  ) throws(CollectiveError) {
    guard rankCount > 1 else { return }
    let own = facts().flatMap { [$0.name, $0.value] }.joined(separator: "\0")
    let all = try gather(Array(own.utf8)).map(Self.facts)
    var names: [String] = []
    for facts in all {
      for fact in facts where !names.contains(fact.name) { names.append(fact.name) }
    }
    let differences = names.compactMap { name in
      Self.difference(
        of: name, values: all.map { facts in facts.first { $0.name == name }?.value ?? "nothing" }, topology: topology)
    }
    guard !differences.isEmpty else { return }
    let more = differences.count - Self.mostDifferences
    throw .ranksDiffer(
      differences.prefix(Self.mostDifferences).joined(separator: "; ") + (more > 0 ? "; and \(more) more" : ""))
  }

  private static func facts(_ bytes: [UInt8]) -> [(name: String, value: String)] {
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: "\0", omittingEmptySubsequences: false)
    return stride(from: 0, to: fields.count - 1, by: 2).map { (String(fields[$0]), String(fields[$0 + 1])) }
  }

  /// "NAME differs between ranks: VALUE on ranks 0, 2-7 (HOST), VALUE on rank 1 (HOST)", or nil.
  static func difference(of name: String, values: [String], topology: Topology) -> String? {
    var distinct: [String] = []
    for value in values where !distinct.contains(value) { distinct.append(value) }
    guard distinct.count > 1 else { return nil }
    let groups = distinct.map { value in
      let ranks = values.indices.filter { values[$0] == value }
      var hosts: [String] = []
      for rank in ranks where !hosts.contains(topology.hosts[rank]) { hosts.append(topology.hosts[rank]) }
      let more = hosts.count > 3 ? " and \(hosts.count - 3) more hosts" : ""
      let places = hosts.prefix(3).joined(separator: ", ") + more
      return "\(value) on \(ranks.count == 1 ? "rank" : "ranks") \(ranks.inRuns) (\(places))"
    }
    return "\(name) differs between ranks: " + groups.joined(separator: ", ")
  }
}

extension [Int] {
  /// Ascending numbers with runs of three and more abbreviated: "0, 2-7".
  var inRuns: String {
    var runs: [ClosedRange<Int>] = []
    for number in self {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    return runs.map { run in
      switch run.count {
      case 1: "\(run.lowerBound)"
      case 2: "\(run.lowerBound), \(run.upperBound)"
      default: "\(run.lowerBound)-\(run.upperBound)"
      }
    }.joined(separator: ", ")
  }
}
