import Foundation
public import Tensors

/// Brings a published data set into the cache folder, piece by piece: what `advance` does takes a moment each.
///
/// Archives are downloaded beside their final place, go on where an interrupted job left off, and are unpacked and removed
/// when they are whole. Of several jobs on a host, or on hosts that share the folder, one downloads and the others wait.
public final class DatasetDownload {
  /// What is being done, as in "downloading MNIST from https://…".
  public private(set) var status: String
  /// Bytes of all archives that are here.
  public private(set) var receivedBytes = 0
  /// Bytes of all archives, about.
  public let expectedBytes: Int

  private let set: PublishedSet
  private let folder: String
  private let mirror: String?
  private let stallSeconds: Int
  private var archives: ArraySlice<PublishedArchive>
  private var finishedBytes = 0
  private var transfer: ArchiveTransfer?

  /// Whether a data set is published as files, which can be downloaded.
  public static func isPublished(_ name: DatasetName) -> Bool { PublishedSet.named(name) != nil }

  /// The folder that has a data set's published files, if they have been downloaded (or put there) before.
  ///
  /// - Returns: The cache folder, for `TrainingData.load`; nil where a file is missing, or for other data sets.
  public static func cached(_ name: DatasetName, cache: String = CacheFolder.path()) -> String? {
    guard let set = PublishedSet.named(name) else { return nil }
    return set.files.allSatisfy { $0.exists(in: "\(cache)/\(set.folder)") } ? cache : nil
  }

  /// A download of a data set's files.
  ///
  /// - Parameters:
  ///   - name: Which data set.
  ///   - cache: The folder to put its own folder into.
  ///   - mirror: The base address to use in place of the publishers' (`DPM_DATA_MIRROR`); nil for theirs.
  /// - Throws: `InputError` where the folder cannot be made, or has no room.
  /// - Precondition: `isPublished(name)`.
  public convenience init(
    _ name: DatasetName, cache: String = CacheFolder.path(), mirror: String?
  ) throws(InputError) {
    try self.init(Self.published(name), cache: cache, mirror: mirror)
  }

  /// - Parameter stallSeconds: How long a server may be silent.
  init(_ set: PublishedSet, cache: String, mirror: String?, stallSeconds: Int = 30) throws(InputError) {
    if let mirror, !mirror.hasPrefix("http://"), !mirror.hasPrefix("https://") {
      throw InputError("DPM_DATA_MIRROR", found: "\"\(mirror)\"", expected: "an address, http://… or https://…")
    }
    self.set = set
    self.mirror = mirror.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
    self.stallSeconds = stallSeconds
    folder = try CacheFolder.make(set.folder, in: cache)
    archives = set.archives[...]
    expectedBytes = set.archives.reduce(0) { $0 + $1.bytes }
    status = "downloading \(set.title)"
    try requireSpace()
  }

  /// What tells the user how to provide the files by hand, after another reason than the download's own.
  ///
  /// - Parameter reason: Why there is no download, as in "--offline forbids to download them".
  public static func unavailable(
    _ name: DatasetName, reason: String, cache: String = CacheFolder.path()
  ) -> InputError {
    published(name).unavailable(reason: reason, cache: cache)
  }

  private static func published(_ name: DatasetName) -> PublishedSet {
    guard let set = PublishedSet.named(name) else { preconditionFailure("\(name) is published nowhere") }
    return set
  }

  /// Goes on for about so long.
  ///
  /// - Returns: Whether all files are there.
  /// - Throws: `InputError` that tells what was tried and which files to put where by hand; or that the disk is full.
  public func advance(for duration: Duration) throws(InputError) -> Bool {
    let deadline = ContinuousClock.now + duration
    while let archive = archives.first {
      if transfer == nil, archive.files.allSatisfy({ $0.exists(in: folder) }) {
        finishedBytes += archive.bytes
        receivedBytes = finishedBytes
        archives = archives.dropFirst()
        continue
      }
      let current = transfer ?? ArchiveTransfer(archive, folder: folder, mirror: mirror, stallSeconds: stallSeconds)
      transfer = current
      let outcome = try current.advance(until: deadline)
      receivedBytes = finishedBytes + current.receivedBytes
      status = "downloading \(set.title) \(current.status)"
      switch outcome {
      case .underWay: return false
      case .complete: transfer = nil
      case .failed(let reasons):
        throw set.unavailable(
          reason: "none could be downloaded (\(reasons.joined(separator: "; ")))",
          cache: URL(fileURLWithPath: folder).deletingLastPathComponent().path)
      }
    }
    return true
  }

  private func requireSpace() throws(InputError) {
    let missing = set.archives.filter { !$0.files.allSatisfy { $0.exists(in: folder) } }
    // Archives are removed one by one: the largest is there together with all that is unpacked.
    let needed = (missing.map(\.bytes).max() ?? 0) + missing.flatMap(\.files).reduce(0) { $0 + $1.bytes }
    // Where the system does not tell, writing will.
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder)
    guard let available = (attributes?[.systemFreeSize] as? NSNumber)?.intValue else { return }
    let free = available + partialBytes(of: missing)
    guard free >= needed else {
      throw InputError(
        folder, found: "\(free >> 20) MiB free",
        expected: "\((needed >> 20) + 1) MiB for \(set.title), or another XDG_CACHE_HOME")
    }
  }

  private func partialBytes(of archives: [PublishedArchive]) -> Int {
    archives.reduce(0) { sum, archive in
      var status = stat()
      return sum + (stat(archive.partialPath(in: folder), &status) == 0 ? Int(status.st_size) : 0)
    }
  }
}

extension PublishedFile {
  /// Whether the file is there, raw or gzipped.
  func exists(in folder: String) -> Bool {
    let path = "\(folder)/\(name)"
    return [path, path + ".gz"].contains { (path: String) in access(path, F_OK) == 0 }
  }
}

extension PublishedArchive {
  /// Where it lies until it is whole.
  func partialPath(in folder: String) -> String {
    "\(folder)/.\(path.split(separator: "/").last ?? "archive").part"
  }
}

extension PublishedSet {
  /// The fault that lists what to put where.
  fileprivate func unavailable(reason: String, cache: String) -> InputError {
    let list = files.map { "  \($0.digest)  \($0.name)" }.joined(separator: "\n")
    let sources = archives.compactMap(\.addresses.first).joined(separator: " ")
    return InputError(
      "dataset.path", found: "no \(title) files are there, and \(reason)",
      expected: """
        these files in \(cache)/\(folder), or in a folder that --data-dir names, each as it is or with .gz
        (from \(sources); the digests are SHA-256 of the unpacked files, as sha256sum prints them):
        \(list)
        """)
  }
}
