#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory for numbers: the one owner of every array that kernels read or write.
///
/// Zeroed, aligned to cache lines, freed with the last reference, and in huge pages from 4 KiB on, small ones side by side: a
/// step touches hundreds of MiB, and 64 positions of a transformed tile as many small pages; with 4 KiB pages its TLB misses
/// cost more than its transforms. Large buffers take no memory where nothing was ever written: a rank's buffer of moments
/// costs what the rank owns of it.
public final class AlignedBuffer<Element: BitwiseCopyable> {
  /// Number of elements.
  public let count: Int
  /// The first element.
  public let pointer: UnsafeMutablePointer<Element>
  /// What holds the memory; nil where it comes from malloc.
  private let owner: AnyObject?

  /// Allocates `count` zeroed elements.
  public init(count: Int) {
    precondition(count >= 0, "a buffer has no negative size")
    self.count = count
    let bytes = Self.bytes(count)
    let memory: UnsafeMutableRawPointer?
    if bytes >= HugePages.pageBytes {
      let pages = HugePages(bytes: bytes)
      memory = pages.memory.baseAddress
      owner = pages
    } else if bytes >= smallestPiece {
      let piece = HugePages.piece(bytes: bytes)
      memory = piece.memory.baseAddress
      owner = piece.pages
    } else {
      var start: UnsafeMutableRawPointer?
      if posix_memalign(&start, 64, bytes) == 0, let start { memset(start, 0, bytes) }
      memory = start
      owner = nil
    }
    guard let memory else { preconditionFailure("out of memory: \(bytes) bytes") }
    pointer = memory.bindMemory(to: Element.self, capacity: count)
  }

  /// The first `count` elements of memory that other processes can map.
  public init(count: Int, in memory: MappedMemory) {
    precondition(count >= 0 && count * MemoryLayout<Element>.stride <= memory.bytes.count, "the memory is too short")
    guard let start = memory.bytes.baseAddress else { preconditionFailure("mapped memory has an address") }
    self.count = count
    pointer = start.bindMemory(to: Element.self, capacity: count)
    owner = memory
  }

  /// What `count` elements take, in whole cache lines.
  private static func bytes(_ count: Int) -> Int { max(64, (count * MemoryLayout<Element>.stride + 63) / 64 * 64) }

  deinit {
    if owner == nil { free(pointer) }
  }

  /// Gives the memory of all elements outside of `ranges` back to the system where it can be; they may become zero.
  ///
  /// From here on the buffer has small pages: the system would fill holes up to huge ones again, in the background.
  ///
  /// - Parameter ranges: In any order.
  public func release(outside ranges: [Range<Int>]) {
    guard Self.bytes(count) >= HugePages.pageBytes else { return }
    var holes: [UnsafeMutableRawBufferPointer] = []
    var start = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
      holes += pages(start..<range.lowerBound)
      start = max(start, range.upperBound)
    }
    holes += pages(start..<count)
    guard !holes.isEmpty else { return }
    madvise(pointer, count * MemoryLayout<Element>.stride, MADV_NOHUGEPAGE)
    for hole in holes { madvise(hole.baseAddress, hole.count, MADV_DONTNEED) }
  }

  /// The whole pages within a range, in one piece or none.
  private func pages(_ range: Range<Int>) -> [UnsafeMutableRawBufferPointer] {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = UnsafeMutableRawPointer(pointer + range.lowerBound).alignedUp(toMultipleOf: page)
    let end = UnsafeMutableRawPointer(pointer + range.upperBound).alignedDown(toMultipleOf: page)
    return end > first ? [UnsafeMutableRawBufferPointer(start: first, count: end - first)] : []
  }

  /// The elements, for code that checks bounds.
  public var elements: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: pointer, count: count) }

  /// One element.
  public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index out of the buffer")
      return pointer[index]
    }
    set {
      precondition(index >= 0 && index < count, "index out of the buffer")
      pointer[index] = newValue
    }
  }

  /// Sets every element to the same value.
  public func fill(_ value: Element) { elements.update(repeating: value) }

  /// A digest of all elements' bits (`Digest`).
  public func digest() -> String { Digest.hexadecimal(of: UnsafeRawBufferPointer(elements)) }
}

/// Bytes from which on a small buffer is a piece of huge pages.
private let smallestPiece = 4096

/// A buffer of 32-bit floats.
public typealias FloatBuffer = AlignedBuffer<Float>
