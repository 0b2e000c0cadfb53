import Foundation
import TestSupport
import Testing

extension InputTests {
  /// Every mistake: one line that names what is wrong, a status that is not 0, nothing left behind.
  @Suite struct BadInputTests {
    private func fails(
      _ small: SmallRun, _ arguments: [String], ranks: Int = 1, status: Int32 = 1, saying parts: String...
    ) throws {
      let program = try builtExecutable("dpm-train")
      let result =
        try ranks == 1
        ? run(program, arguments: arguments) : mpirun(ranks: ranks, program, arguments: arguments, timeout: 30)
      #expect(result.status == status, "\(result.output)\(result.errors)")
      let lines = result.errors.split(separator: "\n").filter { $0.lowercased().hasPrefix("error:") }
      #expect(lines.count == 1, "\(result.errors)")
      for part in parts { #expect(result.errors.contains(part), "\(result.errors)") }
    }

    @Test("data: missing, cut short, of another kind")
    func data() throws {
      let small = try SmallRun()
      let images = small.path("train-images-idx3-ubyte")
      try FileManager.default.removeItem(atPath: images)
      try fails(small, small.arguments("x"), saying: "train-images-idx3-ubyte")
      try fails(small, small.arguments("x"), ranks: 2, saying: "train-images-idx3-ubyte")
      _ = try small.folder.write(Array(SmallRun.idx(count: 300).dropLast(7)), as: "train-images-idx3-ubyte")
      try fails(small, small.arguments("x"), saying: images)
      _ = try small.folder.write(SmallRun.idx(count: 300, magic: [0, 0, 8, 1]), as: "train-images-idx3-ubyte")
      try fails(small, small.arguments("x"), saying: images, "0x00000801", "0x00000803")
      #expect(!FileManager.default.fileExists(atPath: small.path("runs")))
    }

    @Test("sizes that do not fit the ranks or the data")
    func sizes() throws {
      let small = try SmallRun()
      try fails(
        small, small.arguments("x", ["--batch-size", "1"]), ranks: 2, saying: "training.batch_size", "1", "ranks")
      try fails(small, small.arguments("x", ["--batch-size", "301"]), saying: "training.batch_size", "301", "300")
      try fails(
        small, small.arguments("x", ["--set", "model.spatial_width=28"]), saying: "model.spatial_width", "28", "8")
      try fails(small, small.arguments("x", ["--threads", "129"]), saying: "distributed.threads", "129")
    }

    @Test(
      "a width or colours that the data do not have: one line says what they have", arguments: ["mnist", "cifar10"])
    func shapes(_ set: String) throws {
      let small = try SmallRun()
      // Two images a file, each behind its label.
      let image: [UInt8] = [7] + (0..<3072).map { UInt8($0 % 251) }
      for name in (1...5).map({ "data_batch_\($0).bin" }) + ["test_batch.bin"] {
        _ = try small.folder.write(image + image, as: name)
      }
      let (width, colors) = set == "mnist" ? (8, 1) : (32, 3)
      for (key, wrong, right) in [("spatial_width", 28, width), ("n_colors", 4 - colors, colors)] {
        for ranks in [1, 2] {
          try fails(
            small, small.arguments("x", ["--dataset", set, "--set", "model.\(key)=\(wrong)"]), ranks: ranks,
            saying: "error: model.\(key): \(wrong), expected \(right), as \(set.uppercased())'s images have\n")
        }
      }
      #expect(!FileManager.default.fileExists(atPath: small.path("runs")))
    }

    @Test("folders: one that exists, one that cannot be made, one that is no run's")
    func folders() throws {
      let small = try SmallRun()
      try small.train("taken", ["--epochs", "1"])
      try fails(small, small.arguments("taken", ["--epochs", "1"]), saying: "taken", "--resume")
      try fails(small, small.arguments("taken", ["--epochs", "1"]), ranks: 2, saying: "taken", "--resume")
      try fails(small, small.arguments("none", ["--resume"]), saying: "none")
      _ = try small.folder.write("a file", as: "file")
      try fails(small, small.arguments("x", ["--output-dir", small.path("file")]), saying: small.path("file"))
    }

    @Test("configurations: unknown keys, wrong types, impossible values, with a proposal for typos")
    func configurations() throws {
      let small = try SmallRun()
      let file = try small.folder.write("training:\n  batch_sise: 3\n", as: "typo.yaml")
      try fails(small, [file], saying: "typo.yaml", "batch_sise", "batch_size")
      try fails(small, ["--set", "training.lr=fast"], saying: "training.lr", "fast")
      try fails(small, ["--batch-size", "0"], saying: "--batch-size", "0")
      try fails(small, ["--model-args", "n_hidden=3"], saying: "n_hidden", "--model-args")
      try fails(small, ["--dataset", "SVHN"], saying: "SVHN", "CIFAR")
      try fails(small, ["--no-such-flag"], status: 64, saying: "--no-such-flag")
      try fails(small, small.arguments("x", ["--batch-size", "0"]), ranks: 2, saying: "--batch-size")
    }

    @Test("checkpoints: of another architecture, damaged, none")
    func checkpoints() throws {
      let small = try SmallRun()
      try small.train("old", ["--epochs", "1"])
      let checkpoint = small.path("runs/old/checkpoints/epoch-0001.safetensors")
      try fails(
        small, small.arguments("x", ["--resume-file", checkpoint, "--set", "model.n_scales=2"]),
        saying: checkpoint, "n_scales 1", "expected 2")
      var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: checkpoint)))
      bytes[bytes.count - 5] ^= 64
      let damaged = try small.folder.write(bytes, as: "damaged.safetensors")
      try fails(small, small.arguments("y", ["--resume-file", damaged]), saying: damaged)
      try fails(small, small.arguments("z", ["--resume-file", damaged]), ranks: 2, saying: damaged)
      let cut = try small.folder.write(Array(bytes.prefix(1000)), as: "cut.safetensors")
      try fails(small, small.arguments("w", ["--resume-file", cut]), saying: cut)
    }

    @Test("an unknown kernel in DPM_SIMD")
    func kernels() throws {
      let small = try SmallRun()
      let result = try run(
        try builtExecutable("dpm-train"), arguments: small.arguments("x"), environment: ["DPM_SIMD": "avx9"])
      #expect(result.status == 1)
      #expect(result.errors.contains("error: DPM_SIMD: avx9, expected one that this CPU can run: portable"))
    }
  }

  @Suite struct CommandLineTests {
    @Test("--help and --version need no MPI, and only rank 0 answers", arguments: ["dpm-train", "dpm-benchmark"])
    func help(_ name: String) throws {
      let program = try builtExecutable(name)
      #expect(try run(program, arguments: ["--version"]).output == "0.1.0\n")
      let help = try run(program, arguments: ["--help"])
      #expect(help.status == 0 && help.output.contains("USAGE") && help.errors.isEmpty)
      let two = try mpirun(ranks: 2, program, arguments: ["--version"])
      #expect(two.output == "0.1.0\n")
    }

    @Test("the reference's two commands, with only the program's name changed")
    func reference() throws {
      let program = try builtExecutable("dpm-train")
      let mnist = try run(program, arguments: ["--print-config"])
      #expect(mnist.status == 0)
      for line in ["name: mnist", "batch_size: 512", "n_hidden_dense_lower: 500", "n_layers_conv: 4"] {
        #expect(mnist.output.contains(line), "\(line)")
      }
      let model =
        "n_hidden_dense_lower=1000,n_hidden_dense_lower_output=5,n_hidden_conv=100,n_layers_conv=6,"
        + "n_layers_dense_lower=6,n_layers_dense_upper=4,n_hidden_dense_upper=100"
      let cifar = try run(
        program, arguments: ["--batch-size", "200", "--dataset", "CIFAR10", "--model-args", model, "--print-config"])
      for line in ["name: cifar10", "batch_size: 200", "n_hidden_conv: 100", "n_hidden_dense_lower_output: 5"] {
        #expect(cifar.output.contains(line), "\(line)")
      }
      // What is printed is a configuration that says the same again.
      let small = try SmallRun()
      let file = try small.folder.write(cifar.output, as: "printed.yaml")
      #expect(try run(program, arguments: [file, "--print-config"]).output == cifar.output)
    }
  }
}
