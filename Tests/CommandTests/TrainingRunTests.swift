import Foundation
import TestSupport
import Testing

extension CommandTests {
  @Suite struct TrainingRunTests {
    @Test("a run learns, prints its lines, and leaves everything that FORMATS.md promises")
    func wholeRun() throws {
      let small = try SmallRun()
      let result = try small.train("whole", ["--epochs", "4", "--lr", "3e-3"])
      let objectives = try small.metrics("whole", "train_objective")
      #expect(objectives.count == 4 && objectives[3] < objectives[0])
      #expect(try small.metrics("whole", "test_objective").count == 2)
      #expect(result.errors.isEmpty)
      #expect(result.lines.count { $0.hasPrefix("epoch ") } == 4)
      for text in ["ranks", "data", "model", "images/s", "ETA", "lr 0.00"] { #expect(result.output.contains(text)) }
      var files = [
        "config.yaml", "metrics.jsonl", "train.log", "report.html", "checkpoints/epoch-0002.safetensors",
        "checkpoints/epoch-0004.safetensors",
      ]
      for name in ["progress", "layers"] { files += ["figures/\(name).png", "figures/\(name).pdf"] }
      for epoch in ["epoch-0002", "epoch-0004"] {
        for kind in ["samples", "inpainting", "denoising"] {
          // The start, four moments between, the end.
          files += [39, 32, 24, 16, 8, 0].map { "figures/\(epoch)/\(kind)-t00\($0 < 10 ? "0" : "")\($0).png" }
        }
        files += ["inpainting-true", "denoising-true", "parameters", "gradients"].map { "figures/\(epoch)/\($0).png" }
      }
      for file in files {
        #expect(FileManager.default.fileExists(atPath: small.path("runs/whole/\(file)")), "\(file)")
      }
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: small.path("runs/whole/figures/epoch-0004")).count == 22)
    }

