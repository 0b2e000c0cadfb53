import Foundation
import Tensors
import Testing

@testable import Datasets

@Suite struct GzipFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The error of opening or reading `path`.
  func fault(of path: String) -> InputError? {
    #expect(throws: InputError.self) {
      var file = try GzipFile.open(path)
      _ = try file.bytes(upTo: 1)
    }
  }

  @Test("contents of several blocks come whole, in pieces of any size", arguments: [1 << 20, 262_144, 99_991])
  func pieces(size: Int) throws {
    let bytes = ramp(700_001).enumerated().map { $1 ^ UInt8(truncatingIfNeeded: $0 >> 9) }
    for content in [bytes, try folder.gzipped(bytes)] {
      var file = try GzipFile.open(folder.write(content, as: "file"))
      var read: [UInt8] = []
      while case let piece = try file.bytes(upTo: size), !piece.isEmpty {
        #expect(piece.count == min(size, bytes.count - read.count))
        read += piece
      }
      #expect(read == bytes)
    }
  }

  @Test("an empty file has no bytes")
  func empty() throws {
    for content in [[], try folder.gzipped([])] {
      var file = try GzipFile.open(folder.write(content, as: "file"))
      #expect(try file.bytes(upTo: 10).isEmpty)
    }
  }

  @Test("a missing file is named")
  func missing() {
    #expect(fault(of: folder.path + "/nothing")?.description.contains("no such file or directory") == true)
  }

  @Test("a folder is no file")
  func directory() {
    #expect(fault(of: folder.path)?.found == "a folder")
  }

  @Test("a pipe is refused, not waited for")
  func pipe() {
    let path = folder.path + "/pipe"
    #expect(mkfifo(path, 0o600) == 0)
    #expect(fault(of: path)?.found == "a pipe or a device")
  }

  @Test("a file that may not be read is named", .enabled(if: geteuid() != 0, "root may read everything"))
  func forbidden() throws {
    let path = try folder.write([1, 2, 3], as: "file")
    #expect(chmod(path, 0) == 0)
    #expect(fault(of: path)?.found == "permission denied")
  }

  // Address 0 of a process is never mapped: opening succeeds, the first read does not.
  @Test("a failure to read is told")
  func readError() {
    #expect(fault(of: "/proc/self/mem")?.found == "input/output error")
  }
}
