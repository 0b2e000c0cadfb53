import Foundation

/// All cases by name.
let cases: [String: @Sendable (Arguments) throws -> Void] = [
  "topology": reportTopology,
  "exchange": exchangeValues,
  "reducer": reduceGradient,
  "gather-state": gatherState,
  "gather-then-compute": gatherThenCompute,
  "half-wire": descendInHalves,
  "agree": failInAgreement,
  "rank-zero": failOnRankZero,
  "launch-check": checkLaunch,
  "parameters-check": checkParameters,
  "host-report": reportHosts,
  "die": dieInStep,
  "abort": abortInStep,
  "hang": hangInStep,
  "pause": pauseBeforeBarrier,
  "stop": stopOnSignal,
  "ignore-stop": ignoreStop,
]

enum WorkerError: Error {
  case usage([String])
  case argument(Int)
  case mine
}

/// A case's arguments.
struct Arguments {
  let values: [String]

  func text(_ index: Int) throws -> String {
    guard values.indices.contains(index) else { throw WorkerError.argument(index) }
    return values[index]
  }

  func number(_ index: Int) throws -> Int {
    guard let number = Int(try text(index)) else { throw WorkerError.argument(index) }
    return number
  }

  func numbers(_ index: Int) throws -> [Int] {
    try text(index).split(separator: ",").map {
      guard let number = Int($0) else { throw WorkerError.argument(index) }
      return number
    }
  }
}

/// The line that a rank prints.
struct Report: Encodable {
  let rank: Int
  var numbers: [String: Double] = [:]
  var texts: [String: String] = [:]

  /// Writes the line at once, so that lines of several ranks do not mix.
  func write() throws {
    FileHandle.standardOutput.write(try JSONEncoder().encode(self) + Data("\n".utf8))
  }
}
