import Foundation
import TestSupport
import Testing

extension MeasurementTests {
  @Suite struct BenchmarkTests {
    /// A small model of MNIST's shape.
    private static let small =
      [
        "trajectory_length=40", "n_hidden_dense_lower=24", "n_hidden_conv=6", "n_layers_conv=2",
        "n_layers_dense_lower=2", "n_hidden_dense_upper=7",
      ].flatMap { ["--set", "model.\($0)"] } + ["--batch-size", "48"]

    private func object(_ arguments: [String], ranks: Int) throws -> [String: Any] {
      let result = try mpirun(
        ranks: ranks, try builtExecutable("dpm-benchmark"), arguments: Self.small + arguments + ["--json"])
      try #require(result.status == 0, "\(result.errors)")
      return try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    }

    @Test("a profile's parts add up to the step, and name every layer and pass", arguments: [1, 2])
    func profile(ranks: Int) throws {
      let result = try object(["--profile", "--steps", "20"], ranks: ranks)
      let profile = try #require(result["profile"] as? [String: Any])
      let entries = try #require(profile["entries"] as? [[String: Any]])
      let step = try #require(profile["step_seconds"] as? Double)
      let sum = entries.reduce(0.0) { $0 + ($1["seconds"] as? Double ?? 0) }
      #expect(abs(sum - step) < 0.01 * step)
      let names = Set(entries.map { "\($0["name"] ?? "") \($0["pass"] ?? "")" })
      for layer in ["conv.1.scale0", "dense_lower.1", "dense_upper.0", "dense_upper.1"] {
        for pass in ["forward", "input_gradient", "weight_gradient"] { #expect(names.contains("\(layer) \(pass)")) }
      }
      // Nobody needs the gradient of x_t.
      #expect(names.contains("conv.0.scale0 forward") && !names.contains("conv.0.scale0 input_gradient"))
      for part in ["input", "forward process", "objective", "optimizer", "communication", "other"] {
        #expect(names.contains("\(part) whole"), "\(part)")
      }
    }

    @Test("what a step's benchmark says adds up")
    func step() throws {
      let result = try object(["--steps", "3"], ranks: 2)
      let seconds = try #require(result["step_seconds_median"] as? Double)
      let rate = try #require(result["images_per_second"] as? Double)
      #expect(abs(rate * seconds - 48) < 0.01)
      let peak = try #require(result["fma_peak_gflops"] as? Double)
      let operations = try #require(result["gflop_per_step"] as? Double)
      let ratio = try #require(result["effective_over_peak"] as? Double)
      #expect(abs(ratio - operations / seconds / 2 / peak) < 1e-6 * ratio)
      #expect((result["peak_rss_bytes"] as? [Double])?.count == 2)
      #expect(try object(["--steps", "1", "--threads", "3"], ranks: 1)["threads"] as? Int == 3)
    }

    @Test("sampling is timed over all ranks")
    func sampling() throws {
      let result = try object(["--sample", "--threads", "2"], ranks: 2)
      #expect(result["threads"] as? Int == 2)
      #expect(result["samples"] as? Int == 49 && result["reverse_steps"] as? Int == 39 && result["ranks"] as? Int == 2)
      let seconds = try #require(result["full_trajectory_seconds"] as? Double)
      #expect(abs(try #require(result["images_per_second"] as? Double) * seconds - 49) < 0.01)
    }

    @Test(
      "what cannot be timed is refused with one line",
      arguments: [
        (["--steps", "0"], "error: --steps: 0, expected 1 ... 1000000\n"),
        (["--profile", "--sample"], "error: --profile: --sample beside it, expected one of the two\n"),
        (["--ranks", "2"], "error: --ranks: 2 without --compare-pytorch, expected mpirun -n 2 dpm-benchmark\n"),
        (["--repetitions", "2"], "error: --repetitions: 2 without --compare-pytorch, expected --steps\n"),
        (
          ["--threads", "2", "--compare-pytorch", "x"],
          "error: distributed.threads: 2, expected 1 with --compare-pytorch, whose processes have a thread each\n"
        ),
        (["--compare-pytorch", "x", "--ranks", "0"], "error: --ranks: 0, expected 1 ... 1024\n"),
        (
          ["--compare-pytorch", "x", "--profile"],
          "error: --profile: --compare-pytorch beside it, expected one of the two\n"
        ),
        (
          ["--compare-pytorch", "x", "--set", "dataset.name=dead-leaves", "--set", "model.spatial_width=8"],
          "error: dataset.name: dead-leaves, expected mnist or cifar10 with --compare-pytorch, whose script has these models\n"
        ),
        (["--compare-pytorch", "x", "--repetitions", "0"], "error: --repetitions: 0, expected 1 ... 1000\n"),
      ])
    func badInput(_ arguments: [String], _ message: String) throws {
      let result = try run(try builtExecutable("dpm-benchmark"), arguments: arguments)
      #expect(result.status == 1 && result.errors == message && result.output.isEmpty)
    }

    @Test("an interpreter that is none, or has no torch, is named", arguments: ["/nonexistent/python", "/bin/false"])
    func noPython(_ python: String) throws {
      let result = try run(
        try builtExecutable("dpm-benchmark"),
        arguments: Self.small + ["--steps", "1", "--repetitions", "1", "--compare-pytorch", python])
      #expect(result.status == 1)
      #expect(result.errors.hasPrefix("error: --compare-pytorch: '\(python) "))
      #expect(result.errors.split(separator: "\n").count == 1)
    }
  }
}
