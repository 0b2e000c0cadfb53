/// The launcher that started this process as one rank of several, as its environment tells.
///
/// Only a process that has one starts MPI: without a launcher `MPI_Init` takes 0.4 s here and starts a daemon, for
/// nothing.
struct Launcher: Equatable {
  /// What to call it in messages.
  let name: String
  /// This process's rank, where the launcher says it.
  let rank: Int?
  /// The number of ranks that it started, where it says it.
  let rankCount: Int?

  /// The launcher in `environment`, or nil where the process stands alone.
  static func detect(in environment: [String: String]) -> Launcher? {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }

    if environment["OMPI_COMM_WORLD_SIZE"] != nil {
      return Launcher(name: "mpirun", rank: number("OMPI_COMM_WORLD_RANK"), rankCount: number("OMPI_COMM_WORLD_SIZE"))
    }
    // What srun says of a step holds for PMIx and PMI-2 alike. A job's batch script has SLURM_PROCID too, but its step
    // is one task and no PMI server answers it.
    let tasks = number("SLURM_STEP_NUM_TASKS")
    if environment["PMIX_RANK"] != nil {
      return Launcher(name: tasks == nil ? "the PMIx launcher" : "srun", rank: number("PMIX_RANK"), rankCount: tasks)
    }
    if environment["PMI_RANK"] != nil || environment["PMI_SIZE"] != nil {
      return Launcher(name: "mpiexec", rank: number("PMI_RANK"), rankCount: number("PMI_SIZE"))
    }
    if environment["MPI_LOCALRANKID"] != nil || environment["MV2_COMM_WORLD_RANK"] != nil {
      return Launcher(name: "mpiexec", rank: number("MV2_COMM_WORLD_RANK"), rankCount: number("MV2_COMM_WORLD_SIZE"))
    }
    if environment["SLURM_PROCID"] != nil, let tasks, tasks > 1 {
      return Launcher(name: "srun", rank: number("SLURM_PROCID"), rankCount: tasks)
    }
    return nil
  }
}
