internal import CMPI
import Tensors

/// All ranks succeed, or all throw the same error.
///
/// For work outside the step (loading, resuming, writing): if one rank threw by itself, the others would wait for it in
/// their next collective for ever.
extension Communicator {
  /// Runs `body` on every rank; if it throws on any, all ranks throw the error of the lowest such rank.
  ///
  /// - Parameters:
  ///   - task: What is being done, as in "cannot …": "load the data set".
  ///   - ranksAtWork: How many ranks do more in `body` than return; nil for all. An error of all of these is nobody's own.
  ///   - body: The work. It must not communicate: a rank that fails leaves it early.
  /// - Throws: `InputError` as it was thrown (with the rank and host, where it did not fail on all ranks); other errors
  ///   as `CollectiveError.taskFailed`. A process that stands alone throws the body's own error.
  public func agree<Value>(
    _ task: String, ranksAtWork: Int? = nil, _ body: () throws -> Value
  ) throws -> Value {
    try settle(task, Result(catching: body), ranksAtWork: ranksAtWork ?? rankCount)
  }

  /// Runs `body` on rank 0 while the others wait for its outcome; returns its value there, nil elsewhere.
  ///
  /// - Throws: On all ranks, as `agree` does.
  @discardableResult
  public func onRankZero<Value>(_ task: String, _ body: () throws -> Value) throws -> Value? {
    try settle(task, Result { try rank == 0 ? body() : nil }, ranksAtWork: 1)
  }

  private func settle<Value>(
    _ task: String, _ outcome: Result<Value, any Error>, ranksAtWork: Int
  ) throws -> Value {
    guard rankCount > 1 else { return try outcome.get() }
    watchdog.name(task: task)
    defer { watchdog.name(task: nil) }
    var failure: (any Error)?
    if case .failure(let error) = outcome { failure = error }
    let lowest = try reduce([failure == nil ? rankCount : rank], .agreement, cmpi_minimum)[0]
    guard lowest < rankCount else { return try outcome.get() }

    let failures = try reduce([failure == nil ? 0 : 1], .agreement, cmpi_sum)[0]
    let report = try broadcast(FailureReport(failure).bytes, from: lowest)
    throw FailureReport(bytes: report).error(
      task: task, rank: lowest, host: topology.hosts[lowest], isEverywhere: failures == ranksAtWork)
  }
}

/// An error on its way to the other ranks.
struct FailureReport {
  private enum Kind: String { case input, other }
  private static let separator: Character = "\0"
  private let fields: [String]

  init(_ error: (any Error)?) {
    switch error {
    case let input as InputError: fields = [Kind.input.rawValue, input.subject, input.found, input.expected]
    case let error?: fields = [Kind.other.rawValue, "\(error)"]
    case nil: fields = []
    }
  }

  init(bytes: [UInt8]) {
    fields = String(decoding: bytes, as: UTF8.self)
      .split(separator: Self.separator, omittingEmptySubsequences: false).map(String.init)
  }

  var bytes: [UInt8] { Array(fields.joined(separator: String(Self.separator)).utf8) }

  /// The error that all ranks throw.
  func error(task: String, rank: Int, host: String, isEverywhere: Bool) -> any Error {
    guard fields.first == Kind.input.rawValue, fields.count == 4 else {
      let text = fields.dropFirst().joined(separator: " ")
      return CollectiveError.taskFailed(task: task, rank: rank, host: host, text: text)
    }
    let place = isEverywhere ? "" : " (rank \(rank) on \(host))"
    return InputError(fields[1], found: fields[2] + place, expected: fields[3])
  }
}
