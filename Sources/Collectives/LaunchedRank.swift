import Foundation

extension Communicator {
  /// The rank that the launcher gave this process, 0 where there is none: known before MPI is started.
  ///
  /// For what comes before the job, such as errors of the command line, which rank 0 alone should print.
  public static var launchedRank: Int { Launcher.detect(in: ProcessInfo.processInfo.environment)?.rank ?? 0 }

  /// Whether a launcher (mpirun, mpiexec, srun) started this process.
  public static var isLaunched: Bool { Launcher.detect(in: ProcessInfo.processInfo.environment) != nil }
}
