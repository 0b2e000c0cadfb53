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
    bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  /// Maps another process's memory, to read; nil where it cannot be seen from here.
  public init?(of process: Int32, descriptor other: Int32, count: Int) {
    let descriptor = open("/proc/\(process)/fd/\(other)", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size == count,
      let start = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  deinit {
    munmap(bytes.baseAddress, bytes.count)
    close(descriptor)
  }
}
