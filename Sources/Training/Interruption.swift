internal import Collectives

/// Meetings of ranks that exchange nothing for minutes or hours: in an evaluation or a drawing, of training or by itself.
///
/// About once a second, all at the same places of their work, they ask each other whether one was asked to stop; in training
/// the request travels with the gradient. Where nobody can be asked they meet all the same: a rank that has less to do would
/// take the others for hanging.
final class Interruption {
  /// What `check` throws, on all ranks.
  struct Requested: Error {}

  /// About the seconds between two questions: well below those that schedulers leave a job to end in.
  private static let interval = 1.0

  private let communicator: Communicator
  private let isRequested: () -> Bool
  /// Calls between two questions; the same on all ranks.
  private var stride = 1
  private var callsLeft = 1
  private var lastQuestion = ContinuousClock.now

  /// - Parameter isRequested: Whether this rank was asked to stop.
  init(_ communicator: Communicator, isRequested: @escaping () -> Bool = { false }) {
    self.communicator = communicator
    self.isRequested = isRequested
  }

  /// Asks all ranks, where it is time to; to be called equally often on all of them.
  ///
  /// - Throws: `Requested` where one was asked to stop; `CollectiveError` where the ranks cannot exchange it.
  func check() throws {
    callsLeft -= 1
    guard callsLeft == 0 else { return }
    let seconds = lastQuestion.duration(to: .now).seconds
    let slowest = try communicator.maximum(of: isRequested() ? .infinity : seconds)
    guard slowest < .infinity else { throw Requested() }
    // Work may become slower: the stride grows step by step.
    stride = max(1, Int(min(2, Self.interval / slowest) * Double(stride)))
    callsLeft = stride
    lastQuestion = .now
  }
}
