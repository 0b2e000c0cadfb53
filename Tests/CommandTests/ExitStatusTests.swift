import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// The statuses that docs/COMMANDS.md lists: what the user gave, a flag, a failed rank.
  ///
  /// Signals are tested in `TrainingRunTests`, a rank that does not answer in `FaultTests`.
  @Suite struct ExitStatusTests {
    @Test("what the user gave is 1, a flag 64, alone and on two ranks, and told once", arguments: [1, 2])
    func usersMistakes(ranks: Int) throws {
      // All but one share the code that starts on ranks; a launch takes a second.
      for name in ranks == 1 ? ["dpm-train", "dpm-evaluate", "dpm-sample", "dpm-benchmark"] : ["dpm-evaluate"] {
        let program = try builtExecutable(name)
        for (arguments, status) in [
          (["/none/such"], 1), (["--no-such-flag"], 64), (["x", "--seed=x", "--steps=x"], 64),
        ] {
          let result =
            try ranks == 1 ? run(program, arguments: arguments) : mpirun(ranks: ranks, program, arguments: arguments)
          #expect(result.status == status, "\(name) \(arguments): \(result.status) \(result.errors)")
          let lines = result.errors.split(separator: "\n").filter { $0.lowercased().hasPrefix("error: ") }
          #expect(lines.count == 1, "\(name) \(arguments): \(result.errors)")
        }
      }
    }

    @Test("flags with typos get a proposal, as keys do")
    func proposals() throws {
      for (name, typo, flag) in [
        ("dpm-train", "--batch-sise", "--batch-size"), ("dpm-evaluate", "--spilt", "--split"),
        ("dpm-sample", "--outputs", "--output"), ("dpm-benchmark", "--profil", "--profile"),
        ("dpm-scaling", "--rank", "--ranks"),
      ] {
        let result = try run(try builtExecutable(name), arguments: ["x", typo])
        #expect(result.status == 64 && result.errors.contains("Did you mean '\(flag)'?"), "\(result.errors)")
      }
      let key = try run(try builtExecutable("dpm-train"), arguments: ["--set", "training.batchsize=3"])
      #expect(key.errors == "error: --set training.batchsize: unknown key; did you mean training.batch_size?\n")
    }

    @Test("an MPI call that fails on one rank ends the job with status 70, and names rank and call")
    func failedRank() throws {
      let small = try SmallRun()
      let preload = "LD_PRELOAD=\(try builtExecutable("libfailing-mpi.so"))"
      let result = try mpirun(
        ranks: 2, "env",
        arguments: [preload, try builtExecutable("dpm-train")] + small.arguments("x", ["--epochs", "99"]))
      #expect(result.status == 70, "\(result.status) \(result.errors)")
      let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
      #expect(lines.count == 1 && lines[0].hasPrefix("error: rank 1 on "), "\(result.errors)")
      #expect(lines.first?.contains(": MPI failed in ") == true, "\(result.errors)")
    }
  }
}