    @Test("the head of the log names ranks per host, cores, BLAS threads and memory; too few cores are warned of")
    func header() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      let result = try run(
        "taskset", arguments: ["-c", "0", launcher, "-n", "2", program] + small.arguments("x", ["--epochs", "1"]),
        environment: ["OMPI_MCA_mpi_yield_when_idle": "1"])
      try #require(result.status == 0, "\(result.errors)")
      let log = try String(contentsOfFile: small.path("runs/x/train.log"), encoding: .utf8)
      let host = ProcessInfo.processInfo.hostName
      for text in [" on 1 host, 1 thread each, ", " on 1 thread, ", "hosts    \(host) (ranks 0, 1): all on core 0\n"] {
        #expect(log.contains(text), "\(log)")
      }
      let memory = try #require(result.lines.first { $0.hasPrefix("memory ") })
      #expect(
        memory.contains(/[0-9]+ MiB \(rank [01]\) to [0-9]+ MiB \(rank [01]\), parameters once for 2 ranks$/),
        "\(memory)")
      #expect(result.errors.contains("2 ranks have 2 threads for 1 core"), "\(result.errors)")
    }

    @Test("evaluations say where the bound stands, epochs how large gradient and update were, on any number of ranks")
    func yardsticks() throws {
      let small = try SmallRun()
      let more = ["--epochs", "2", "--lr", "3e-3"]
      let result = try small.train("one", more)
      let places = try #require(result.lines.first { $0.contains("THIS MODEL") })
      for text in ["white noise 0.00", "a Gaussian a pixel -", "one Gaussian, full covariance -", "ceiling -"] {
        #expect(places.contains(text), "\(places)")
      }
      let values = places.split(separator: ">").compactMap { Double($0.split(separator: " ").last ?? "") }
      #expect(values.count == 5 && values == values.sorted(by: >))
      try small.train("two", ranks: 2, more)
      try small.train("threads", more + ["--threads", "2"])
      for key in ["gradient_norm", "update_ratio", "ceiling_objective", "full_gaussian_objective"] {
        let one = try small.metrics("one", key)
        #expect(one.count == (key.hasSuffix("objective") ? 1 : 2) && one.allSatisfy { $0 != 0 })
        for other in ["two", "threads"] {
          for (a, b) in zip(try small.metrics(other, key), one) { #expect(abs(a - b) < 1e-9 * abs(b), "\(key)") }
        }
      }
      for other in ["two", "threads"] {
        #expect(try small.metrics(other, "test_objective") == small.metrics("one", "test_objective"))
      }
    }

    @Test("a run that diverges says so, shows a gap, and can go on")
    func diverged() throws {
      let small = try SmallRun()
      let more = ["--ext-every-n", "1", "--lr", "10", "--tensorboard"]
      for (epoch, resume) in [(1, []), (2, ["--resume"])] {
        let result = try small.train("run", ["--epochs", "\(epoch)"] + more + resume)
        let warnings = result.errors.split(separator: "\n").filter { $0.contains("test bound") }
        #expect(warnings == ["warning: epoch \(epoch): the test bound is not finite"], "\(result.errors)")
        #expect(!result.output.contains("-nan") && !result.output.contains("+nan"), "\(result.output)")
        let page = try String(contentsOfFile: small.path("runs/run/report.html"), encoding: .utf8)
        #expect(page.contains(#"{"name":"test J after epoch \#(epoch)","value":"not finite"}"#))
        #expect(page.contains(#"{"name":"this model"}"#) && page.contains(#""name":"ceiling","value":-"#))
      }
      #expect(try small.metrics("run", "test_objective").isEmpty && small.metrics("run", "epoch") == [1, 2])
      let files = try FileManager.default.contentsOfDirectory(atPath: small.path("runs/run"))
      #expect(!files.contains("run.lock"), "\(files)")
      for name in ["progress.png", "epoch-0002/samples-t0000.png", "epoch-0002/parameters.png"] {
        #expect(FileManager.default.fileExists(atPath: small.path("runs/run/figures/\(name)")), "\(name)")
      }
    }

    @Test("the bound of the untrained network stands in the curves, not among the epochs' lines; --resume keeps it")
    func untrained() throws {
      let small = try SmallRun()
      let more = ["--plot-before-training", "--tensorboard"]
      for (epochs, tested, resume) in [("2", "0,2", []), ("4", "0,2,4", ["--resume"])] {
        let result = try small.train("run", ["--epochs", epochs] + more + resume)
        #expect(result.lines.count { $0.hasPrefix("         test ") } == (resume.isEmpty ? 2 : 1))
        let page = try String(contentsOfFile: small.path("runs/run/report.html"), encoding: .utf8)
        #expect(page.contains(#""name":"test","x":[\#(tested)],"y":["#), "\(tested)")
        #expect(page.contains(#""name":"training","x":[1,2"#))
      }
      #expect(try small.metrics("run", "epoch") == [1, 2, 3, 4])
      let events = try FileManager.default.contentsOfDirectory(atPath: small.path("runs/run")).filter {
        $0.hasPrefix("events.")
      }.reduce(Data()) { $0 + (try Data(contentsOf: URL(fileURLWithPath: small.path("runs/run/\($1)")))) }
      func count(_ tag: String) -> Int { events.ranges(of: Data("\(tag)\u{15}".utf8)).count }
      #expect(count("objective/test") == 3 && count("objective/training") == 4)
    }

    @Test("figures that cannot be written are warned of once, and the run goes on")
    func figuresInTheWay() throws {
      let small = try SmallRun()
      try small.train("run", ["--epochs", "1", "--ext-every-n", "1"])
      let figures = small.path("runs/run/figures")
      for epoch in 2...3 { _ = try small.folder.write("", as: "runs/run/figures/epoch-000\(epoch)") }
      let result = try small.train("run", ["--epochs", "4", "--ext-every-n", "1", "--resume"])
      let warnings = result.errors.split(separator: "\n")
      #expect(warnings.count == 1 && warnings[0].hasPrefix("warning: \(figures)/epoch-0002: a file, "), "\(warnings)")
      #expect(FileManager.default.fileExists(atPath: "\(figures)/epoch-0004/samples-t0000.png"))
      #expect(FileManager.default.fileExists(atPath: small.path("runs/run/checkpoints/epoch-0004.safetensors")))
    }

    @Test("figures are the same on two ranks and on three threads")
    func figures() throws {
      let small = try SmallRun()
      try small.train("start", ["--epochs", "1"])
      let checkpoint = small.path("runs/start/checkpoints/epoch-0001.safetensors")
      let more = ["--resume-file", checkpoint, "--epochs", "2", "--ext-every-n", "1"]
      try small.train("one", more)
      try small.train("two", ranks: 2, more)
      try small.train("threads", more + ["--threads", "2"])
      for kind in ["samples", "inpainting", "denoising"] {
        let files = try ["one", "two", "threads"].map {
          try Data(contentsOf: URL(fileURLWithPath: small.path("runs/\($0)/figures/epoch-0002/\(kind)-t0008.png")))
        }
        #expect(files[0] == files[1] && files[0] == files[2])
      }
    }

    @Test("1, 2, 4 and 8 ranks give the same bits, other numbers the same curve", arguments: ["shared", "per_image"])
    func rankCounts(_ sampling: String) throws {
      let small = try SmallRun()
      // A dense layer whose gradient travels in three pieces.
      let layers = ["--set", "model.n_hidden_dense_lower=500", "--set", "model.n_layers_dense_lower=3"]
      let more = ["--epochs", "2", "--set", "training.t_sampling=\(sampling)"] + layers
      try small.train("n1", more)
      let one = try small.tensors("n1", epoch: 2)
      let curve = try small.metrics("n1", "train_objective")
      for ranks in [2, 3, 4, 8] {
        try small.train("n\(ranks)", ranks: ranks, more)
        let other = try small.metrics("n\(ranks)", "train_objective")
        for (a, b) in zip(other, curve) { #expect(abs(a - b) < 1e-3 * max(1, abs(b))) }
        let tensors = try small.tensors("n\(ranks)", epoch: 2)
        if ranks != 3 { #expect(tensors == one, "\(ranks) ranks") }
      }
    }

    @Test(
      "two ranks and two threads give the bits of one, whatever there is to share",
      arguments: ["n_hidden_conv=3", "n_layers_conv=1", "n_scales=2", "n_hidden_conv=40"])
    func sharedTransforms(_ size: String) throws {
      let small = try SmallRun()
      let more = ["--epochs", "1", "--set", "model.\(size)"]
      try small.train("one", more)
      try small.train("two", ranks: 2, more)
      try small.train("threads", more + ["--threads", "2"])
      let one = try small.tensors("one", epoch: 1)
      #expect(try small.tensors("two", epoch: 1) == one)
      #expect(try small.tensors("threads", epoch: 1) == one)
    }

    @Test("AVX2 and AVX-512 give the same bits, also after a whole run")
    func codePaths() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      var results: [String: [String: [Float]]] = [:]
      for path in ["portable", "avx2", "avx512"] {
        // Seven steps a run of three minibatches: 21 steps.
        let result = try run(
          program, arguments: small.arguments(path, ["--epochs", "7"]), environment: ["DPM_SIMD": path])
        if result.errors.contains("one that this CPU can run") { continue }
        try #require(result.status == 0, "\(result.errors)")
        results[path] = try small.tensors(path, epoch: 7)
      }
      #expect(results["portable"] != nil)
      if let wide = results["avx512"] { #expect(results["avx2"] == wide) }
    }

    @Test("four epochs in one go equal two, and two more after --resume", arguments: [1, 2], ["rmsprop", "adam"])
    func resume(_ ranks: Int, _ optimizer: String) throws {
      let small = try SmallRun()
      let more = ["--set", "training.optimizer=\(optimizer)", "--set", "training.average_decay=0.9"]
      try small.train("whole", ranks: ranks, more + ["--epochs", "4"])
      try small.train("halves", ranks: ranks, more + ["--epochs", "2"])
      try small.train("halves", ranks: ranks, more + ["--epochs", "4", "--resume"])
      #expect(try small.tensors("halves", epoch: 4) == small.tensors("whole", epoch: 4))
      #expect(try small.metrics("halves", "train_objective") == small.metrics("whole", "train_objective"))
      // In a folder of its own, on another number of ranks.
      let checkpoint = small.path("runs/halves/checkpoints/epoch-0002.safetensors")
      try small.train("copy", ranks: 3 - ranks, more + ["--epochs", "4", "--resume_file", checkpoint])
      #expect(try small.tensors("copy", epoch: 4) == small.tensors("whole", epoch: 4))
    }

    @Test(
      "a signal ends the run after its step, and nothing is lost",
      arguments: [(SIGUSR1, 1, 0), (SIGTERM, 1, 0), (SIGINT, 1, 130), (SIGUSR1, 2, 0)])
    func signal(_ signal: Int32, _ ranks: Int, _ status: Int32) throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      let more = ["--epochs", "100", "--ext-every-n", "100"]
      try small.train("whole", ranks: ranks, more)
      let process =
        try ranks == 1
        ? RunningProcess(program, arguments: small.arguments("cut", more), environment: testEnvironment())
        : startMPI(ranks: ranks, program, arguments: small.arguments("cut", more))
      #expect(process.waits { $0.contains("epoch 3/") })
      process.send(signal)
      let result = process.finish(timeout: 60)
      #expect(result.status == status, "\(result.errors)")
      #expect(result.output.contains("stopped by"))
      #expect(result.output.contains("--resume"))
      try small.train("cut", ranks: ranks, more + ["--resume"])
      #expect(try small.tensors("cut", epoch: 100) == small.tensors("whole", epoch: 100))
      #expect(try small.metrics("cut", "train_objective") == small.metrics("whole", "train_objective"))
    }

    @Test("--max-time ends the run after a step, with a checkpoint that goes on bit for bit", arguments: [1, 2])
    func timeLimit(_ ranks: Int) throws {
      let small = try SmallRun()
      let more = ["--ext-every-n", "100000"]
      let result = try small.train("cut", ranks: ranks, more + ["--epochs", "100000", "--max-time", "1s"])
      let line = try #require(result.lines.first { $0.hasPrefix("stopped by the time limit after step ") })
      let step = try #require(line.split(separator: " ").dropFirst(7).first.flatMap { Int($0) })
      let path = try #require(line.components(separatedBy: "a checkpoint is written: ").last)
      #expect(FileManager.default.fileExists(atPath: path))
      // Three steps an epoch.
      let epochs = step / 3 + 1
      #expect(path.contains("/epoch-\(String(format: "%04d", step / 3))"), "\(line)")
      try small.train("cut", ranks: ranks, more + ["--epochs", "\(epochs)", "--resume"])
      try small.train("whole", ranks: ranks, more + ["--epochs", "\(epochs)"])
      #expect(try small.tensors("cut", epoch: epochs) == small.tensors("whole", epoch: epochs))
    }

    @Test("a signal ends the drawing of samples too; --resume makes up for it, but once", arguments: [(1, 1), (4, 2)])
    func signalWhileDrawing(_ ranks: Int, _ stops: Int) throws {
      let small = try SmallRun()
      // A trajectory on which 9,000 samples take seconds.
      let more = [
        "--epochs", "2", "--ext-every-n", "1", "--model-args", SmallRun.modelArguments.replacing("=40", with: "=400"),
      ]
      func hasFigures(_ epoch: Int) -> Bool {
        FileManager.default.fileExists(atPath: small.path("runs/cut/figures/epoch-000\(epoch)/samples-t0000.png"))
      }
      for stop in 0..<stops {
        let process = try startMPI(
          ranks: ranks, builtExecutable("dpm-train"),
          arguments: small.arguments(
            "cut", more + ["--set", "output.samples=9000"] + (stop > 0 ? ["--resume"] : [])))
        // Between the test bound and the drawing there is nothing but the checkpoint.
        try #require(process.waits { $0.contains("ceiling") })
        process.send(SIGUSR1)
        let result = process.finish(timeout: 60)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("figures of epoch 1 were not done"))
        #expect(result.output.contains("stopped by SIGUSR1"))
        #expect(!hasFigures(1))
      }
      let resumed = try small.train("cut", ranks: ranks, more + ["--resume", "--set", "output.samples=9"])
      #expect(hasFigures(1) == (stops == 1) && hasFigures(2), "\(resumed.output)")
      #expect(try small.metrics("cut", "epoch") == [1, 2])
      #expect(try small.metrics("cut", "test_objective").count == 2)
    }

    @Test("the last line says what the run took, where it came to, and where things are")
    func lastLine() throws {
      let small = try SmallRun()
      let result = try small.train("whole", ["--epochs", "2"])
      let objective = String(format: "%+.4f", try #require(small.metrics("whole", "train_objective").last))
      let line = try #require(result.lines.last)
      let folder = small.path("runs/whole")
      let pattern = /done in 0:\d\d, \d+ images\/s, last objective ([-+0-9.]+) bits\/pixel, all in (.+)/
      let match = try #require(line.wholeMatch(of: pattern), "\(line)")
      #expect(match.1 == objective && match.2 == folder)
    }

    @Test("threads give the bits of as many ranks, also several of several ranks; three the same curve")
    func threads() throws {
      let small = try SmallRun()
      let more = ["--epochs", "2", "--dropout-rate", "0.1"]
      try small.train("one", more)
      let one = try small.tensors("one", epoch: 2)
      let curve = try small.metrics("one", "train_objective")
      for (ranks, threads) in [(1, 2), (1, 3), (1, 8), (2, 2), (4, 2)] {
        let name = "r\(ranks)t\(threads)"
        let result = try small.train(name, ranks: ranks, more + ["--threads", "\(threads)"])
        #expect(result.output.contains("\(threads) threads each"))
        for (a, b) in zip(try small.metrics(name, "train_objective"), curve) {
          #expect(abs(a - b) < 1e-3 * max(1, abs(b)))
        }
        if threads != 3 { #expect(try small.tensors(name, epoch: 2) == one, "\(name)") }
      }
    }

    @Test("a run whose gradients travel in 16 bits has float32's curve", arguments: ["bfloat16", "float16"])
    func wirePrecision(_ format: String) throws {
      let small = try SmallRun()
      try small.train("whole", ranks: 4, ["--epochs", "10", "--ext-every-n", "10"])
      let result = try small.train(
        "halves", ranks: 4, ["--epochs", "10", "--ext-every-n", "10", "--wire-precision", format])
      #expect(result.output.contains("in \(format)"))
      let (whole, halves) = (
        try small.metrics("whole", "train_objective"), try small.metrics("halves", "train_objective")
      )
      for (a, b) in zip(halves, whole) { #expect(abs(a - b) < 0.01 * max(1, abs(b))) }
      #expect(try small.tensors("halves", epoch: 10) != small.tensors("whole", epoch: 10))
    }

    @Test("16 bits need an order of sums that three ranks do not have")
    func wirePrecisionOfThreeRanks() throws {
      let small = try SmallRun()
      let result = try mpirun(
        ranks: 3, try builtExecutable("dpm-train"),
        arguments: small.arguments("three", ["--epochs", "1", "--wire-precision", "float16"]))
      #expect(result.status == 1)
      #expect(result.errors.contains("error: distributed.wire_precision: float16, expected float32 with 3 ranks"))
    }

    @Test("dropout and several scales train, the same on any number of ranks")
    func otherRecipes() throws {
      let small = try SmallRun()
      let more = ["--epochs", "2", "--dropout_rate", "0.2", "--set", "model.n_scales=2"]
      try small.train("one", more)
      try small.train("two", ranks: 2, more)
      #expect(try small.tensors("one", epoch: 2) == small.tensors("two", epoch: 2))
    }

    @Test("dropout changes the training's objective, and no evaluation")
    func dropoutInEvaluations() throws {
      let small = try SmallRun()
      // Parameters stay what they were, to float32's precision.
      let more = ["--epochs", "1", "--ext-every-n", "1", "--lr", "1e-12"]
      try small.train("without", more)
      try small.train("with", more + ["--dropout-rate", "0.5"])
      let (without, with) = (
        try small.metrics("without", "test_objective"), try small.metrics("with", "test_objective")
      )
      #expect(without.count == 1 && abs(with[0] - without[0]) < 1e-6, "\(with) \(without)")
      let training = try small.metrics("with", "train_objective")[0] - small.metrics("without", "train_objective")[0]
      #expect(abs(training) > 1e-3, "\(training)")
    }

    @Test("several draws of t give the same curve on any number of ranks")
    func severalDraws() throws {
      let small = try SmallRun()
      let more = ["--epochs", "2", "--set", "model.n_t_per_minibatch=3"]
      let result = try small.train("one", more)
      #expect(result.output.contains("sums depend on the number of ranks"))
      try small.train("two", ranks: 2, more)
      for (a, b) in zip(
        try small.metrics("one", "train_objective"), try small.metrics("two", "train_objective"))
      {
        #expect(abs(a - b) < 1e-3 * max(1, abs(b)))
      }
    }
  }
}
