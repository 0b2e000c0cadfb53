import Foundation
import TestSupport
import Testing

extension InputTests {
  /// What the commands do about a data set that is nowhere.
  ///
  /// How files are downloaded is tested in DatasetsTests.
  @Suite(.enabled(if: LocalMirror.isAvailable, "needs python3 for a local server"))
  struct DownloadCommandTests {
    private let folder: TemporaryFolder
    private let digest = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"

    init() throws { folder = try TemporaryFolder() }

    private func environment(_ mirror: String?) -> [String: String] {
      [
        "XDG_CACHE_HOME": folder.file("cache"), "DPM_DATA_DIR": "", "DPM_DATA_MIRROR": mirror ?? "", "NO_PROXY": "*",
        "no_proxy": "*",
      ]
    }

    private func train(
      ranks: Int = 1, _ more: [String], mirror: String?, timeout: Double = 60
    ) throws -> ProcessResult {
      let program = try builtExecutable("dpm-train")
      let arguments = ["--output-dir", folder.file("runs"), "--name", "x", "--epochs", "1"] + more
      return try ranks == 1
        ? run(program, arguments: arguments, environment: environment(mirror), timeout: timeout)
        : mpirun(ranks: ranks, program, arguments: arguments, environment: environment(mirror), timeout: timeout)
    }

    @Test("--offline asks no server, and says which files to put where", arguments: [1, 2])
    func offline(ranks: Int) throws {
      let mirror = try LocalMirror(root: folder.path)
      let result = try train(ranks: ranks, ["--offline"], mirror: mirror.address("ok"))
      #expect(result.status == 1)
      #expect(result.errors.hasPrefix("error: dataset.path: no MNIST files are there, and --offline forbids"))
      for text in ["\(folder.file("cache"))/dpm/mnist", "--data-dir", "  \(digest)  train-images-idx3-ubyte\n"] {
        #expect(result.errors.contains(text), "\(result.errors)")
      }
      #expect(result.errors.components(separatedBy: "error:").count == 2)
      #expect(try mirror.requests().isEmpty)
      #expect(!FileManager.default.fileExists(atPath: folder.file("runs")))
    }

    @Test("without a server, the error says what was tried and which files to put where", arguments: [1, 2])
    func noServer(ranks: Int) throws {
      let mirror = try LocalMirror(root: folder.path)
      let result = try train(ranks: ranks, ["--dataset", "cifar10"], mirror: mirror.address("404"))
      #expect(result.status == 1)
      for text in ["no CIFAR10 files", "\(mirror.address("404"))/cifar-10-binary.tar.gz: HTTP 404", "  test_batch.bin"]
      {
        #expect(result.errors.contains(text), "\(result.errors)")
      }
      // A rank downloads, the other waits.
      #expect(try mirror.requests() == ["404 cifar-10-binary.tar.gz 404 0"])
    }

    @Test("a signal while downloading ends the job, and what arrived is kept")
    func signal() throws {
      _ = try folder.write([UInt8](repeating: 5, count: 100_000), as: "train-images-idx3-ubyte.gz")
      try FileManager.default.createDirectory(atPath: folder.file("mnist"), withIntermediateDirectories: true)
      try FileManager.default.moveItem(
        atPath: folder.file("train-images-idx3-ubyte.gz"), toPath: folder.file("mnist/train-images-idx3-ubyte.gz"))
      let mirror = try LocalMirror(root: folder.path)
      let process = try RunningProcess(
        try builtExecutable("dpm-train"), arguments: [],
        environment: testEnvironment(environment(mirror.address("stall"))))
      #expect(process.waits { $0.contains("downloading MNIST from \(mirror.address("stall"))") })
      process.send(SIGINT)
      let result = process.finish(timeout: 20)
      #expect(result.status == 130, "\(result.errors)")
      #expect(result.errors == "error: stopped by SIGINT while downloading; what has arrived is kept\n")
      let part = folder.file("cache/dpm/mnist/.train-images-idx3-ubyte.gz.part")
      #expect(try Data(contentsOf: URL(fileURLWithPath: part)).count == 50_000)
    }

    @Test(
      "MNIST is downloaded once, by one of two ranks, and trained on; then it is there",
      .enabled(
        if: ProcessInfo.processInfo.environment["DPM_DATA_DIR"] != nil, "needs the full sets in DPM_DATA_DIR"))
    func whole() throws {
      let data = try #require(ProcessInfo.processInfo.environment["DPM_DATA_DIR"])
      let mirror = try LocalMirror(root: folder.path)
      try FileManager.default.createDirectory(atPath: folder.file("mnist"), withIntermediateDirectories: true)
      for name in ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"] {
        try FileManager.default.copyItem(atPath: "\(data)/mnist/\(name)", toPath: folder.file("mnist/\(name)"))
      }
      let more = ["--model-args", SmallRun.modelArguments, "--batch-size", "20000", "--ext-every-n", "2"]
      let result = try train(ranks: 2, more, mirror: mirror.address("ok"), timeout: 300)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output.contains("60000 images"))
      #expect(try mirror.requests().count == 2)
      #expect(
        try folder.contents(of: "cache/dpm/mnist") == ["t10k-images-idx3-ubyte", "train-images-idx3-ubyte"])
      let again = try train(["--offline", "--name", "y"] + more, mirror: nil, timeout: 300)
      #expect(again.status == 0, "\(again.errors)")
    }
  }
}
