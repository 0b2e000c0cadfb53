import Foundation
import Tensors
import TestSupport
import Testing

@testable import Datasets

@Suite(.enabled(if: LocalMirror.isAvailable, "needs python3 for a local server"))
struct DownloadTests {
  let folder: DatasetsTests.TemporaryFolder
  let root: String
  let cache: String
  /// Bytes that do not compress.
  let content: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    root = folder.path + "/mirror"
    cache = folder.path + "/cache"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    var state: UInt64 = 1
    content = (0..<300_000).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  private func digest(_ bytes: [UInt8]) throws -> String {
    let path = try folder.write(bytes, as: "digest-\(UUID().uuidString)")
    return String(try run("sha256sum", arguments: [path]).output.prefix(64))
  }

  /// A set of one gzipped file, put on the mirror, with these addresses.
  private func set(_ addresses: [String] = [], digest other: String? = nil) throws -> PublishedSet {
    let packed = try folder.gzipped(content)
    _ = try folder.write(packed, as: "mirror/set/images.gz")
    let file = PublishedFile(name: "images", bytes: content.count, digest: try other ?? digest(content))
    return PublishedSet(
      title: "TEST", folder: "test",
      archives: [
        PublishedArchive(
          path: "set/images.gz", bytes: packed.count, format: .gzip, files: [file],
          addresses: addresses)
      ])
  }

  private func download(
    _ set: PublishedSet, mirror: String?, cache other: String? = nil, stallSeconds: Int = 30
  ) throws(InputError) {
    let download = try DatasetDownload(set, cache: other ?? cache, mirror: mirror, stallSeconds: stallSeconds)
    while try !download.advance(for: .milliseconds(100)) {}
    #expect(download.receivedBytes == download.expectedBytes)
  }

