import Foundation
import TestSupport
import Testing

extension CommandTests {
  @Suite struct EvaluateTests {
    private func checkpoint(_ small: SmallRun, epochs: Int = 2) throws -> String {
      try small.train("run", ["--epochs", "\(epochs)", "--lr", "3e-3"])
      return small.path("runs/run/checkpoints/epoch-000\(epochs).safetensors")
    }

    private func evaluate(_ small: SmallRun, ranks: Int = 1, _ arguments: String...) throws -> ProcessResult {
      let program = try builtExecutable("dpm-evaluate")
      return try ranks == 1 ? run(program, arguments: arguments) : mpirun(ranks: ranks, program, arguments: arguments)
    }

    private func object(_ result: ProcessResult) throws -> [String: Any] {
      try #require(result.status == 0, "\(result.errors)")
      return try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    }

    @Test("the bound is the one that training printed, and the same on any number of ranks and threads")
    func ranks() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let one = try evaluate(small, checkpoint, "--json")
      #expect(try evaluate(small, small.path("runs/run"), "--json").output == one.output)
      for (ranks, threads) in [(1, "1"), (1, "3"), (2, "2"), (3, "1")] {
        let other = try evaluate(small, ranks: ranks, checkpoint, "--json", "--threads", threads)
        #expect(other.output == one.output, "\(ranks) ranks of \(threads) threads")
      }
      let numbers = try object(one)
      let objective = try #require(try small.metrics("run", "test_objective").last)
      #expect(abs(try #require(numbers["k_minus_null"] as? Double) + objective) < 1e-14)
      #expect(
        numbers["k_minus_null_standard_error"] as? Double == (try small.metrics("run", "test_standard_error").last))
      #expect(numbers["images"] as? Int == 40)
      let (k, scale) = (try #require(numbers["k"] as? Double), try #require(numbers["scale"] as? Double))
      #expect(abs(k - (-objective - 2.047096)) < 1e-5)
      let bits = try #require(numbers["bits_per_dim"] as? Double)
      #expect(abs(bits - (log2(255 / scale) - k)) < 1e-9)
    }

    @Test("all times, and drawn ones to a standard error, agree")
    func exact() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let exact = try object(
        evaluate(small, checkpoint, "--exact", "--json", "--per-step", small.path("steps.csv")))
      let drawn = try object(evaluate(small, checkpoint, "--standard-error", "0.05", "--json"))
      let error = try #require(drawn["k_minus_null_standard_error"] as? Double)
      #expect(error <= 0.05 && (drawn["rounds"] as? Int ?? 0) > 1)
      let values = try [exact, drawn].map { try #require($0["k_minus_null"] as? Double) }
      // T·KL of drawn times and the sum over T - 1 differ by 1/39 of what is lost on the way, beside the error.
      let lost = try #require(exact["ceiling"] as? Double) - values[0]
      #expect(abs(values[0] - values[1] - lost / 39) < 3 * error)
      let steps = try String(contentsOfFile: small.path("steps.csv"), encoding: .utf8).split(separator: "\n")
      #expect(steps.count == 40)
      let sum = try steps.dropFirst().reduce(0.0) { $0 + (try #require(Double($1.split(separator: ",")[2]))) }
      #expect(abs(lost - sum) < 1e-6)
      for type in ["png", "pdf"] { #expect(FileManager.default.fileExists(atPath: small.path("steps.\(type)"))) }
    }

    @Test("both sets, a part of the images, and a line for each")
    func images() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let result = try object(
        evaluate(
          small, checkpoint, "--split", "both", "--images", "33", "--json", "--per-image", small.path("images.csv")))
      #expect(result["images"] as? Int == 33 && result["split"] as? String == "test")
      #expect((result["train"] as? [String: Any])?["images"] as? Int == 33)
      let lines = try String(contentsOfFile: small.path("images-test.csv"), encoding: .utf8).split(separator: "\n")
      #expect(lines.count == 34)
      let mean = try lines.dropFirst().reduce(0.0) { $0 + (try #require(Double($1.split(separator: ",")[1]))) / 33 }
      #expect(abs(mean - (try #require(result["k_minus_null"] as? Double))) < 1e-9)
      let text = try evaluate(small, checkpoint).output
      for part in ["white noise", "a Gaussian for each pixel", "full covariance", "ceiling", "bits per dimension"] {
        #expect(text.contains(part))
      }
    }

    @Test("a single image has a bound, and no standard error")
    func oneImage() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let result = try object(evaluate(small, checkpoint, "--images", "1", "--json"))
      #expect(result["k_minus_null"] is Double && result["k_minus_null_standard_error"] is NSNull)
      let text = try evaluate(small, checkpoint, "--images", "1").output
      #expect(
        text.contains("test set: 1 image, 64 t each, ") && !text.contains("±") && !text.contains("inf"), "\(text)")
    }

    @Test("what cannot be evaluated is refused with one line")
    func badInput() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let damaged = small.path("damaged.safetensors")
      var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: checkpoint)))
      // Behind the header, whose length is the file's first number: the first tensor.
      bytes[8 + Int(bytes[0]) + 256 * Int(bytes[1]) + 50] ^= 4
      try Data(bytes).write(to: URL(fileURLWithPath: damaged))
      let other = try small.folder.write("{}", as: "other.safetensors")
      let csv = try small.folder.write("mine", as: "mine.csv")
      let own = try small.folder.write("mine", as: "both-test.csv")
      let cases: [([String], String)] = [
        ([small.path("none")], "none: no such file"), ([damaged], "is damaged"), ([other], "other.safetensors"),
        ([checkpoint, "--images", "0"], "--images: 0"),
        ([checkpoint, "--standard-error", "0"], "--standard-error: 0.0"),
        ([checkpoint, "--split", "all"], "--split: \"all\""), ([checkpoint, "--per-image", csv], "which exists"),
        ([checkpoint, "--split", "both", "--per-image", small.path("both.csv")], "both-test.csv, which exists"),
        ([checkpoint, "--per-image", small.path("a.csv"), "--per-step", small.path("a.csv")], "expected two names"),
        ([checkpoint, "--per-step", "/nowhere/x.csv"], "/nowhere/x.csv"),
        ([checkpoint, "--per-image", small.path("x.txt")], "ends in .csv"),
        ([checkpoint, "--data-dir", small.path("runs")], "no MNIST files"),
        ([small.path("runs")], "runs/checkpoints: no checkpoint, expected one at least"),
        ([checkpoint, "--exact", "--standard-error", "1"], "--exact"),
        ([checkpoint, "--threads", "0"], "--threads: 0, expected 1 ... 1024"),
      ]
      for (arguments, text) in cases {
        let result = try run(builtExecutable("dpm-evaluate"), arguments: arguments)
        #expect(result.status == 1, "\(arguments)")
        #expect(result.errors.contains(text) && result.errors.hasPrefix("error: "), "\(result.errors)")
        #expect(result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      }
      for file in [csv, own] { #expect(try String(contentsOfFile: file, encoding: .utf8) == "mine") }
      let ranked = try mpirun(ranks: 2, builtExecutable("dpm-evaluate"), arguments: [damaged])
      #expect(ranked.status == 1 && ranked.errors.contains("is damaged"))
    }
  }
}
