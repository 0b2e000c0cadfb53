import Foundation

/// A folder for a test's files, removed with everything in it when the test ends.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("dpm-datasets-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, with its subfolder where `name` has one, and gives its path.
  func write(_ bytes: [UInt8], as name: String) throws -> String {
    let url = URL(fileURLWithPath: path).appendingPathComponent(name)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  /// What the system's `gzip` makes of some bytes.
  func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
    let plain = try write(bytes, as: "plain-\(UUID().uuidString)")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["gzip", "-9", "-n", plain]
    try process.run()
    process.waitUntilExit()
    return Array(try Data(contentsOf: URL(fileURLWithPath: plain + ".gz")))
  }
}

/// An IDX file of images whose header may lie.
func idxBytes(magic: UInt32 = 0x0803, count: UInt32, height: UInt32, width: UInt32, pixels: [UInt8]) -> [UInt8] {
  [magic, count, height, width].flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
    + pixels
}

/// `count` different bytes, as far as there are any.
func ramp(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: 7 &* $0 &+ 3) } }
