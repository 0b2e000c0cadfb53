import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// A job that loses a rank ends, says which, and can go on from its checkpoint.
  @Suite struct FaultTests {
    /// The process numbers of a running job's ranks, in the order of their numbers.
    private func ranks(of job: RunningProcess) throws -> [Int32] {
      let children = try String(
        contentsOfFile: "/proc/\(job.identifier)/task/\(job.identifier)/children", encoding: .utf8)
      return try children.split(separator: " ").map { try #require(Int32($0)) }.sorted()
    }

    private func start(_ small: SmallRun, _ name: String, _ more: [String]) throws -> RunningProcess {
      let job = try startMPI(
        ranks: 2, builtExecutable("dpm-train"),
        arguments: small.arguments(name, ["--epochs", "400", "--ext-every-n", "2"] + more))
      // In the middle of an epoch, behind the first checkpoints.
      try #require(job.waits { $0.contains("epoch 7/") })
      return job
    }

    /// What a stopped run must still be able to do: go on, having lost no more than the epochs since its last checkpoint.
    private func goesOn(_ small: SmallRun, _ name: String, _ more: [String] = []) throws {
      let lines = try small.metrics(name, "epoch")
      let result = try small.train(
        name, ranks: 2, ["--epochs", "\(Int(lines.last ?? 0) + 2)", "--ext-every-n", "2", "--resume"] + more)
      let resumed = try #require(
        result.lines.first { $0.hasPrefix("resumed") }?.split(separator: " ").last.flatMap { Int($0) })
      // Three steps an epoch, a checkpoint every two epochs; the epoch under way had no line.
      #expect(resumed >= (Int(lines.last ?? 0) - 2) * 3)
    }

    @Test("kill -9 of a rank in mid-epoch")
    func killed() throws {
      let small = try SmallRun()
      let job = try start(small, "killed", [])
      kill(try #require(try ranks(of: job).last), SIGKILL)
      let result = job.finish(timeout: 20)
      #expect(!result.isTimedOut && result.status == 128 + SIGKILL)
      // The launcher sees it first and names rank, host and signal.
      #expect(result.errors.contains("rank 1") && result.errors.contains("Killed"), "\(result.errors)")
      try goesOn(small, "killed")
    }

    @Test("a rank that is stopped: the one that waits for it names itself, the other, and the collective")
    func stopped() throws {
      let small = try SmallRun()
      // Steps of some 50 ms, and an epoch without evaluation: the rank is stopped in a step.
      let sizes = SmallRun.modelArguments.replacing("n_hidden_conv=6", with: "n_hidden_conv=200")
      let model = ["--model-args", sizes.replacing("length=40", with: "length=8")]
      let job = try startMPI(
        ranks: 2, builtExecutable("dpm-train"),
        arguments: small.arguments("stopped", model + ["--epochs", "400", "--ext-every-n", "2", "--timeout", "3"]))
      try #require(job.waits { $0.contains("epoch 3/") })
      Thread.sleep(forTimeInterval: 0.06)
      kill(try #require(try ranks(of: job).last), SIGSTOP)
      let result = job.finish(timeout: 30)
      #expect(!result.isTimedOut && result.status == 75)
      let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error:") }
      let line = try #require(lines.first)
      #expect(lines.count == 1 && line.hasPrefix("error: rank 0 on ") && line.contains("has waited"), "\(line)")
      // Of a sum over all ranks nobody knows whose part is missing.
      let collectives = [" s in the gradient's reduction, for rank 1 on ", " s in a sum"]
      #expect(collectives.contains { line.contains($0) } && line.hasSuffix("; ending the job"), "\(line)")
      try goesOn(small, "stopped", model + ["--timeout", "300"])
    }

    @Test("ranks with different configurations or data name themselves and what differs")
    func different() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      let common = small.arguments("x", ["--epochs", "1"])
      let configuration = try run(
        "mpirun",
        arguments: ["-n", "1", program] + common + ["--lr", "1e-3", ":", "-n", "1", program] + common + [
          "--lr", "2e-3",
        ])
      #expect(configuration.status == 1)
      #expect(
        configuration.errors.hasPrefix("error: training.lr differs between ranks: 0.001 on rank 0 ("),
        "\(configuration.errors)")
      #expect(configuration.errors.contains(", 0.002 on rank 1 ("))
      #expect(!FileManager.default.fileExists(atPath: small.path("runs/x")))
    }

    @Test("1, 2, 4 ranks and one again, each from the other's checkpoint, are one uninterrupted run, bit for bit")
    func elastic() throws {
      let small = try SmallRun()
      let more = ["--set", "training.optimizer=adam", "--set", "training.average_decay=0.9", "--ext-every-n", "1"]
      try small.train("whole", more + ["--epochs", "4"])
      for (epochs, ranks) in [(1, 1), (2, 2), (3, 4), (4, 1)] {
        try small.train("parts", ranks: ranks, more + ["--epochs", "\(epochs)"] + (epochs > 1 ? ["--resume"] : []))
      }
      #expect(try small.tensors("parts", epoch: 4) == small.tensors("whole", epoch: 4))
      // What is printed is summed over the ranks in another precision than gradients.
      for (a, b) in zip(try small.metrics("parts", "train_objective"), try small.metrics("whole", "train_objective")) {
        #expect(abs(a - b) < 1e-9 * abs(b))
      }
      #expect(try small.metrics("parts", "test_objective") == small.metrics("whole", "test_objective"))
    }

    @Test("MPI that is missing altogether: one line names the library, another the launcher")
    func noMPI() throws {
      let small = try SmallRun()
      // To a program that asks for a library of another name, MPI is not installed.
      let copy = small.path("dpm-train")
      let patch = try run(
        "sh",
        arguments: ["-c", #"sed 's/libmpi/libnon/g' "$0" >"$1" && chmod +x "$1""#, builtExecutable("dpm-train"), copy])
      try #require(patch.status == 0, "\(patch.errors)")
      let library = try run(copy, arguments: ["--version"])
      #expect(library.status == 127 && library.output.isEmpty)
      #expect(library.errors.contains("libnon") && library.errors.count { $0 == "\n" } == 1, "\(library.errors)")
      let launcher = try run(
        builtExecutable("dpm-scaling"), arguments: ["--ranks", "2", "--repetitions", "1"],
        environment: ["PATH": small.folder.path])
      #expect(launcher.status == 1 && launcher.errors.hasPrefix("error: --launcher: 'mpirun -n 2 "))
      #expect(
        launcher.errors.contains("No such file") && launcher.errors.count { $0 == "\n" } == 1, "\(launcher.errors)")
    }

    @Test("launchers' own faults: a hostfile that is missing, a host that cannot be reached, another MPI's launcher")
    func launcher() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      let arguments = small.arguments("x", ["--epochs", "1"])
      let missing = try run("mpirun", arguments: ["--hostfile", small.path("none"), "-n", "2", program] + arguments)
      #expect(missing.status != 0 && missing.errors.contains(small.path("none")), "\(missing.errors)")
      let hosts = try small.folder.write("no-such-host.invalid slots=2\n", as: "hosts")
      let unreachable = try run(
        "mpirun", arguments: ["--hostfile", hosts, "-n", "2", program] + arguments, timeout: 50)
      #expect(!unreachable.isTimedOut && unreachable.status != 0, "\(unreachable.errors)")
      // Open MPI drops the domain.
      #expect(unreachable.errors.contains("no-such-host"), "\(unreachable.errors)")
      // A launcher whose MPI is not this program's: it starts single processes, which must not each train by themselves.
      let foreign = try run(
        program, arguments: arguments, environment: ["PMI_RANK": "0", "PMI_SIZE": "2"], timeout: 20)
      #expect(foreign.status != 0 && foreign.errors.contains("error:"), "\(foreign.errors)")
      #expect(!FileManager.default.fileExists(atPath: small.path("runs/x")))
    }
  }
}
