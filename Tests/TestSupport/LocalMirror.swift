import Foundation

/// `mirror.py`, running: an HTTP server on 127.0.0.1 that misbehaves on demand.
public final class LocalMirror {
  private let process = Process()
  private let input = Pipe()
  private let log: URL
  private let port: Int

  /// Whether there is a Python to run it.
  public static let isAvailable = (try? run("python3", arguments: ["--version"]))?.status == 0

  /// Starts it on a free port.
  ///
  /// - Parameters:
  ///   - root: The folder that it serves.
  ///   - filler: The file that its mode `fill` fills the disk with.
  public init(root: String, filler: String? = nil) throws {
    log = URL(fileURLWithPath: root).appendingPathComponent("requests-\(UUID().uuidString)")
    try Data().write(to: log)
    guard let script = Bundle.module.url(forResource: "Scripts/mirror", withExtension: "py") else {
      throw CocoaError(.fileNoSuchFile)
    }
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", script.path, root] + (filler.map { [$0] } ?? [])
    process.standardInput = input
    process.standardOutput = try FileHandle(forWritingTo: log)
    try process.run()
    var port: Int?
    let start = ContinuousClock.now
    while port == nil, process.isRunning, start.duration(to: .now) < .seconds(30) {
      Thread.sleep(forTimeInterval: 0.02)
      let text = String(decoding: try Data(contentsOf: log), as: UTF8.self)
      // Only a whole line has the whole number.
      if text.contains("\n") { port = text.split(separator: "\n").first.flatMap { Int($0.dropFirst(5)) } }
    }
    guard let port else { throw CocoaError(.featureUnsupported) }
    self.port = port
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  /// Its base address in one of its modes: what `DPM_DATA_MIRROR` can be set to.
  public func address(_ mode: String) -> String { "http://127.0.0.1:\(port)/\(mode)" }

  /// The requests so far: mode, file, status, first byte.
  public func requests() throws -> [String] {
    String(decoding: try Data(contentsOf: log), as: UTF8.self).split(separator: "\n").dropFirst().map(String.init)
  }
}
