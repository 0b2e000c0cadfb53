/// What must be the same on all ranks before they start.
extension Communicator {
  /// Compares named values (version, digests of configuration, data and parameters) over all ranks.
  ///
  /// Different ones would train different models in one job, or wait for each other for ever. All ranks pass the same
  /// names in the same order.
  ///
  /// - Throws: `CollectiveError.ranksDiffer` on all ranks, with every value that differs and the ranks that have it.
  public func requireSameOnAllRanks(_ facts: KeyValuePairs<String, String>) throws(CollectiveError) {
    guard rankCount > 1 else { return }
    var differences: [String] = []
    for (name, value) in facts {
      let values = try gather(Array(value.utf8)).map { String(decoding: $0, as: UTF8.self) }
      if let difference = Self.difference(of: name, values: values, topology: topology) {
        differences.append(difference)
      }
    }
    if !differences.isEmpty { throw .ranksDiffer(differences.joined(separator: "; ")) }
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
      return "\(value) on \(ranks.count == 1 ? "rank" : "ranks") \(ranges(of: ranks)) (\(places))"
    }
    return "\(name) differs between ranks: " + groups.joined(separator: ", ")
  }

  /// Ascending numbers with runs of three and more abbreviated: "0, 2-7".
  private static func ranges(of numbers: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
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
