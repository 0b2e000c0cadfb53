import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite("AtomicFile")
struct AtomicFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("a file is written whole, replaces an older one, and leaves nothing else behind")
  func replacing() throws {
    try AtomicFile.write("first", to: folder.file("f"))
    try AtomicFile.write(to: folder.file("f")) { file throws(InputError) in
      for byte in Array("second".utf8) {
        try withUnsafeBytes(of: byte) { bytes throws(InputError) in try file.append(bytes) }
      }
    }
    #expect(try folder.text("f") == "second")
    #expect(try folder.contents() == ["f"])
  }

  @Test("an error on the way leaves the older file, and nothing else")
  func failingBody() throws {
    try AtomicFile.write("first", to: folder.file("f"))
    #expect(throws: InputError("x", found: "y")) {
      try AtomicFile.write(to: folder.file("f")) { file throws(InputError) in
        try withUnsafeBytes(of: 1) { bytes throws(InputError) in try file.append(bytes) }
        throw InputError("x", found: "y")
      }
    }
    #expect(try folder.text("f") == "first")
    #expect(try folder.contents() == ["f"])
  }

  @Test("what the system refuses is told in its words")
  func refused() throws {
    let missing = folder.file("missing/f")
    #expect(throws: InputError(missing, found: "no such file or directory")) {
      try AtomicFile.write("", to: missing)
    }
    let below = try folder.write("", as: "file") + "/f"
    #expect(throws: InputError(below, found: "not a directory")) { try AtomicFile.write("", to: below) }
    #expect(throws: InputError(folder.path, found: "a folder", expected: "a file, or nothing yet")) {
      try AtomicFile.write("", to: folder.path)
    }
  }

  @Test("a full disk leaves the older file, and nothing else")
  func fullDisk() async throws {
    let path = folder.file("f")
    try AtomicFile.write("first", to: path)
    await #expect(processExitsWith: .success) { [path = path as String] in
      // A limit on the size of files stands in for a disk that is full after 100 bytes.
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 100, rlim_max: 100)
      setrlimit(__rlimit_resource_t(1), &limit)
      do throws(InputError) {
        try AtomicFile.write(String(repeating: "x", count: 1000), to: path)
      } catch {
        exit(error == InputError(path, found: "file too large") ? EXIT_SUCCESS : EXIT_FAILURE)
      }
      exit(EXIT_FAILURE)
    }
    #expect(try folder.text("f") == "first")
    #expect(try folder.contents() == ["f"])
  }

  @Test("a process killed while it writes leaves the older file, and a leftover that is swept")
  func killed() async throws {
    let path = folder.file("f")
    try AtomicFile.write("first", to: path)
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      try AtomicFile.write(to: path) { file throws(InputError) in
        try withUnsafeBytes(of: 1) { bytes throws(InputError) in try file.append(bytes) }
        kill(getpid(), SIGKILL)
      }
    }
    #expect(try folder.text("f") == "first")
    #expect(try folder.contents().count == 2)
    AtomicFile.sweepLeftovers(in: folder.path)
    #expect(try folder.contents() == ["f"])
  }

  @Test("a link in the place of the file or of its temporary name is not followed")
  func links() throws {
    let victim = try folder.write("untouched", as: "victim")
    try FileManager.default.createSymbolicLink(atPath: folder.file("f"), withDestinationPath: victim)
    let temporary = ".f.\(getpid())-0.tmp"
    try FileManager.default.createSymbolicLink(atPath: folder.file(temporary), withDestinationPath: victim)
    try AtomicFile.write("new", to: folder.file("f"))
    #expect(try folder.text("victim") == "untouched")
    #expect(try folder.text("f") == "new")
    #expect(try folder.contents() == [temporary, "f", "victim"])
  }

  @Test("only what dead processes left half-written is swept")
  func sweeping() throws {
    let dead = try deadProcess()
    for name in [".f.\(dead)-0.tmp", ".f.\(getpid())-0.tmp", ".a.b.\(dead)-12.tmp"] {
      _ = try folder.write("", as: name)
    }
    let kept = [".f.1-0.tmp", ".f.tmp", ".f.x-0.tmp", ".f.-1-0.tmp", "f.\(dead)-0.tmp", "epoch-0025.safetensors"]
    for name in kept { _ = try folder.write("", as: name) }
    try FileManager.default.createDirectory(
      atPath: folder.file(".g.\(dead)-0.tmp"), withIntermediateDirectories: true)
    AtomicFile.sweepLeftovers(in: folder.path)
    #expect(try Set(folder.contents()) == Set(kept + [".g.\(dead)-0.tmp"]))
    AtomicFile.sweepLeftovers(in: folder.file("missing"))
  }
}
