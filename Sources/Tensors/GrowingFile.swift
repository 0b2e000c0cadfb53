#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file that records are appended to, each whole or not at all.
public struct GrowingFile: Sendable {
  /// Where it is.
  public let path: String

  /// The file at a path, whether it exists yet or not.
  public init(_ path: String) { self.path = path }

  /// Appends a record, which is on the disk when this returns.
  ///
  /// - Throws: `InputError` with the system's text; the file is then as long as it was.
  public func append(_ record: [UInt8]) throws(InputError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw InputError(systemFault: path) }
    defer { close(descriptor) }
    // One record after the other, from whatever thread: a failed one is cut off where it began. Closing unlocks.
    flock(descriptor, LOCK_EX)
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw InputError(systemFault: path) }
    do throws(InputError) {
      try record.withUnsafeBufferPointer { bytes throws(InputError) in
        try writeAll(UnsafeRawBufferPointer(bytes), to: descriptor, path: path)
      }
    } catch {
      // On a full disk: half a record would spoil the next one too.
      ftruncate(descriptor, status.st_size)
      throw error
    }
    guard fsync(descriptor) == 0 else { throw InputError(systemFault: path) }
  }
}
