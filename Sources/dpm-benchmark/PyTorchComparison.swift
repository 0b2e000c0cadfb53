import Collectives
import CommandSupport
import Foundation
import Tensors

/// This program and PyTorch in turn, on the same work.
///
/// Speeds of shared machines drift by tens of percent within minutes, so only the ratio of medians of interleaved runs
/// says anything. Each run is a process of its own; the peer is benchmarks/pytorch/benchmark.py, in its fastest mode on
/// CPUs (eager, channels last, DistributedDataParallel with one thread a process).
struct PyTorchComparison {
  /// The interpreter of an environment with torch.
  var python: String
  /// `mnist` or `cifar10`.
  var config: String
  /// Arguments of this program that choose the work.
  var arguments: [String]
  var batchSize: Int
  var ranks: Int
  var steps: Int
  var repetitions: Int
  /// Samples that are drawn; nil where steps are taken.
  var samples: Int?

  private var isSampling: Bool { samples != nil }

  /// What was measured; the keys of `--json`.
  struct Result: Encodable {
    var config: String
    var ranks: Int
    var batch: Int
    /// Samples that were drawn; nil where steps were taken.
    var samples: Int?
    var imagesPerSecond: [Double]
    var peerImagesPerSecond: [Double]
    var ratio: Double
    var peakMebibytes: Double
    var peerPeakMebibytes: Double
    /// Medians of the seconds from a job's launch to the end of its first step; nil for sampling.
    var secondsToFirstStep: Double?
    var peerSecondsToFirstStep: Double?

    enum CodingKeys: String, CodingKey {
      case config, ranks, batch, samples, ratio
      case imagesPerSecond = "images_per_second"
      case peerImagesPerSecond = "pytorch_images_per_second"
      case peakMebibytes = "peak_rss_mib"
      case peerPeakMebibytes = "pytorch_peak_rss_mib"
      case secondsToFirstStep = "seconds_to_first_step"
      case peerSecondsToFirstStep = "pytorch_seconds_to_first_step"
    }
  }

  /// Runs all repetitions.
  ///
  /// - Throws: `InputError` where the interpreter, torch or the peer's script is missing, or a run fails.
  func run(progress: (String) throws -> Void) throws -> Result {
    let script = try peerScript()
    var ours: [Double] = []
    var theirs: [Double] = []
    var memory = 0.0
    var peerMemory = 0.0
    var launches: [Double] = []
    var peerLaunches: [Double] = []
    for repetition in 1...repetitions {
      if repetition > 1 { settle() }
      let start = Date().timeIntervalSince1970
      let own = try output(of: ownCommand)
      ours.append(try number("images_per_second", of: own))
      memory = max(memory, ((own["peak_rss_bytes"] as? [Double])?.max() ?? 0) / 1_048_576)
      settle()
      let peerStart = Date().timeIntervalSince1970
      let peer = try output(of: peerCommand(script))
      theirs.append(try peerRate(peer))
      peerMemory = max(peerMemory, (peer["peak_rss_mib"] as? [Double])?.max() ?? 0)
      if !isSampling {
        launches.append(try number("first_step_unix_seconds", of: own) - start)
        peerLaunches.append(try number("first_step_unix_seconds", of: peer) - peerStart)
      }
      try progress(
        String(
          format: "%d of %d: %.1f and %.1f images/s", repetition, repetitions, ours[repetition - 1],
          theirs[repetition - 1]))
    }
    return Result(
      config: config, ranks: ranks, batch: batchSize, samples: samples, imagesPerSecond: ours,
      peerImagesPerSecond: theirs,
      ratio: median(ours) / median(theirs), peakMebibytes: memory, peerPeakMebibytes: peerMemory,
      secondsToFirstStep: isSampling ? nil : median(launches),
      peerSecondsToFirstStep: isSampling ? nil : median(peerLaunches))
  }

  /// Lets pass what the run before has left: the system takes back a gigabyte of memory while the next one already runs.
  ///
  /// Without it, MNIST's step on two ranks took a third longer right behind PyTorch's two processes.
  private func settle() { Thread.sleep(forTimeInterval: 3) }

  private var ownCommand: [String] {
    let program = [JSONCommand.ownPath] + arguments + ["--json"] + (isSampling ? ["--sample"] : [])
    return ranks > 1 ? ["mpirun", "-n", "\(ranks)"] + program : program
  }

  private func peerCommand(_ script: String) -> [String] {
    var command = [
      python, script, "--config", config, "--threads", "1", "--channels-last", "--steps", "\(steps)", "--warmup", "2",
    ]
    if let samples { return command + ["--sample", "--samples", "\(samples)"] }
    command += ["--batch", "\(batchSize)"]
    return ranks > 1 ? command + ["--ddp", "--procs", "\(ranks)"] : command
  }

  private func peerRate(_ peer: [String: Any]) throws -> Double {
    guard isSampling else { return try number("images_per_s", of: peer) }
    return try number("samples", of: peer) / number("full_trajectory_s", of: peer)
  }

  /// The peer's script, in the repository that this program was built in.
  private func peerScript() throws -> String {
    var folder = URL(fileURLWithPath: JSONCommand.ownPath).deletingLastPathComponent()
    while folder.path != "/" {
      let script = folder.appendingPathComponent("benchmarks/pytorch/benchmark.py").path
      if FileManager.default.fileExists(atPath: script) { return script }
      folder.deleteLastPathComponent()
    }
    throw InputError(
      "--compare-pytorch", found: "no benchmarks/pytorch/benchmark.py above the program",
      expected: "the program in the repository's .build folder")
  }

  /// Runs a command and reads the JSON object that it prints.
  private func output(of command: [String]) throws -> [String: Any] {
    do throws(JSONCommand.Failure) {
      return try JSONCommand.run(command)
    } catch {
      throw InputError(
        "--compare-pytorch", found: "'\(command.prefix(2).joined(separator: " "))' failed: \(error.reason)",
        expected: "a Python interpreter with torch and numpy, and mpirun for several ranks")
    }
  }

  private func number(_ key: String, of object: [String: Any]) throws -> Double {
    guard let number = object[key] as? Double else {
      throw InputError("--compare-pytorch", found: "an answer without \(key)", expected: "one JSON object")
    }
    return number
  }
}

extension PyTorchComparison.Result {
  /// For people.
  var report: String {
    let own = median(imagesPerSecond)
    let peer = median(peerImagesPerSecond)
    func launch(_ seconds: Double?) -> String {
      seconds.map { String(format: "  %6.2f s from launch to the first step's end", $0) } ?? ""
    }
    return """
      \(config), \(samples.map { "\($0) sample(s)" } ?? "batch \(batch)"), \(ranks) rank(s) against \(ranks) process(es), medians of \(imagesPerSecond.count)
      this program    \(String(format: "%10.2f images/s  %6.0f MiB a rank", own, peakMebibytes))\(launch(secondsToFirstStep))
      PyTorch         \(String(format: "%10.2f images/s  %6.0f MiB a process", peer, peerPeakMebibytes))\(launch(peerSecondsToFirstStep))
      ratio           \(String(format: "%10.2f", ratio))
      """
  }
}
