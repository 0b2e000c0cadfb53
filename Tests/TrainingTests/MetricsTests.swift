import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("Metrics")
struct MetricsTests {
  let folder: TemporaryFolder
  var file: MetricsFile { MetricsFile(folder.file("metrics.jsonl")) }

  init() throws { folder = try TemporaryFolder() }

  @Test("lines have the keys that other programs rely on")
  func keys() throws {
    var metrics = record(epoch: 1)
    try file.append(metrics)
    metrics.testObjective = -3.5
    metrics.testStandardError = 0.01
    try file.append(metrics)
    metrics.yardstick = Yardstick(pixelGaussians: -2.2, fullGaussian: -3.1, ceiling: -4.5)
    metrics.norms = norms
    try file.append(metrics)
    let lines = try folder.text("metrics.jsonl").split(separator: "\n")
    #expect(lines.count == 3)
    let keys = [
      "epoch", "step", "images", "train_objective", "learning_rate", "seconds", "images_per_second", "ranks",
      "exposed_communication_seconds", "communication_seconds", "bad_steps",
    ]
    let evaluated = keys + ["test_objective", "test_standard_error"]
    let all =
      evaluated + [
        "pixel_gaussians_objective", "full_gaussian_objective", "ceiling_objective", "gradient_norm", "update_ratio",
        "layer_gradient_norms", "layer_update_ratios",
      ]
    for (line, expected) in zip(lines, [keys, evaluated, all]) {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(object?.keys.sorted() == expected.sorted())
    }
  }

  @Test("numbers are read back to the last bit")
  func roundTrip() throws {
    #expect(try file.read().isEmpty)
    var records: [Metrics] = []
    for epoch in 1...50 {
      var metrics = record(epoch: epoch)
      metrics.trainObjective = .random(in: -4...300)
      metrics.seconds = .random(in: 0...1) * pow(10, .random(in: -300...300))
      metrics.testObjective = epoch.isMultiple(of: 2) ? .random(in: -4...0) : nil
      metrics.yardstick =
        epoch.isMultiple(of: 2) ? Yardstick(pixelGaussians: .random(in: -3...0), fullGaussian: nil, ceiling: -4.5) : nil
      metrics.norms = epoch.isMultiple(of: 3) ? norms : nil
      records.append(metrics)
      try file.append(metrics)
    }
    #expect(try file.read() == records)
  }

  @Test("numbers that are not finite are null", arguments: [Double.nan, .infinity, -.infinity])
  func notFinite(number: Double) throws {
    var metrics = record(epoch: 1)
    metrics.trainObjective = number
    metrics.testObjective = number
    metrics.norms = StepNorms(gradient: number, updateRatio: 0.5, gradients: ["conv.0": number])
    try file.append(metrics)
    #expect(try folder.text("metrics.jsonl").contains("\"train_objective\":null"))
    #expect(try folder.text("metrics.jsonl").contains("\"test_objective\":null"))
    let read = try #require(try file.read().first)
    #expect(read.trainObjective.isNaN)
    #expect(read.testObjective?.isNaN == true)
    #expect(read.testStandardError == nil)
    #expect(read.norms?.gradient.isNaN == true && read.norms?.gradients["conv.0"]?.isNaN == true)
    #expect(read.norms?.updateRatio == 0.5)
  }

  @Test("a resumed run drops the lines after its checkpoint and a half-written one, and goes on")
  func cutting() throws {
    try file.cut(afterStep: 0)
    #expect(try folder.contents().isEmpty)
    for epoch in 1...4 { try file.append(record(epoch: epoch)) }
    let whole = try folder.text("metrics.jsonl")
    _ = try folder.write(whole.dropLast(20), as: "metrics.jsonl")
    #expect(try file.read().map(\.epoch) == [1, 2, 3])
    try file.cut(afterStep: 20)
    #expect(try file.read().map(\.epoch) == [1, 2])
    try file.append(record(epoch: 3))
    try file.append(record(epoch: 4))
    #expect(try folder.text("metrics.jsonl") == whole)
    try file.cut(afterStep: 0)
    #expect(try folder.text("metrics.jsonl").isEmpty)
  }

  @Test("a file cut off at any byte keeps all whole lines")
  func truncation() throws {
    for epoch in 1...2 { try file.append(record(epoch: epoch)) }
    let whole = try folder.bytes("metrics.jsonl")
    let lineBytes = whole.count / 2
    for count in 0..<whole.count {
      _ = try folder.write(Array(whole[..<count]), as: "metrics.jsonl")
      // A line that lacks nothing but its end is whole.
      #expect(try file.read().count == (count + 1) / lineBytes, "\(count) bytes")
    }
  }

  @Test("a line that cannot be written whole is not there at all")
  func fullDisk() async throws {
    try file.append(record(epoch: 1))
    let path = file.path
    await #expect(processExitsWith: .success) { [path = path as String] in
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 300, rlim_max: 300)
      setrlimit(__rlimit_resource_t(1), &limit)
      do throws(InputError) {
        try MetricsFile(path).append(record(epoch: 2))
      } catch {
        exit(error == InputError(path, found: "file too large") ? EXIT_SUCCESS : EXIT_FAILURE)
      }
      exit(EXIT_FAILURE)
    }
    #expect(try file.read() == [record(epoch: 1)])
    #expect(try folder.text("metrics.jsonl").hasSuffix("}\n"))
  }

  @Test("a folder or a link in the file's place is refused")
  func refused() throws {
    #expect(throws: InputError.self) { try MetricsFile(folder.path).append(record(epoch: 1)) }
    let victim = try folder.write("untouched", as: "victim")
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: victim)
    #expect(throws: InputError.self) { try file.append(record(epoch: 1)) }
    #expect(try folder.text("victim") == "untouched")
  }
}

private let norms = StepNorms(
  gradient: 1 / 3, updateRatio: 0.001, gradients: ["conv.0": 0.1, "dense_lower.3": 1e-9],
  updateRatios: ["conv.0": 0.01, "dense_lower.3": 0.02])

/// The line of an epoch of ten steps.
private func record(epoch: Int) -> Metrics {
  Metrics(
    epoch: epoch, step: 10 * epoch, images: 5120, trainObjective: -2.5, learningRate: 1e-3, seconds: 1.5,
    imagesPerSecond: 3413.3, ranks: 2, exposedCommunicationSeconds: 0.25, communicationSeconds: 0.75, badSteps: 0)
}

extension TemporaryFolder {
  fileprivate func write(_ text: Substring, as name: String) throws -> String { try write(String(text), as: name) }
}
