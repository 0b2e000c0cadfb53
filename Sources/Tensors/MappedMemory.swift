import CPlatform

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory that other processes can map too: the one copy of a data set on a host.
///
/// Not a file of any file system: the system's limits on /dev/shm (64 MiB in many containers) do not count, and it is gone
/// with the last process that maps it.
public final class MappedMemory: @unchecked Sendable {
  /// The bytes; written by their maker alone, before another process maps them.
  public let bytes: UnsafeMutableRawBufferPointer
  /// What another process of this host opens it by, beside this process's number.
  public let descriptor: Int32
  /// Whether it is a file's content, which may be longer than the machine's memory.
  public let isFile: Bool

  /// Makes zeroed memory; nil where the system has none.
  public init?(count: Int) {
    let descriptor = cplatform_anonymous_file("dpm")
    guard descriptor >= 0 else { return nil }
    guard ftruncate(descriptor, count) == 0,
      let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), start != MAP_FAILED
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    isFile = false
    bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  /// Maps a file, to read; nil where there is none, or an empty one.
  public convenience init?(contentsOf path: String) { self.init(opening: path, count: nil, isFile: true) }

  /// Maps another process's memory, to read; nil where it cannot be seen from here.
  ///
  /// - Parameter isFile: Whether the other process has mapped a file.
  public convenience init?(of process: Int32, descriptor other: Int32, count: Int, isFile: Bool) {
    self.init(opening: "/proc/\(process)/fd/\(other)", count: count, isFile: isFile)
  }

  /// - Parameter count: The length that it must have; nil for any.
  private init?(opening path: String, count: Int?, isFile: Bool) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size == count ?? Int(status.st_size),
      let start = mmap(nil, Int(status.st_size), PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    self.isFile = isFile
    bytes = UnsafeMutableRawBufferPointer(start: start, count: Int(status.st_size))
  }

  /// How a part of a file is going to be read.
  public enum Access {
    /// Here and there: what lies beside a byte that is read need not be.
    case scattered
    /// Soon: it may be brought from the disk meanwhile.
    case soon
  }

  /// Tells the system how bytes will be read; nothing happens where it is no file.
  public func advise(_ access: Access, _ range: Range<Int>) {
    guard isFile, let start = bytes.baseAddress else { return }
    // The system wants whole pages; it rounds the length up by itself.
    let first = range.lowerBound / Self.pageSize * Self.pageSize
    let advice = access == .soon ? MADV_WILLNEED : MADV_RANDOM
    madvise(start + first, range.upperBound - first, advice)
  }

  private static let pageSize = sysconf(Int32(_SC_PAGESIZE))

  deinit {
    munmap(bytes.baseAddress, bytes.count)
    close(descriptor)
  }
}
