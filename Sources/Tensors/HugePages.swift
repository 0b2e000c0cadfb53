internal import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Zeroed memory in huge pages where the system has them, given back with the last reference.
final class HugePages {
  static let pageBytes = 2 << 20

  /// Begins at a multiple of a huge page.
  let memory: UnsafeMutableRawBufferPointer
  private let mapping: UnsafeMutableRawBufferPointer

  /// Maps `bytes` bytes; what is never written takes no memory.
  init(bytes: Int) {
    // One huge page more, to begin at a multiple of one.
    let length = bytes + Self.pageBytes
    guard
      let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
    else { Self.giveUp(bytes: bytes) }
    mapping = UnsafeMutableRawBufferPointer(start: start, count: length)
    memory = UnsafeMutableRawBufferPointer(start: start.alignedUp(toMultipleOf: Self.pageBytes), count: bytes)
    madvise(memory.baseAddress, bytes, MADV_HUGEPAGE)
  }

  /// Ends the process with a line: a buffer that is not to be had nobody can do without.
  private static func giveUp(bytes: Int) -> Never {
    let line = Array("error: out of memory: \((bytes >> 20) + 1) MiB are not to be had\n".utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    _exit(outOfMemoryStatus)
  }

  /// The status of a process that has no memory, of sysexits.h: a fault of the system.
  private static let outOfMemoryStatus: Int32 = 71

  deinit { munmap(mapping.baseAddress, mapping.count) }

  /// A piece of huge pages that other pieces share: the small buffers of a model lie side by side in few of them.
  ///
  /// - Parameter bytes: Whole cache lines.
  /// - Returns: `bytes` zeroed bytes, aligned to cache lines, and the pages that hold them.
  static func piece(bytes: Int) -> (memory: UnsafeMutableRawBufferPointer, pages: HugePages) {
    begun.withLock { begun in
      let (pages, used) =
        begun.flatMap { $0.used + bytes <= $0.pages.memory.count ? $0 : nil } ?? (HugePages(bytes: 8 * pageBytes), 0)
      begun = (pages, used + bytes)
      return (UnsafeMutableRawBufferPointer(rebasing: pages.memory[used..<used + bytes]), pages)
    }
  }

  /// The pages that the next piece is cut from, and how many bytes of them are taken.
  private static let begun = Mutex<(pages: HugePages, used: Int)?>(nil)
}