  private func downloaded() throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: cache + "/test/images")))
  }
  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  @Test("a file is downloaded, unpacked, and nothing else is left; a second time nothing is asked for")
  func whole() throws {
    let mirror = try LocalMirror(root: root)
    let set = try set()
    try download(set, mirror: mirror.address("ok") + "/")
    #expect(try downloaded() == content)
    #expect(try names(cache + "/test") == ["images"])
    try download(set, mirror: mirror.address("ok"))
    #expect(try mirror.requests() == ["ok set/images.gz 200 0"])
  }

  @Test("files are taken out of a tar archive, whatever else is in it")
  func tar() throws {
    let mirror = try LocalMirror(root: root)
    let second = Array(content.reversed())
    for (name, bytes) in [("batch-1", content), ("readme.html", [1, 2, 3]), ("batch-2", second)] {
      _ = try folder.write(bytes, as: "tar/data/\(name)")
    }
    let packed = try run("tar", arguments: ["-C", folder.path + "/tar", "-czf", root + "/set.tar.gz", "data"])
    try #require(packed.status == 0, "\(packed.errors)")
    func set(_ last: PublishedFile) throws -> PublishedSet {
      PublishedSet(
        title: "TEST", folder: "test",
        archives: [
          PublishedArchive(
            path: "set.tar.gz", bytes: 600_000, format: .tar,
            files: [PublishedFile(name: "batch-1", bytes: content.count, digest: try digest(content)), last],
            addresses: [])
        ])
    }
    try download(
      set(PublishedFile(name: "batch-2", bytes: second.count, digest: digest(second))), mirror: mirror.address("ok"))
    #expect(try names(cache + "/test") == ["batch-1", "batch-2"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: cache + "/test/batch-2")) == Data(second))
    let lacking = try set(PublishedFile(name: "batch-3", bytes: second.count, digest: digest(second)))
    let error = #expect(throws: InputError.self) { try download(lacking, mirror: mirror.address("ok")) }
    #expect(error?.found.contains("no batch-3 in it") == true, "\(String(describing: error))")
  }

  @Test("connections that are cut are taken up where they ended")
  func cut() throws {
    let mirror = try LocalMirror(root: root)
    try download(set(), mirror: mirror.address("cut"))
    #expect(try downloaded() == content)
    let requests = try mirror.requests()
    #expect(requests.count == 3, "\(requests)")
    let starts = requests.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
    #expect(starts[0] == 0 && starts[1] > 90_000 && starts[2] > 190_000, "\(starts)")
  }

  @Test("a server without ranges sends all again; one that is busy is asked again")
  func patience() throws {
    let mirror = try LocalMirror(root: root)
    try download(set(), mirror: mirror.address("norange"))
    #expect(try downloaded() == content)
    try FileManager.default.removeItem(atPath: cache)
    try download(set(), mirror: mirror.address("busy"))
    #expect(try downloaded() == content)
    #expect(try mirror.requests().suffix(3).map { $0.split(separator: " ")[2] } == ["503", "503", "200"])
  }

  @Test("what another job left is gone on with, and thrown away where it does not fit")
  func resuming() throws {
    let mirror = try LocalMirror(root: root)
    let set = try set()
    let packed = try folder.gzipped(content)
    for (rest, starts) in [
      (Array(packed.prefix(1000)), ["206 1000"]), ([UInt8](repeating: 7, count: 1000), ["206 1000", "200 0"]),
      ([UInt8](repeating: 7, count: packed.count + 3), ["416 0", "200 0"]), (packed, ["416 0"]),
    ] {
      let before = try mirror.requests().count
      _ = try folder.write(rest, as: "cache/test/.images.gz.part")
      try download(set, mirror: mirror.address("ok"))
      #expect(try downloaded() == content)
      let requests = try mirror.requests().dropFirst(before).map { $0.dropFirst("ok set/images.gz ".count) }
      #expect(requests.map(String.init) == starts)
      try FileManager.default.removeItem(atPath: cache)
    }
  }

  @Test("damaged, other and missing files: every address is tried, and the error says all that one must know")
  func failures() throws {
    let mirror = try LocalMirror(root: root)
    let wrong = try set(digest: String(repeating: "ab", count: 32))
    let error = #expect(throws: InputError.self) { try download(wrong, mirror: mirror.address("ok")) }
    #expect(error?.found.contains("images of SHA-256 \(try digest(content)), expected abab") == true)
    #expect(error?.expected.contains("  \(String(repeating: "ab", count: 32))  images") == true)
    #expect(error?.expected.contains("\(cache)/test") == true)
    #expect(try names(cache + "/test") == [".images.gz.part"])

    let modes = ["404", "503", "wrong"]
    let all = try set(modes.map { mirror.address($0) + "/set/images.gz" })
    let several = #expect(throws: InputError.self) { try download(all, mirror: nil) }
    for (mode, text) in zip(modes, ["HTTP 404", "HTTP 503", "damaged compressed data"]) {
      #expect(several?.found.contains("\(mirror.address(mode))/set/images.gz: \(text)") == true, "\(mode)")
    }
    // The first that has it will do.
    try download(set(["404", "ok"].map { mirror.address($0) + "/set/images.gz" }), mirror: nil)
    #expect(try downloaded() == content)
  }

  @Test("a server that says nothing more, and one that is not there, end the wait")
  func silence() throws {
    let mirror = try LocalMirror(root: root)
    let set = try set()
    let stalled = #expect(throws: InputError.self) {
      try download(set, mirror: mirror.address("stall"), stallSeconds: 1)
    }
    #expect(stalled?.found.contains("nothing came for 1 s") == true, "\(String(describing: stalled))")
    let nobody = #expect(throws: InputError.self) { try download(set, mirror: "http://127.0.0.1:9/") }
    #expect(nobody?.found.contains("http://127.0.0.1:9/set/images.gz: ") == true)
    let local = #expect(throws: InputError.self) { try download(set, mirror: "file:///etc") }
    #expect(local?.subject == "DPM_DATA_MIRROR")
  }

  @Test("two jobs at once: one downloads, the other waits and finds the file")
  func twoJobs() throws {
    let mirror = try LocalMirror(root: root)
    let set = try set()
    let first = try DatasetDownload(set, cache: cache, mirror: mirror.address("cut"))
    #expect(try !first.advance(for: .milliseconds(1)))
    let second = try DatasetDownload(set, cache: cache, mirror: mirror.address("ok"))
    #expect(try !second.advance(for: .milliseconds(300)))
    #expect(second.status.hasSuffix("in another job"))
    while try !first.advance(for: .milliseconds(100)) {}
    #expect(try second.advance(for: .seconds(5)))
    #expect(try mirror.requests().allSatisfy { $0.hasPrefix("cut") })
    #expect(try downloaded() == content)
  }

  @Test(
    "a disk without room is refused, one that fills up is told; with room again it is gone on with",
    .enabled(if: geteuid() == 0, "needs root, to mount a small file system"))
  func fullDisk() throws {
    let disk = folder.path + "/disk"
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    func mounted(_ size: String, _ body: () throws -> Void) throws {
      let mount = try run("mount", arguments: ["-t", "tmpfs", "-o", "size=\(size)", "tmpfs", disk])
      try #require(mount.status == 0, "\(mount.errors)")
      defer { _ = try? run("umount", arguments: [disk]) }
      try body()
    }
    let mirror = try LocalMirror(root: root, filler: disk + "/filler")
    let set = try set()
    try mounted("400k") {
      let error = #expect(throws: InputError.self) { try download(set, mirror: mirror.address("ok"), cache: disk) }
      #expect(error?.description == "\(disk)/test: 0 MiB free, expected 1 MiB for TEST, or another XDG_CACHE_HOME")
    }
    try mounted("1m") {
      let error = #expect(throws: InputError.self) { try download(set, mirror: mirror.address("fill"), cache: disk) }
      #expect(error?.found == "no space left on device")
      try FileManager.default.removeItem(atPath: disk + "/filler")
      try download(set, mirror: mirror.address("ok"), cache: disk)
      #expect(try Data(contentsOf: URL(fileURLWithPath: disk + "/test/images")) == Data(content))
    }
  }

  @Test("the cache folder is the user's, by the XDG rules")
  func cacheFolder() {
    #expect(CacheFolder.path(environment: ["XDG_CACHE_HOME": "/c", "HOME": "/h"]) == "/c/dpm")
    #expect(CacheFolder.path(environment: ["XDG_CACHE_HOME": "c", "HOME": "/h"]) == "/h/.cache/dpm")
    #expect(CacheFolder.path(environment: ["HOME": "/h"]) == "/h/.cache/dpm")
  }
}

@Suite struct PublishedSetTests {
  @Test("the digests are those of the published files", arguments: DatasetName.all)
  func digests(_ name: DatasetName) throws {
    guard let set = PublishedSet.named(name), let data = ProcessInfo.processInfo.environment["DPM_DATA_DIR"] else {
      return
    }
    for file in set.files {
      let path = "\(data)/\(set.folder)/\(file.name)"
      let compressed = FileManager.default.fileExists(atPath: path + ".gz")
      let sum = try run(
        "sh", arguments: ["-c", compressed ? "gunzip -c '\(path).gz' | sha256sum" : "sha256sum '\(path)'"])
      #expect(sum.output.hasPrefix(file.digest), "\(file.name)")
    }
  }
}
