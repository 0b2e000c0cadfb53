import CPlatform

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory that other processes can map too: the one copy of a data set on a host, or of a model's parameters.
///
/// Not a file of any file system: the system's limits on /dev/shm (64 MiB in many containers) do not count, and it is gone
/// with the last process that maps it.
public final class MappedMemory: @unchecked Sendable {
  /// The bytes; at a multiple of a huge page where they are as long as one.
  public let bytes: UnsafeMutableRawBufferPointer
  private let descriptor: Int32
  /// Whether it is a file's content, which may be longer than the machine's memory.
  public let isFile: Bool

  /// Makes zeroed memory; nil where the system has none.
  public init?(count: Int) {
    let descriptor = cplatform_anonymous_file("dpm")
    guard descriptor >= 0 else { return nil }
    guard ftruncate(descriptor, count) == 0,
      let start = Self.map(descriptor, count: count, PROT_READ | PROT_WRITE)
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    isFile = false
    bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  /// Maps a file, to read; nil where there is none, or an empty one.
  public convenience init?(contentsOf path: String) { self.init(opening: path, isFile: true) }

  /// What another process of this host needs to map it.
  public struct Offer: Codable, Sendable {
    var process: Int32
    let descriptor: Int32
    var count: Int
    let isFile: Bool
    /// Of the file: in containers processes are numbered anew, and what is seen under a number may be another's.
    var inode: UInt64

    fileprivate init?(_ memory: MappedMemory) {
      var status = stat()
      guard fstat(memory.descriptor, &status) == 0 else { return nil }
      process = getpid()
      descriptor = memory.descriptor
      count = memory.bytes.count
      isFile = memory.isFile
      inode = UInt64(status.st_ino)
    }

    fileprivate var path: String { "/proc/\(process)/fd/\(descriptor)" }
    fileprivate func fits(_ status: stat) -> Bool { status.st_size == count && UInt64(status.st_ino) == inode }
  }

  /// What other processes map it by.
  public var offer: Offer? { Offer(self) }

  /// Maps another process's memory; nil where it cannot be seen from here.
  ///
  /// - Parameters:
  ///   - count: The bytes that it must have; nil for as many as are offered.
  ///   - isWritten: Whether to write it too.
  public convenience init?(_ offer: Offer, count: Int? = nil, isWritten: Bool = false) {
    guard offer.count == count ?? offer.count else { return nil }
    self.init(opening: offer.path, isFile: offer.isFile, isWritten: isWritten) { offer.fits($0) }
  }

  private init?(opening path: String, isFile: Bool, isWritten: Bool = false, fits: (stat) -> Bool = { _ in true }) {
    let descriptor = open(path, (isWritten ? O_RDWR : O_RDONLY) | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    var status = stat()
    guard fstat(descriptor, &status) == 0, fits(status),
      let start = Self.map(
        descriptor, count: Int(status.st_size), isWritten ? PROT_READ | PROT_WRITE : PROT_READ)
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    self.isFile = isFile
    bytes = UnsafeMutableRawBufferPointer(start: start, count: Int(status.st_size))
  }

  /// Maps a file; nil where that is not possible.
  private static func map(_ descriptor: Int32, count: Int, _ protection: Int32) -> UnsafeMutableRawPointer? {
    var place: UnsafeMutableRawPointer?
    if count >= HugePages.pageBytes {
      // Addresses without memory, among which the mapping takes its place; those around it are given back.
      let reserved = count + HugePages.pageBytes
      guard let start = mmap(nil, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
      else { return nil }
      let first = UnsafeMutableRawPointer(start.alignedUp(toMultipleOf: HugePages.pageBytes))
      let end = (first + count).alignedUp(toMultipleOf: pageSize)
      if first > start { munmap(start, first - start) }
      if start + reserved > end { munmap(end, start + reserved - end) }
      place = first
    }
    let start = mmap(place, count, protection, MAP_SHARED | (place == nil ? 0 : MAP_FIXED), descriptor, 0)
    return start == MAP_FAILED ? nil : start
  }

  /// Takes memory for all bytes at once, in huge pages where the system has them: for the maker, before others map it.
  public func useHugePages() {
    let whole = bytes.count / HugePages.pageBytes * HugePages.pageBytes
    guard whole > 0 else { return }
    // Only what is there can be brought together.
    for page in stride(from: 0, to: whole, by: Self.pageSize) { bytes[page] = 0 }
    cplatform_collapse_pages(bytes.baseAddress, whole)
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
