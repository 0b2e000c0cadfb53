import Foundation
public import Tensors

/// Writes a `PictureCache`, image by image: under a temporary name until all is on the disk.
public final class PictureCacheWriter {
  private let cache: PictureCache
  private let listing: String
  private let descriptor: Int32
  private let temporaryPath: String
  private var levels = GreyLevels()
  private var digest = Digest()
  private var trainCount = 0
  private var testCount = 0

  /// Begins a file; what interrupted jobs left of theirs is removed.
  ///
  /// - Parameters:
  ///   - listing: The digest of the folder's listing.
  ///   - count: How many images there will be, at most.
  /// - Throws: `InputError` if it cannot be made, or there is no room for it.
  public init(_ cache: PictureCache, listing: String, count: Int) throws(InputError) {
    self.cache = cache
    self.listing = listing
    let file = URL(fileURLWithPath: cache.path)
    let folder = file.deletingLastPathComponent().path
    Self.sweep(folder)
    (temporaryPath, descriptor) = try Self.makeFile(in: folder, name: file.lastPathComponent)
    try requireFreeSpace(bytes: count * cache.shape.elements, in: folder, advice: ", or another XDG_CACHE_HOME")
  }

  deinit {
    unlink(temporaryPath)
    close(descriptor)
  }

  /// Appends an image, [C][H][W]; all to train on come before those to test with.
  ///
  /// - Throws: `InputError` with the system's text, such as "no space left on device".
  public func append(_ pixels: UnsafeBufferPointer<UInt8>, isTest: Bool) throws(InputError) {
    precondition(
      pixels.count == cache.shape.elements && (isTest || testCount == 0), "images of the cache, in its order")
    if isTest {
      testCount += 1
    } else {
      trainCount += 1
      levels.add(pixels)
    }
    digest.add(UnsafeRawBufferPointer(pixels))
    try writeAll(UnsafeRawBufferPointer(pixels), to: descriptor, path: cache.path)
  }

  /// Puts the file in its place; whoever has mapped an older one keeps it.
  ///
  /// - Throws: `InputError` with the system's text, or if there are no images to train on or to test with.
  public func finish(skipped: [PictureCache.Skipped]) throws(InputError) {
    guard trainCount > 0, testCount > 0 else {
      throw InputError(
        cache.name, found: "\(trainCount) pictures to train on and \(testCount) to test with that can be decoded",
        expected: "at least one of each")
    }
    let summary = PictureCache.Summary(
      listing: listing, trainCount: trainCount, testCount: testCount, levels: levels, digest: digest.hexadecimal,
      skipped: skipped)
    let encoder = JSONEncoder()
    // The same folder gives the same file.
    encoder.outputFormatting = .sortedKeys
    guard let json = try? encoder.encode(summary) else { preconditionFailure("a summary can be encoded") }
    let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) }
    let end = Array(json) + length + PictureCache.mark
    try end.withUnsafeBufferPointer { (bytes) throws(InputError) in
      try writeAll(UnsafeRawBufferPointer(bytes), to: descriptor, path: cache.path)
    }
    guard fsync(descriptor) == 0, rename(temporaryPath, cache.path) == 0 else {
      throw InputError(systemFault: cache.path)
    }
  }

  private static let suffix = ".part"

  /// Makes a file and locks it, which tells other jobs that this one lives, on whatever host.
  private static func makeFile(in folder: String, name: String) throws(InputError) -> (path: String, descriptor: Int32)
  {
    while true {
      let path = "\(folder)/.\(name).\(UUID().uuidString)\(suffix)"
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else {
        throw InputError(systemFault: folder, expected: "a folder to write to, or another XDG_CACHE_HOME")
      }
      // Waits for another job's sweep, which may have come before and removed it.
      flock(descriptor, LOCK_EX)
      if access(path, F_OK) == 0 { return (path, descriptor) }
      close(descriptor)
    }
  }

  /// Removes files that no living job writes.
  private static func sweep(_ folder: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasSuffix(suffix) {
      let path = "\(folder)/\(name)"
      // To write: NFS locks no file else.
      let descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(path) }
      close(descriptor)
    }
  }
}
