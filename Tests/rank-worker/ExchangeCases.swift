import Collectives
import Network
import Tensors
import Training

@Sendable func reportTopology(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  var report = Report(rank: communicator.rank)
  report.numbers["rankCount"] = Double(communicator.rankCount)
  report.numbers["hostCount"] = Double(communicator.topology.hostCount)
  report.numbers["localRank"] = Double(communicator.topology.localRank(of: communicator.rank))
  report.numbers["ranksOnHost"] = Double(communicator.topology.ranks(onHostOf: communicator.rank).count)
  report.texts["host"] = communicator.host
  try communicator.finish()
  try communicator.finish()
  try report.write()
}

/// Every operation once, from and with every rank.
@Sendable func exchangeValues(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let rank = communicator.rank
  var report = Report(rank: rank)
  try communicator.barrier()
  for root in 0..<communicator.rankCount {
    let bytes = try communicator.broadcast(Array("from \(rank)".utf8), from: root)
    report.texts["broadcast\(root)"] = String(decoding: bytes, as: UTF8.self)
    var floats = [Float](repeating: Float(rank), count: 5)
    try floats.withUnsafeMutableBufferPointer { (buffer) throws(CollectiveError) in
      try communicator.broadcast(buffer, from: root)
    }
    report.numbers["floats\(root)"] = Double(floats.reduce(0, +))
  }
  let empty = try communicator.broadcast([UInt8](), from: communicator.rankCount - 1)
  report.numbers["emptyCount"] = Double(empty.count)
  let sums = try communicator.sum([Double(rank), 0.25])
  report.numbers["sum"] = sums[0]
  report.numbers["quarters"] = sums[1]
  var ones = [Float](repeating: 1, count: 1000)
  try ones.withUnsafeMutableBufferPointer { (buffer) throws(CollectiveError) in try communicator.sum(buffer) }
  report.numbers["ones"] = Double(ones.reduce(0, +))
  report.numbers["maximum"] = Double(try communicator.maximum(of: rank * 10))
  report.numbers["minimum"] = Double(try communicator.minimum(of: rank * 10 - 5))
  report.numbers["realMaximum"] = try communicator.maximum(of: Double(rank) + 0.5)
  report.numbers["realMinimum"] = try communicator.minimum(of: Double(rank) + 0.5)
  // Rank r has r bytes: rank 0 contributes none.
  let gathered = try communicator.gather([UInt8](repeating: UInt8(rank), count: rank))
  report.texts["gathered"] = gathered.map { "\($0)" }.joined(separator: " ")
  report.texts["ranks"] = "\(try communicator.gather(rank))"
  try communicator.finish()
  try report.write()
}

/// Each rank's value of the fact `configuration` is its argument, nothing where that is `-`; `version` is the same.
@Sendable func checkLaunch(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  var report = Report(rank: communicator.rank)
  let value = try arguments.text(communicator.rank)
  do {
    try communicator.requireSameOnAllRanks([("version", "1.0")] + (value == "-" ? [] : [("configuration", value)]))
  } catch {
    report.texts["error"] = "\(error)"
  }
  try communicator.finish()
  try report.write()
}

/// RANK: there one bit of the parameters is flipped after the broadcast; none where it is no rank.
@Sendable func checkParameters(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  var report = Report(rank: communicator.rank)
  let layout = ParameterLayout(Architecture())
  let state = TrainingState(
    parameters: layout.parameterBuffer(), layout: layout, recipe: Configuration().training,
    kernels: try KernelChoice.kernels(requested: nil))
  for index in 0..<layout.count { state.parameters[index] = Float(communicator.rank) }
  try state.broadcast(communicator)
  if try communicator.rank == arguments.number(0) { state.parameters[layout.count / 2] = .leastNonzeroMagnitude }
  do {
    try state.requireSameParameters(on: communicator)
  } catch {
    report.texts["error"] = "\(error)"
  }
  try communicator.finish()
  try report.write()
}

@Sendable func reportHosts(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let hosts = try HostReport(communicator, threads: arguments.number(0))
  var report = Report(rank: communicator.rank)
  report.numbers["ranks"] = Double(hosts.ranks.count)
  report.numbers["cores"] = Double(hosts.ranks[communicator.rank].cores.count)
  report.numbers["residentBytes"] = Double(hosts.ranks.map(\.residentBytes).min() ?? 0)
  report.numbers["peakResidentBytes"] = Double(hosts.ranks.map(\.peakResidentBytes).min() ?? 0)
  report.texts["warnings"] = hosts.warnings.joined(separator: "\n")
  try communicator.finish()
  try report.write()
}
