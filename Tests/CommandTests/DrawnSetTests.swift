import Foundation
import TestSupport
import Testing

extension InputTests {
  /// Dead leaves, for all sets that are drawn.
  @Suite struct DrawnSetTests {
    private func arguments(_ folder: TemporaryFolder, _ name: String) -> [String] {
      [
        "--dataset", "dead-leaves", "--set", "model.spatial_width=8", "--set", "model.n_colors=1", "--output-dir",
        folder.file("runs"), "--name", name, "--batch-size", "1000", "--epochs", "1", "--model-args",
        SmallRun.modelArguments,
      ]
    }

    @Test("two ranks draw what one does; the model is evaluated and sampled without any files")
    func trainsAndSamples() throws {
      let folder = try TemporaryFolder()
      let program = try builtExecutable("dpm-train")
      let one = try run(program, arguments: arguments(folder, "one"))
      let two = try mpirun(ranks: 2, program, arguments: arguments(folder, "two"))
      #expect(one.status == 0 && two.status == 0, "\(one.errors)\(two.errors)")
      #expect(one.output.contains("DEAD-LEAVES: 50000 images of 1×8×8"))
      let checkpoint = "/checkpoints/epoch-0001.safetensors"
      // The metadata tell one file from the other, the tensors do not.
      let size = try folder.bytes("runs/one" + checkpoint).count
      #expect(size == (try folder.bytes("runs/two" + checkpoint).count))
      #expect(
        try folder.bytes("runs/one" + checkpoint).suffix(size / 2)
          == folder.bytes("runs/two" + checkpoint).suffix(size / 2))

      let model = folder.file("runs/one" + checkpoint)
      let bound = try run(try builtExecutable("dpm-evaluate"), arguments: [model])
      #expect(bound.status == 0 && bound.output.contains("2000 images"), "\(bound.output)\(bound.errors)")
      let samples = folder.file("samples.png")
      let painted = try run(
        try builtExecutable("dpm-sample"), arguments: [model, "--kind", "inpaint", "--output", samples])
      #expect(painted.status == 0 && FileManager.default.fileExists(atPath: samples), "\(painted.errors)")
    }

    @Test("a number of colours that images are not drawn in is named")
    func wrongColors() throws {
      let folder = try TemporaryFolder()
      let result = try run(
        try builtExecutable("dpm-train"),
        arguments: arguments(folder, "x") + ["--set", "model.n_colors=2"])
      #expect(result.status == 1)
      #expect(result.errors.contains("error: model.n_colors: 2, expected 1 (grey) or 3"), "\(result.errors)")
    }
  }
}
