import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// `--dry-run`: what a run would cost, without one.
  @Suite struct RehearsalTests {
    /// The words of the line that begins with this one.
    private func words(_ name: String, _ result: ProcessResult) throws -> [String] {
      let line = try #require(result.lines.first { $0.hasPrefix("\(name) ") }, "\(result.output)\(result.errors)")
      return line.split(separator: " ").dropFirst().map { $0.trimmingCharacters(in: .punctuationCharacters) }
    }

    @Test("a rehearsal says what the run then does, and writes nothing", arguments: [1, 2])
    func costs(ranks: Int) throws {
      let small = try SmallRun()
      let more = ["--epochs", "3", "--set", "training.optimizer=adam"]
      let rehearsal = try small.train("x", ranks: ranks, more + ["--dry-run"])
      #expect(!FileManager.default.fileExists(atPath: small.path("runs")))
      #expect(rehearsal.errors.isEmpty && !rehearsal.lines.contains { $0.hasPrefix("epoch 1") })

      try small.train("x", ranks: ranks, more)
      let tensors = try small.tensors("x", epoch: 3)
      let parameters = tensors.filter { !$0.key.contains("optimizer.") }.values.reduce(0) { $0 + $1.count }
      #expect(try words("model", rehearsal).first == "\(parameters)")
      // 300 images in minibatches of 128.
      #expect(try words("epoch", rehearsal).prefix(2) == ["3", "steps"])
      let work = try #require(try words("work", rehearsal).first.flatMap { Double($0) })
      let perImage = try #require(try words("model", rehearsal).dropFirst(2).first.flatMap { Double($0) })
      #expect(abs(work - perImage * 128 / 1e3 / Double(ranks)) < 0.02)
      #expect(try words("sums", rehearsal).first == String(format: "%.2f", Double(4 * parameters) / 1e6))
      let memory = try words("peak", rehearsal).prefix { Int($0) != nil }.compactMap { Int($0) }
      #expect(memory.count == ranks && memory.allSatisfy { (10...2000).contains($0) })
      #expect(try words("step", rehearsal).contains("images/s"))
      // 49 new ones, and each of the 40 test images inpainted and denoised.
      #expect(try words("figures", rehearsal).prefix(5) == ["129", "samples", "of", "39", "steps"])
      let numbers = String(format: "%.1f MB each", Double(4 * tensors.values.reduce(0) { $0 + $1.count }) / 1e6)
      #expect(rehearsal.output.contains("epoch-0002.safetensors every 2 epochs, \(numbers)"), "\(rehearsal.output)")
      for file in ["config.yaml", "checkpoints/epoch-0002.safetensors", "figures/epoch-0002/samples-t0000.png"] {
        #expect(rehearsal.output.contains(small.path("runs/x/\(file)")))
        #expect(FileManager.default.fileExists(atPath: small.path("runs/x/\(file)")), "\(file)")
      }
    }

    @Test("a rehearsal is refused where the run would be, and leaves a run that it would resume as it is")
    func refused() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      func fails(_ name: String, _ more: [String], saying text: String) throws {
        let result = try run(program, arguments: small.arguments(name, more + ["--dry-run"]))
        #expect(result.status == 1 && result.errors.contains(text), "\(result.errors)")
      }
      try small.train("taken", ["--epochs", "2"])
      try fails("taken", [], saying: "error: \(small.path("runs/taken")): exists already, expected --resume")
      try fails("none", ["--resume"], saying: "no checkpoint")
      _ = try small.folder.write("a file", as: "file")
      try fails(
        "x", ["--output-dir", small.path("file/runs")], saying: "\(small.path("file")): a file, expected a folder")
      let checkpoint = small.path("runs/taken/checkpoints/epoch-0002.safetensors")
      let other = ["--resume-file", checkpoint, "--batch-size", "100"]
      try fails("x", other, saying: "training.batch_size: 100, expected 128, as in \(checkpoint)")

      let before = try FileManager.default.subpathsOfDirectory(atPath: small.path("runs")).sorted()
      let resumed = try small.train("taken", ["--epochs", "4", "--resume", "--dry-run"])
      #expect(resumed.output.contains(small.path("runs/taken/config.yaml")))
      #expect(try FileManager.default.subpathsOfDirectory(atPath: small.path("runs")).sorted() == before)
      #expect(try small.metrics("taken", "epoch") == [1, 2])
    }
  }
}
