import Foundation
import TestSupport
import Testing

extension InputTests {
  /// Every file of `configs/`, on data of the sizes that it is for.
  @Suite struct ConfigurationFilesTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("configs").path

    /// A data folder for each file; nil where it needs none.
    private static let data: [String: @Sendable (TemporaryFolder) throws -> String?] = [
      "mnist": digits, "mnist-reference": digits, "quickstart": digits, "cifar10": objects,
      "imagenet128": { _ in SamplePicture.folder }, "dead-leaves": { _ in nil },
    ]

    @Sendable private static func digits(_ folder: TemporaryFolder) throws -> String? {
      for (name, count) in [("train-images-idx3-ubyte", 600), ("t10k-images-idx3-ubyte", 20)] {
        let sizes: [UInt8] = [0, 0, 8, 3, 0, 0, UInt8(count >> 8), UInt8(count & 255), 0, 0, 0, 28, 0, 0, 0, 28]
        _ = try folder.write(
          sizes + (0..<count * 784).map { UInt8(truncatingIfNeeded: $0 / 28 + $0 % 28 * 5) }, as: name)
      }
      return folder.path
    }

    @Sendable private static func objects(_ folder: TemporaryFolder) throws -> String? {
      for name in (1...5).map({ "data_batch_\($0).bin" }) + ["test_batch.bin"] {
        _ = try folder.write(
          (0..<50).flatMap { image in [3] + (0..<3072).map { UInt8(truncatingIfNeeded: $0 / 32 + image) } }, as: name)
      }
      return folder.path
    }

    @Test("all of them are tested")
    func all() throws {
      let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder)
      #expect(Set(files) == Set(Self.data.keys.map { "\($0).yaml" }))
    }

    @Test("a run starts, takes steps and ends with a checkpoint", arguments: data.keys.sorted())
    func starts(name: String) throws {
      let folder = try TemporaryFolder()
      var arguments = [
        "\(Self.folder)/\(name).yaml", "--output-dir", folder.file("runs"), "--name", "run", "--max-time", "2s",
      ]
      if let data = try Self.data[name]?(folder) { arguments += ["--data-dir", data] }
      // Eleven pictures are there.
      if name == "imagenet128" { arguments += ["--batch-size", "8"] }
      let result = try run(
        try builtExecutable("dpm-train"), arguments: arguments, environment: ["XDG_CACHE_HOME": folder.path],
        timeout: 300)
      #expect(result.status == 0, "\(result.output)\(result.errors)")
      #expect(try folder.contents(of: "runs/run/checkpoints").count == 1, "\(result.output)")
    }
  }
}
