import Foundation
import TestSupport
import Testing

/// A job that loses a rank ends, says which, and can go on from its checkpoint.
@Suite(.serialized) struct FaultTests {
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
    #expect(result.lines.contains { $0.hasPrefix("ranks ") && $0.contains(", OpenBLAS ") }, "\(result.output)")
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
    let collectives = [" s in the gradient's reduction, for rank 1 on ", " s in a sum, for rank 1 on "]
    #expect(collectives.contains { line.contains($0) }, "\(line)")
    #expect(line.hasSuffix(", which does not answer; ending the job"), "\(line)")
    try goesOn(small, "stopped", model + ["--timeout", "300"])
  }

  @Test("a benchmark whose rank is stopped ends after its own timeout")
  func benchmark() throws {
    let job = try startMPI(
      ranks: 2, builtExecutable("dpm-benchmark"), arguments: ["--steps", "1000000", "--timeout", "3"])
    while try ranks(of: job).count < 2 { Thread.sleep(forTimeInterval: 0.02) }
    Thread.sleep(forTimeInterval: 1)
    kill(try #require(try ranks(of: job).last), SIGSTOP)
    let result = job.finish(timeout: 20)
    #expect(!result.isTimedOut && result.status == 75, "\(result.errors)")
  }

  /// Runs rank 0 with one command and rank 1 with another, which must end at once, with one line.
  private func fails(_ first: [String], _ second: [String], status: Int32 = 1, saying parts: String...) throws {
    // Ranks that wait for each other in vain end with status 75.
    let result = try run("mpirun", arguments: ["-n", "1"] + first + [":", "-n", "1"] + second, timeout: 60)
    #expect(result.status == status, "\(result.output)\(result.errors)")
    let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
    #expect(lines.count == 1, "\(result.errors)")
    for part in parts { #expect(lines.first?.contains(part) == true, "\(part): \(result.errors)") }
  }

  @Test("ranks that were started with different things name themselves and what differs, before they wait for data")
  func different() throws {
    let small = try SmallRun()
    let program = try builtExecutable("dpm-train")
    let common = [program] + small.arguments("x", ["--epochs", "1", "--timeout", "20"])
    try fails(
      common + ["--lr", "1e-3"], common + ["--lr", "2e-3"],
      saying: "error: training.lr differs between ranks: 0.001 on rank 0 (", ", 0.002 on rank 1 (")
    let folderless = [program, "--offline", "--timeout", "20", "--output-dir", small.path("runs")]
    try fails(
      ["env", "DPM_DATA_DIR=\(small.folder.path)"] + folderless, ["env", "DPM_DATA_DIR="] + folderless,
      saying: "error: dataset.path differs between ranks: \"\(small.folder.path)\" on rank 0 (", ", null on rank 1 (")
    try fails(
      common, common + ["--dataset", "dead-leaves"],
      saying: "error: dataset.name differs between ranks: mnist on rank 0 (", ", dead-leaves on rank 1 (")
    try fails(
      common, common + ["--resume", "--dry-run"],
      saying: "error: --resume differs between ranks: not given on rank 0 (",
      "; --dry-run differs between ranks: not given on rank 0 (")
    let other = small.path("other-build")
    try Data(contentsOf: URL(fileURLWithPath: program)).write(to: URL(fileURLWithPath: other))
    let change = try run("sh", arguments: ["-c", #"echo >>"$0" && chmod +x "$0""#, other])
    try #require(change.status == 0, "\(change.errors)")
    try fails(
      common, [other] + common.dropFirst(), saying: "error: version differs between ranks: 0.1.0 (build ",
      ") on rank 0 (")
    #expect(!FileManager.default.fileExists(atPath: small.path("runs")))
  }

  @Test("ranks that were asked for different samples, bounds or measurements say so at once")
  func differentRequests() throws {
    let small = try SmallRun()
    try #require(try small.train("run", ["--epochs", "1"]).status == 0)
    for (name, flag) in [("dpm-sample", "--seed"), ("dpm-evaluate", "--seed"), ("dpm-benchmark", "--steps")] {
      let common = [try builtExecutable(name)] + (name == "dpm-benchmark" ? [] : [small.path("runs/run")])
      try fails(
        common + [flag, "1"], common + [flag, "2"],
        saying: "error: the command line differs between ranks: ", "\(flag) 1 on rank 0 (", "\(flag) 2 on rank 1 (")
    }
  }

  @Test("a mistake of one rank alone is told, with the rank and its host", arguments: [0, 1])
  func mistakeOfOne(culprit: Int) throws {
    let small = try SmallRun()
    let good = [try builtExecutable("dpm-train")] + small.arguments("x", ["--epochs", "1", "--timeout", "20"])
    func fails(_ bad: [String], status: Int32, saying text: String) throws {
      try self.fails(
        culprit == 0 ? bad : good, culprit == 0 ? good : bad, status: status, saying: text, " (rank \(culprit) on ")
    }
    try fails(good + [small.path("none.yaml")], status: 1, saying: "error: \(small.path("none.yaml")): ")
    try fails(good + ["--no-such-flag"], status: 64, saying: "error: Unknown option '--no-such-flag'")
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
