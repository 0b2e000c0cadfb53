import Datasets
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("RunFolder")
struct RunFolderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("a run is named by the user, or by data set, suffix and local time")
  func names() throws {
    var configuration = Configuration()
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .current
    let components = DateComponents(year: 2026, month: 3, day: 4, hour: 5, minute: 6, second: 7)
    let date = try #require(calendar.date(from: components))
    #expect(RunFolder(configuration, date: date).path == "runs/mnist-20260304-050607")
    configuration.dataset.name = .cifar10
    configuration.output.suffix = "wide"
    configuration.output.directory = "/tmp/out"
    #expect(RunFolder(configuration, date: date).path == "/tmp/out/cifar10-wide-20260304-050607")
    configuration.output.name = "first"
    #expect(RunFolder(configuration, date: date).path == "/tmp/out/first")
  }

  @Test("files have the names that other programs rely on")
  func paths() {
    let run = RunFolder(path: "r")
    #expect(run.configurationPath == "r/config.yaml")
    #expect(run.metrics.path == "r/metrics.jsonl")
    #expect(run.logPath == "r/train.log")
    #expect(run.checkpointPath(epoch: 25) == "r/checkpoints/epoch-0025.safetensors")
    #expect(run.checkpointPath(epoch: 12345) == "r/checkpoints/epoch-12345.safetensors")
    #expect(run.checkpointPath(epoch: 25, step: 3000) == "r/checkpoints/epoch-0025-step-3000.safetensors")
    #expect(run.figurePath("samples-t0000.png", epoch: 25) == "r/figures/epoch-0025/samples-t0000.png")
    #expect(run.figurePath("progress.png") == "r/figures/progress.png")
  }

  @Test("a new run's folder is made with all that it lies in, and locked")
  func creating() throws {
    let run = RunFolder(path: folder.file("a/b/run"))
    let lock = try run.create()
    #expect(try folder.contents(of: "a/b/run") == ["checkpoints", "figures", "run.lock"])
    try run.createFiguresFolder(epoch: 3)
    #expect(try folder.contents(of: "a/b/run/figures") == ["epoch-0003"])
    withExtendedLifetime(lock) {}
  }

  @Test("a folder that exists is refused, also if it is empty")
  func existing() throws {
    let run = RunFolder(path: folder.path)
    #expect(
      throws: InputError(
        folder.path, found: "exists already",
        expected: "--resume to go on with it, --resume-or-start if it has no checkpoint yet, or another --name")
    ) { try run.create() }
  }

  @Test("a folder that cannot be made is refused in the system's words")
  func unwritable() throws {
    let file = try folder.write("", as: "file")
    let error = #expect(throws: InputError.self) { try RunFolder(path: file + "/run").create() }
    #expect(error == InputError(file, found: "a file", expected: "a folder"))
    // Nobody, not even root, makes folders there.
    let system = #expect(throws: InputError.self) { try RunFolder(path: "/proc/dpm/run").create() }
    #expect(system?.subject == "/proc/dpm")
    #expect(system?.found.isEmpty == false)
  }

  @Test("a run's folder is reopened once at a time, and swept")
  func reopening() throws {
    let run = RunFolder(path: folder.file("run"))
    #expect(throws: InputError.self) { try run.reopen() }
    withExtendedLifetime(try run.create()) {
      let error = #expect(throws: InputError.self) { try run.reopen() }
      #expect(error?.found.contains("in use by process \(getpid())") == true)
    }
    try run.createFiguresFolder(epoch: 25)
    let dead = try deadProcess()
    for leftover in ["checkpoints/.epoch-0025.safetensors", "figures/.progress.png", "figures/epoch-0025/.samples.png"]
    {
      _ = try folder.write("half", as: "run/\(leftover).\(dead)-0.tmp")
    }
    withExtendedLifetime(try run.reopen()) {}
    for swept in ["checkpoints", "figures/epoch-0025"] { #expect(try folder.contents(of: "run/\(swept)").isEmpty) }
    #expect(try folder.contents(of: "run/figures") == ["epoch-0025"])
  }

  @Test("what died before its first checkpoint is made anew; a folder of anything else is left alone")
  func startingOver() throws {
    let run = RunFolder(path: folder.file("run"))
    // New, then as it is after a death at any moment of its making, then with all that a run writes first.
    withExtendedLifetime(try run.createOrReopen()) {}
    for folder in ["checkpoints", "figures"] {
      try FileManager.default.removeItem(atPath: self.folder.file("run/\(folder)"))
      withExtendedLifetime(try run.createOrReopen()) {}
    }
    let written = ["metrics.jsonl", "train.log", "report.html", "figures/progress.png", "events.out.tfevents.1.h.2"]
    for name in ["config.yaml", "notes"] + written { _ = try folder.write("", as: "run/\(name)") }
    try withExtendedLifetime(try run.createOrReopen()) { try run.clear() }
    #expect(try folder.contents(of: "run") == ["checkpoints", "config.yaml", "figures", "notes"])
    #expect(try folder.contents(of: "run/figures").isEmpty)

    let other = RunFolder(path: folder.file("other"))
    try FileManager.default.createDirectory(atPath: folder.file("other/checkpoints"), withIntermediateDirectories: true)
    _ = try folder.write("", as: "other/train.log")
    let error = #expect(throws: InputError.self) { try other.createOrReopen() }
    #expect(error?.found == "a folder that is no run's")
  }

  @Test("the newest checkpoint is found by epoch and step, whatever else lies there")
  func newest() throws {
    let run = RunFolder(path: folder.file("run"))
    withExtendedLifetime(try run.create()) {}
    #expect(throws: InputError.self) { try run.newestCheckpoint() }
    let names = [
      "epoch-0025.safetensors", "epoch-0025-step-99.safetensors", "epoch-0025-step-100.safetensors",
      "epoch-9999.safetensors", "epoch-10000.safetensors",
    ]
    for name in names.shuffled() + [
      "epoch-99999.safetensors.bak", "epoch-.safetensors", "notes", "epoch-99.safetensors",
    ] {
      _ = try folder.write("", as: "run/checkpoints/\(name)")
    }
    #expect(run.checkpoints() == names.map { folder.file("run/checkpoints/\($0)") })
    #expect(try run.newestCheckpoint() == folder.file("run/checkpoints/epoch-10000.safetensors"))
    func left(_ count: Int) -> [String] {
      run.pruneCheckpoints(keeping: count)
      return run.checkpoints().map { URL(fileURLWithPath: $0).lastPathComponent }
    }
    // Within an epoch only the newest of all serves.
    #expect(left(0) == ["epoch-0025.safetensors", "epoch-9999.safetensors", "epoch-10000.safetensors"])
    let within = "epoch-10000-step-7.safetensors"
    _ = try folder.write("", as: "run/checkpoints/\(within)")
    #expect(left(2) == ["epoch-9999.safetensors", "epoch-10000.safetensors", within])
    _ = try folder.write("", as: "run/checkpoints/epoch-10001.safetensors")
    #expect(left(2) == ["epoch-10000.safetensors", "epoch-10001.safetensors"])
    #expect(try folder.contents(of: "run/checkpoints").contains("notes"))
    #expect(left(7).count == 2)
  }

  @Test("the written configuration is the run's, without its name, so that it can be repeated")
  func configuration() throws {
    let run = RunFolder(path: folder.file("run"))
    withExtendedLifetime(try run.create()) {}
    var configuration = Configuration()
    configuration.output.name = "run"
    configuration.training.seed = 7
    try run.write(configuration, version: "1.2.3")
    var repeatable = configuration
    repeatable.output.name = nil
    #expect(try Configuration.resolved(file: run.configurationPath) == repeatable)
    #expect(try folder.text("run/config.yaml").hasPrefix("# dpm-train 1.2.3,"))
  }

  @Test("--resume goes by the name, or by the configuration in a run's folder")
  func resuming() throws {
    let run = RunFolder(path: folder.file("run"))
    withExtendedLifetime(try run.create()) {}
    var configuration = Configuration()
    try run.write(configuration, version: "1")
    #expect(try RunFolder(resuming: configuration, configurationFile: run.configurationPath) == run)
    let elsewhere = try folder.write("", as: "config.yaml")
    for file in [nil, elsewhere, folder.file("run/other.yaml")] {
      let error = #expect(throws: InputError.self) {
        try RunFolder(resuming: configuration, configurationFile: file)
      }
      #expect(error?.subject == "--resume")
    }
    configuration.output.name = "named"
    #expect(try RunFolder(resuming: configuration, configurationFile: run.configurationPath).path == "runs/named")
  }
}
