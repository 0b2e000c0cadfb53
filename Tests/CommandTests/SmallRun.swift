import Foundation
import TestSupport
import Tensors
import Testing

/// Tests that start the built commands; one at a time, since each wants all cores.
///
/// Some have suites of their own, also one at a time (`FaultTests`): what waits leaves cores to the others, and none is left
/// to run alone at the end.
@Suite(.serialized) struct CommandTests {}

/// Tests of what commands are given: flags, files, folders, downloads.
///
/// They begin many programs that soon end, and so fill what others leave of the cores.
@Suite(.serialized) struct InputTests {}

/// Tests of the commands that measure.
@Suite(.serialized) struct MeasurementTests {}

/// A data set of 300 small images and a model that trains on it in a moment.
final class SmallRun {
  let folder: TemporaryFolder
  /// Sizes that make an epoch take milliseconds; 8 × 8 lets Winograd's tiles take part.
  static let modelArguments =
    "trajectory_length=40,n_temporal_basis=4,n_hidden_dense_lower=24,n_hidden_conv=6,n_layers_conv=2,"
    + "n_layers_dense_lower=2,n_hidden_dense_upper=7"

  init() throws {
    folder = try TemporaryFolder()
    for (name, count) in [("train-images-idx3-ubyte", 300), ("t10k-images-idx3-ubyte", 40)] {
      _ = try folder.write(Self.idx(count: count), as: name)
    }
  }

  /// An IDX file of blurry blobs.
  static func idx(count: Int, magic: [UInt8] = [0, 0, 8, 3]) -> [UInt8] {
    func number(_ value: Int) -> [UInt8] { (0..<4).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    var bytes = magic + number(count) + number(8) + number(8)
    for image in 0..<count {
      let (centerX, centerY) = (image % 5 + 1, image / 5 % 5 + 1)
      for pixel in 0..<64 {
        let distance = (pixel % 8 - centerX) * (pixel % 8 - centerX) + (pixel / 8 - centerY) * (pixel / 8 - centerY)
        bytes.append(UInt8(max(0, 255 - 40 * distance - image % 7)))
      }
    }
    return bytes
  }

  func path(_ name: String) -> String { folder.file(name) }

  /// Arguments of a run of that name on the small data set.
  func arguments(_ name: String, _ more: [String] = []) -> [String] {
    [
      "--data-dir", folder.path, "--output-dir", path("runs"), "--name", name, "--batch-size", "128", "--model-args",
      Self.modelArguments,
    ] + (more.contains("--ext-every-n") ? [] : ["--ext-every-n", "2"]) + more
  }

  /// Trains, which must go well.
  @discardableResult
  func train(_ name: String, ranks: Int = 1, _ more: [String] = []) throws -> ProcessResult {
    let program = try builtExecutable("dpm-train")
    let result =
      try ranks == 1
      ? run(program, arguments: arguments(name, more)) : mpirun(ranks: ranks, program, arguments: arguments(name, more))
    try #require(result.status == 0, "\(result.errors)")
    return result
  }

  /// All tensors of a run's checkpoint.
  func tensors(_ name: String, epoch: Int) throws -> [String: [Float]] {
    let number = String(repeating: "0", count: 4 - String(epoch).count) + String(epoch)
    let file = try SafetensorsFile(contentsOf: path("runs/\(name)/checkpoints/epoch-\(number).safetensors"))
    var tensors: [String: [Float]] = [:]
    for tensor in file.names { tensors[tensor] = try file.floats(tensor) }
    return tensors
  }

  /// One number of every line of a run's metrics.
  func metrics(_ name: String, _ key: String) throws -> [Double] {
    let text = try String(contentsOfFile: path("runs/\(name)/metrics.jsonl"), encoding: .utf8)
    return try text.split(separator: "\n").compactMap { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return (object?[key] as? NSNumber)?.doubleValue
    }
  }
}
