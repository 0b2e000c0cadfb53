import Foundation
import TestSupport
import Testing

extension InputTests {
  /// A disk that is really full: a file system in memory, which only root can mount.
  @Suite(.enabled(if: TinyDisk.isPossible, "mounting a small file system needs root"))
  struct FullDiskTests {
    private let text = "no space left on device"

    @Test("samples and numbers that do not fit: one line, nothing half-written")
    func outputs() throws {
      let small = try SmallRun()
      try small.train("run", ["--epochs", "1"])
      let checkpoint = small.path("runs/run/checkpoints/epoch-0001.safetensors")
      let disk = try TinyDisk(in: small, kilobytes: 8)
      let sample = ["dpm-sample", checkpoint, "--count", "100", "--batch-size", "50", "--output"]
      let evaluate = ["dpm-evaluate", checkpoint, "--split", "train"]
      for command in [
        sample + [disk.file("x.png")], sample + [disk.file("x.npy")], sample + [disk.file("x.gif")],
        evaluate + ["--per-image", disk.file("x.csv")], evaluate + ["--per-step", disk.file("x.csv")],
      ] {
        let program = try builtExecutable(command[0])
        let result = try mpirun(ranks: 2, program, arguments: Array(command.dropFirst()))
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error:") }
        #expect(result.status == 1 && lines.count == 1, "\(command): \(result.errors)")
        #expect(lines.first?.hasPrefix("error: \(disk.path)/x.") == true && lines.first?.hasSuffix(text) == true)
        // Of several files the first may have had room.
        let left = try disk.contents()
        #expect(left.allSatisfy { $0 == "x.csv" }, "\(left)")
        unlink(disk.file("x.csv"))
      }
    }

    private func start(
      _ small: SmallRun, on disk: TinyDisk, ranks: Int, _ more: [String]
    ) throws -> RunningProcess {
      let arguments = small.arguments("run", ["--ext-every-n", "1"] + more).map {
        $0 == small.path("runs") ? disk.file("runs") : $0
      }
      return try startMPI(ranks: ranks, try builtExecutable("dpm-train"), arguments: arguments)
    }

    private func train(
      _ small: SmallRun, on disk: TinyDisk, ranks: Int, _ more: [String]
    ) throws -> ProcessResult { try start(small, on: disk, ranks: ranks, more).finish(timeout: 60) }

    @Test("figures and a page that do not fit are one warning, and the run goes on", arguments: [1, 2])
    func figures(ranks: Int) throws {
      let small = try SmallRun()
      let disk = try TinyDisk(in: small, kilobytes: 8192)
      #expect(try train(small, on: disk, ranks: ranks, ["--epochs", "1"]).status == 0)
      let checkpoints = disk.file("runs/run/checkpoints")
      let size = try Data(contentsOf: URL(fileURLWithPath: "\(checkpoints)/epoch-0001.safetensors")).count
      try disk.fill(leaving: size >> 10 + 64)
      let result = try train(small, on: disk, ranks: ranks, ["--epochs", "2", "--resume"])
      #expect(result.status == 0 && result.output.contains("done in"), "\(result.errors)")
      let warnings = result.errors.split(separator: "\n").filter { $0.hasPrefix("warning: \(disk.path)") }
      #expect(warnings.count == 1 && warnings[0].contains(": \(text); the run goes on"), "\(result.errors)")
      #expect(FileManager.default.fileExists(atPath: "\(checkpoints)/epoch-0002.safetensors"))
    }

    @Test(
      "a run on a disk that fills up ends with one line, keeps its checkpoint, and goes on when there is room",
      arguments: [1, 2])
    func training(ranks: Int) throws {
      let small = try SmallRun()
      let disk = try TinyDisk(in: small, kilobytes: 8192)
      func train(_ epochs: Int, _ more: String...) throws -> ProcessResult {
        try self.train(small, on: disk, ranks: ranks, ["--epochs", "\(epochs)"] + more)
      }
      /// Has ended with one line.
      func checkEnd(_ result: ProcessResult, saying text: String) {
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error:") }
        #expect(result.status == 1 && lines.count == 1 && lines[0].contains(text), "\(result.errors)")
      }
      #expect(try train(2).status == 0)
      let checkpoints = disk.file("runs/run/checkpoints")
      let first = try Data(contentsOf: URL(fileURLWithPath: "\(checkpoints)/epoch-0002.safetensors"))

      let job = try start(small, on: disk, ranks: ranks, ["--epochs", "100000", "--set", "output.keep=3", "--resume"])
      let isReached = job.waits { $0.contains("epoch 6/") }
      try #require(isReached)
      try disk.fill(leaving: 40)
      checkEnd(job.finish(timeout: 60), saying: "\(disk.path)/")
      let kept = try FileManager.default.contentsOfDirectory(atPath: checkpoints).sorted()
      #expect(kept.count == 3 && kept.allSatisfy { $0.hasPrefix("epoch-") })
      for name in kept {
        #expect(try Data(contentsOf: URL(fileURLWithPath: "\(checkpoints)/\(name)")).count >= first.count)
      }
      let newest = try #require(kept.last.flatMap { Int($0.dropFirst(6).prefix(4)) })
      // Known before a step is taken. What the run gave up left room again.
      try disk.fill(leaving: 4)
      checkEnd(try train(newest + 2, "--resume"), saying: "checkpoints: 0 MiB free, expected 1 MiB at least")
      try disk.empty()
      #expect(try train(newest + 2, "--resume").status == 0)
    }
  }
}

/// A small file system in memory, unmounted when the test ends.
private final class TinyDisk {
  let path: String
  private let run: SmallRun
  private var fillers = 0

  /// Whether this process may mount one.
  static let isPossible: Bool = {
    guard getuid() == 0, let folder = try? TemporaryFolder() else { return false }
    guard
      (try? TestSupport.run("mount", arguments: ["-t", "tmpfs", "-o", "size=8k", "tmpfs", folder.path]).status) == 0
    else { return false }
    _ = try? TestSupport.run("umount", arguments: [folder.path])
    return true
  }()

  init(in run: SmallRun, kilobytes: Int) throws {
    self.run = run
    path = run.path("disk")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let result = try TestSupport.run("mount", arguments: ["-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", path])
    try #require(result.status == 0, "\(result.errors)")
  }

  deinit { _ = try? TestSupport.run("umount", arguments: ["-l", path]) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func contents() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path) }

  /// Takes all room but some kilobytes.
  func fill(leaving kilobytes: Int) throws {
    var status = statvfs()
    try #require(statvfs(path, &status) == 0)
    let free = Int(status.f_bavail) * Int(status.f_frsize) - kilobytes << 10
    fillers += 1
    try Data(count: max(0, free)).write(to: URL(fileURLWithPath: file("filler\(fillers)")))
  }

  func empty() throws {
    for filler in 1...fillers { try FileManager.default.removeItem(atPath: file("filler\(filler)")) }
  }
}
