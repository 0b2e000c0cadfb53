import Foundation
import TestSupport
import Testing

/// Tests that start ranks: one job at a time, since each of them wants all cores.
@Suite(.serialized) struct MultiProcessTests {}

/// One rank's line of output.
struct RankReport: Decodable {
  let rank: Int
  let numbers: [String: Double]
  let texts: [String: String]
}

/// A job of `rank-worker` processes.
enum RankJob {
  /// Runs a case to its end, which must be a good one, and returns the ranks' reports in order.
  static func reports(ranks: Int, _ arguments: String...) throws -> [RankReport] {
    let result = try mpirun(ranks: ranks, try builtExecutable("rank-worker"), arguments: arguments)
    try #require(result.status == 0, "\(result.errors)")
    let reports = try reports(in: result.output)
    try #require(reports.map(\.rank) == Array(0..<ranks))
    return reports
  }

  /// Runs a case that cannot end well.
  static func failure(ranks: Int, _ arguments: String..., timeout: Double = 20) throws -> ProcessResult {
    let result = try mpirun(
      ranks: ranks, try builtExecutable("rank-worker"), arguments: arguments, timeout: timeout)
    #expect(!result.isTimedOut, "the job hangs")
    #expect(result.status != 0)
    return result
  }

  /// Starts a case whose ranks tell their process numbers, and waits until they have.
  static func start(ranks: Int, _ arguments: String...) throws -> (job: RunningProcess, processes: [Int32]) {
    let job = try startMPI(ranks: ranks, try builtExecutable("rank-worker"), arguments: arguments)
    try #require(job.waits { output in output.count { $0 == "\n" } >= ranks })
    let processes = try reports(in: job.output).map { try Int32(#require($0.numbers["process"])) }
    return (job, processes)
  }

  /// The reports in `output`, ordered by rank, several of one rank as they came.
  static func reports(in output: String) throws -> [RankReport] {
    try output.split(separator: "\n")
      .map { try JSONDecoder().decode(RankReport.self, from: Data($0.utf8)) }
      .enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element)
  }
}
