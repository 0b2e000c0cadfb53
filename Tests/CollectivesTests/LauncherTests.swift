import Testing

@testable import Collectives

@Suite struct LauncherTests {
  @Test(
    "each launcher is known by its variables",
    arguments: [
      (["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"], "mpirun", 3, 4),
      (["PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"], "srun", 1, 2),
      (["PMI_RANK": "0", "PMI_SIZE": "8", "MPI_LOCALRANKID": "0"], "mpiexec", 0, 8),
      (["SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "16"], "srun", 5, 16),
      (["OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"], "mpirun", 0, 1),
    ])
  func detected(environment: [String: String], name: String, rank: Int, rankCount: Int) {
    #expect(Launcher.detect(in: environment) == Launcher(name: name, rank: rank, rankCount: rankCount))
  }

  @Test(
    "a shell, an MPI setting, a batch script and a single srun task are no launcher",
    arguments: [
      [:], ["OMPI_MCA_btl": "self"], ["SLURM_PROCID": "0", "SLURM_NTASKS": "8"],
      ["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"],
    ])
  func alone(environment: [String: String]) {
    #expect(Launcher.detect(in: environment) == nil)
  }
}
