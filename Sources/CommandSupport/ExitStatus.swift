/// What the commands return to the shell; every rank returns the same.
public enum ExitStatus {
  /// All went well; also after SIGTERM and SIGUSR1, which ask for a checkpoint and a clean end.
  public static let success: Int32 = 0
  /// Something that the user gave is wrong, or the environment failed (disk full, no memory).
  public static let failure: Int32 = 1
  /// A flag is unknown or its value cannot be read (EX_USAGE, swift-argument-parser's status).
  public static let usage: Int32 = 64
  /// SIGINT: a checkpoint was written, but the user wanted out.
  public static let interrupted: Int32 = 130
}
