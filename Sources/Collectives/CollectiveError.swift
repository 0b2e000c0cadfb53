/// Why ranks could not work together.
public enum CollectiveError: Error, Equatable, CustomStringConvertible, Sendable {
  /// An MPI call failed; the text is MPI's own. The communicator cannot be used afterwards.
  case mpi(operation: String, text: String)
  /// The launcher and MPI disagree about the job.
  case launch(String)
  /// A task that all ranks had to succeed in failed on `rank`; all ranks throw this.
  case taskFailed(task: String, rank: Int, host: String, text: String)
  /// Ranks were started with different things; the text names them and the ranks.
  case ranksDiffer(String)

  /// One line for the user.
  public var description: String {
    switch self {
    case .mpi(let operation, let text): "MPI failed in \(operation): \(text)"
    case .launch(let text): text
    case .taskFailed(let task, let rank, let host, let text): "cannot \(task): \(text) (rank \(rank) on \(host))"
    case .ranksDiffer(let text): text
    }
  }
}
