import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// A run that is started again by the command that started it.
  @Suite struct ResumeTests {
    @Test("slurm.sbatch's second leg goes on, wherever the output folder is named")
    func batchFile() throws {
      let small = try SmallRun()
      let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      // Without ranks: what is left is the script's own part.
      let srun = try small.folder.write(
        "#!/bin/sh\nwhile [ \"${1#--}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n", as: "srun")
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: srun)
      let runs = small.path("elsewhere")
      for (epochs, text) in [(1, "epoch 1/1"), (2, "resumed  at step 3")] {
        let result = try run(
          "sh",
          arguments: [
            root.appendingPathComponent("launch/slurm.sbatch").path, "--data-dir", small.folder.path, "--set",
            "output.directory=\(runs)", "--batch-size", "128", "--model-args", SmallRun.modelArguments, "--epochs",
            "\(epochs)",
          ],
          environment: [
            "SLURM_JOB_ID": "7", "DPM_TRAIN": try builtExecutable("dpm-train"),
            "PATH": "\(small.folder.path):\(ProcessInfo.processInfo.environment["PATH"] ?? "")",
          ])
        #expect(result.status == 0 && result.output.contains(text), "\(result.output)\(result.errors)")
      }
      let checkpoints = try small.folder.contents(of: "elsewhere/dpm-7/checkpoints")
      #expect(checkpoints == ["epoch-0001.safetensors", "epoch-0002.safetensors"])
    }

    /// Starts an endless run, and kills it once a condition holds for its output.
    private func kill(
      _ small: SmallRun, _ name: String, _ more: [String], once condition: (String) -> Bool
    ) throws {
      let process = try RunningProcess(
        try builtExecutable("dpm-train"),
        arguments: small.arguments(name, ["--epochs", "100000", "--ext-every-n", "100000"] + more),
        environment: testEnvironment())
      let isReached = process.waits(until: condition)
      try #require(isReached)
      process.send(SIGKILL)
      #expect(process.finish(timeout: 20).status == 128 + SIGKILL)
    }

    @Test("kill -9 before the first checkpoint: the run starts over in its folder")
    func startsOver() throws {
      let small = try SmallRun()
      try kill(small, "x", ["--tensorboard", "--lr", "2e-3"]) { $0.contains("epoch 3/") }
      let more = ["--epochs", "2", "--tensorboard"]
      for (flags, text) in [([], "exists already"), (["--resume"], "no checkpoint")] {
        let result = try run(try builtExecutable("dpm-train"), arguments: small.arguments("x", more + flags))
        #expect(result.status == 1 && result.errors.contains(text), "\(result.errors)")
      }
      let rehearsal = try small.train("x", more + ["--resume-or-start", "--dry-run"])
      #expect(rehearsal.output.contains(small.path("runs/x/config.yaml")))
      try small.train("x", ranks: 2, more + ["--resume-or-start"])
      #expect(try small.metrics("x", "epoch") == [1, 2])
      let log = try small.folder.text("runs/x/train.log")
      #expect(log.components(separatedBy: "epoch 1/").count == 2 && !log.contains("resumed"), "\(log)")
      #expect(try small.folder.contents(of: "runs/x").count { $0.hasPrefix("events.") } == 1)
      // What the command says, not what the run said that died.
      #expect(try small.metrics("x", "learning_rate").first == 1e-3)
      // The same command once more: it is done.
      let again = try small.train("x", more + ["--resume-or-start"])
      #expect(again.output.contains("resumed  at step 6"), "\(again.output)")
    }

    @Test(
      "another number of images is refused, a changed recipe is told, and config.yaml stays where nothing is trained")
    func changedRuns() throws {
      let small = try SmallRun()
      let adam = ["--set", "training.optimizer=adam"]
      try small.train("x", ["--epochs", "2"] + adam)
      let program = try builtExecutable("dpm-train")
      let configuration = try small.folder.text("runs/x/config.yaml")
      let checkpoints = try small.folder.contents(of: "runs/x/checkpoints")
      // Nothing left to train.
      let fewer = try small.train("x", ["--epochs", "1", "--seed", "5", "--resume"] + adam)
      #expect(
        fewer.errors.contains("warning: training.epochs: 1, but the run has 2: nothing is trained"), "\(fewer.errors)")
      #expect(fewer.output.contains("changed  training.seed: 5, was "), "\(fewer.output)")
      #expect(try small.folder.text("runs/x/config.yaml") == configuration)

      let other = try small.train("x", ["--epochs", "3", "--set", "training.optimizer=rmsprop", "--resume"])
      #expect(other.output.contains("changed  training.epochs: 3, was 2"), "\(other.output)")
      #expect(
        other.output.contains("changed  training.optimizer: rmsprop, was adam; what it has gathered is given up"),
        "\(other.output)")

      _ = try small.folder.write(SmallRun.idx(count: 900), as: "train-images-idx3-ubyte")
      for more in [["--resume"], ["--resume", "--dry-run"], ["--resume-or-start"]] {
        let grown = try run(program, arguments: small.arguments("x", ["--epochs", "9"] + more))
        #expect(grown.status == 1, "\(grown.output)")
        #expect(
          grown.errors.contains(
            "error: the training set: 900 images, 8 steps an epoch, expected as many as the run had"),
          "\(grown.errors)")
      }
      #expect(try small.folder.contents(of: "runs/x/checkpoints").count == checkpoints.count + 1)
    }

    @Test("kill -9 between checkpoints of epochs: one by the clock goes on bit for bit, and goes when it has served")
    func checkpointsByTheClock() throws {
      let small = try SmallRun()
      let more = ["--set", "output.checkpoint_minutes=1e-4"]
      /// The step of the newest one.
      func newest() -> Int? {
        let names = (try? small.folder.contents(of: "runs/x/checkpoints")) ?? []
        return names.compactMap { name in
          name.wholeMatch(of: /epoch-[0-9]+-step-([0-9]+)\.safetensors/).flatMap { Int($0.1) }
        }.max()
      }
      try kill(small, "x", more) { _ in newest() != nil }
      let step = try #require(newest())
      // Three steps an epoch.
      let epochs = step / 3 + 20
      let result = try small.train(
        "x", ranks: 2, more + ["--epochs", "\(epochs)", "--ext-every-n", "100000", "--resume-or-start"])
      #expect(result.output.contains("resumed  at step \(step)"), "\(result.output)")
      try small.train("whole", ["--epochs", "\(epochs)", "--ext-every-n", "100000"])
      #expect(try small.tensors("x", epoch: epochs) == small.tensors("whole", epoch: epochs))
      #expect(try small.metrics("x", "epoch") == (1...epochs).map(Double.init))
      #expect(try small.folder.contents(of: "runs/x/checkpoints").count == 1)
    }

    @Test("a signal that comes while MPI starts is heeded")
    func signalAtStart() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      let arguments = small.arguments("x", ["--epochs", "100000", "--ext-every-n", "100000"])
      // The second rank keeps the first in MPI's start until the signal has come.
      let (process, go) = (small.path("process"), small.path("go"))
      let job = try RunningProcess(
        launcher,
        arguments: ["-n", "1", "sh", "-c", "echo $$ >\(process); exec \"$0\" \"$@\"", program] + arguments
          + [":", "-n", "1", "sh", "-c", "until [ -e \(go) ]; do sleep 0.05; done; exec \"$0\" \"$@\"", program]
          + arguments,
        environment: testEnvironment())
      /// The watchdog's thread, MPI's: the program has begun.
      func isStarting() -> Bool {
        let number = (try? small.folder.text("process"))?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        return ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(number)/task").count) ?? 0) > 1
      }
      try #require(job.waits { _ in isStarting() })
      let number = try small.folder.text("process").trimmingCharacters(in: .whitespacesAndNewlines)
      Foundation.kill(try #require(Int32(number)), SIGUSR1)
      _ = try small.folder.write("", as: "go")
      let result = job.finish(timeout: 30)
      #expect(result.status == 0 && result.output.contains("stopped by SIGUSR1 after step 1 "), "\(result.errors)")
    }
  }
}
