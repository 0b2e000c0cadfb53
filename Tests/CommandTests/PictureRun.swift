import Foundation
import TestSupport
import Testing

/// A folder `in` of pictures, and what trains a small model on them in a moment.
final class PictureRun {
  let folder: TemporaryFolder

  /// The pictures that are carried: half of them in the folder, half in a subfolder under names with a space and a newline.
  init() throws {
    folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("in/sub dir"), withIntermediateDirectories: true)
    for (number, name) in try FileManager.default.contentsOfDirectory(atPath: SamplePicture.folder).sorted()
      .enumerated()
    {
      try copy(name, to: number % 2 == 0 ? "in/\(name)" : "in/sub dir/new\nline \(name)")
    }
  }

  func copy(_ name: String, to place: String) throws {
    try FileManager.default.copyItem(atPath: SamplePicture.path(name), toPath: folder.file(place))
  }

  func arguments(_ name: String, _ more: [String]) -> [String] {
    [
      "--dataset", "images", "--data-dir", folder.file("in"), "--output-dir", folder.file("runs"), "--name", name,
      "--batch-size", "4", "--epochs", "1", "--set", "model.spatial_width=16", "--model-args",
      SmallRun.modelArguments,
    ] + more
  }

  func start(
    _ name: String, ranks: Int = 1, cache: String = "cache", _ more: [String] = []
  ) throws -> RunningProcess {
    let program = try builtExecutable("dpm-train")
    let environment = ["XDG_CACHE_HOME": folder.file(cache)]
    return try ranks == 1
      ? RunningProcess(program, arguments: arguments(name, more), environment: testEnvironment(environment))
      : startMPI(ranks: ranks, program, arguments: arguments(name, more), environment: environment)
  }

  func train(
    _ name: String, ranks: Int = 1, cache: String = "cache", _ more: [String] = []
  ) throws -> ProcessResult {
    try start(name, ranks: ranks, cache: cache, more).finish(timeout: 60)
  }

  func fails(_ result: ProcessResult, saying parts: String...) {
    #expect(result.status == 1, "\(result.output)\(result.errors)")
    #expect(result.errors.split(separator: "\n").filter { $0.hasPrefix("error:") }.count == 1, "\(result.errors)")
    for part in parts { #expect(result.errors.contains(part), "\(result.errors)") }
  }

  func cacheFiles(_ cache: String = "cache") throws -> [String] { try folder.contents(of: "\(cache)/dpm/images") }

  /// The only cache file's images of one colour and 16 × 16, or of three.
  func cachedPixels(_ cache: String, count: Int, colors: Int) throws -> [[UInt8]] {
    let file = try #require(try cacheFiles(cache).first)
    let bytes = try folder.bytes("\(cache)/dpm/images/\(file)")
    let elements = colors * 256
    try #require(bytes.count > count * elements)
    return (0..<count).map { Array(bytes[$0 * elements..<($0 + 1) * elements]) }
  }
}
