import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("FolderLock")
struct FolderLockTests {
  let folder: TemporaryFolder
  var lockFile: String { folder.file(FolderLock.fileName) }

  init() throws { folder = try TemporaryFolder() }

  @Test("a second run is refused with the name of the first, until that one is done")
  func exclusion() throws {
    var lock: FolderLock? = try FolderLock(folder: folder.path)
    #expect(lock != nil)
    let owner = try folder.text(FolderLock.fileName)
    #expect(owner.hasSuffix(" \(getpid())\n"))
    let error = #expect(throws: InputError.self) { try FolderLock(folder: folder.path) }
    #expect(error?.subject == folder.path)
    #expect(error?.found.hasPrefix("in use by process \(getpid()) on ") == true)
    lock = nil
    #expect(try folder.contents().isEmpty)
    lock = try FolderLock(folder: folder.path)
  }

  @Test("a process that was killed holds nothing")
  func killedHolder() async throws {
    let path = folder.path
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let lock = try FolderLock(folder: path)
      withExtendedLifetime(lock) { _ = kill(getpid(), SIGKILL) }
    }
    #expect(try folder.contents() == [FolderLock.fileName])
    let lock = try FolderLock(folder: path)
    #expect(try folder.text(FolderLock.fileName).hasSuffix(" \(getpid())\n"))
    withExtendedLifetime(lock) {}
  }

  @Test("a file left by a run on another host is taken over where the system's lock is free")
  func otherHost() throws {
    try AtomicFile.write("elsewhere 1\n", to: lockFile)
    let lock = try FolderLock(folder: folder.path)
    #expect(try !folder.text(FolderLock.fileName).hasPrefix("elsewhere"))
    withExtendedLifetime(lock) {}
  }

  @Test("where the file system has no locks, the file's text decides")
  func withoutSystemLocks() throws {
    func tryLocking() throws { _ = try FolderLock(folder: folder.path, systemLock: { _ in ENOLCK }) }
    try tryLocking()
    let host = try #require(ProcessInfo.processInfo.hostName.split(separator: " ").first)
    for text in ["\(host) \(try deadProcess())\n", "\(host) \(getpid())\n", "", "damaged"] {
      try AtomicFile.write(text, to: lockFile)
      try tryLocking()
    }
    for text in ["\(host) 1\n", "elsewhere \(try deadProcess())\n"] {
      try AtomicFile.write(text, to: lockFile)
      let error = #expect(throws: InputError.self, "\(text)") { try tryLocking() }
      #expect(error?.expected.contains("remove run.lock") == true)
      #expect(try folder.text(FolderLock.fileName) == text)
    }
  }

  @Test("a link in its place, or a folder that is missing, is refused")
  func refused() throws {
    #expect(throws: InputError.self) { try FolderLock(folder: folder.file("missing")) }
    let victim = try folder.write("untouched", as: "victim")
    try FileManager.default.createSymbolicLink(atPath: lockFile, withDestinationPath: victim)
    #expect(throws: InputError.self) { try FolderLock(folder: folder.path) }
    #expect(try folder.text("victim") == "untouched")
  }
}
