import Collectives
import Tensors

/// What the commands return to the shell; every rank returns the same.
///
/// Not here, as no command returns them: `Communicator.timeoutStatus`, 75, with which a rank that waited too long for the
/// others leaves by itself, and 71, of a process without memory (`HugePages`).
public enum ExitStatus {
  /// All went well; also after SIGTERM and SIGUSR1, which ask for a checkpoint and a clean end, and after `--max-time`.
  public static let success: Int32 = 0
  /// Something that the user gave is wrong, or cannot be read or written.
  public static let failure: Int32 = 1
  /// A flag is unknown or its value cannot be read (EX_USAGE, swift-argument-parser's status).
  public static let usage: Int32 = 64
  /// A rank failed by itself, or MPI did (EX_SOFTWARE).
  public static let rankFailed: Int32 = 70
  /// SIGINT: a checkpoint was written if there was anything to write, but the user wanted out.
  public static let interrupted: Int32 = 130

  /// The status that an error ends a command with.
  static func status(of error: any Error) -> Int32 {
    switch error {
    case is InputError: failure
    case let stopped as Stopped: stopped.signal == .interrupt ? interrupted : failure
    case let error as CollectiveError:
      switch error {
      case .launch, .ranksDiffer: failure
      case .mpi, .taskFailed: rankFailed
      }
    default: rankFailed
    }
  }
}
