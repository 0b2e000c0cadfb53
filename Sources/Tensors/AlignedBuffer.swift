#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory for numbers: the one owner of every array that kernels read or write.
///
/// Zeroed, aligned to cache lines (to huge pages from 2 MiB on: a step touches hundreds of MiB, and with 4 KiB pages
/// its TLB misses cost more than its transforms), freed with the last reference. Large buffers take no memory where nothing
/// was ever written: a rank's buffer of moments costs what the rank owns of it.
public final class AlignedBuffer<Element: BitwiseCopyable> {
  /// Number of elements.
  public let count: Int
  /// The first element.
  public let pointer: UnsafeMutablePointer<Element>
  /// What a large buffer has mapped; nil where it comes from malloc.
  private let mapping: UnsafeMutableRawBufferPointer?

  /// Allocates `count` zeroed elements.
  public init(count: Int) {
    precondition(count >= 0, "a buffer has no negative size")
    self.count = count
    let bytes = max(64, (count * MemoryLayout<Element>.stride + 63) / 64 * 64)
    if bytes >= hugePageBytes {
      // One huge page more, to begin at a multiple of one.
      let length = bytes + hugePageBytes
      guard
        let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED
      else { preconditionFailure("out of memory: \(bytes) bytes") }
      mapping = UnsafeMutableRawBufferPointer(start: start, count: length)
      let aligned = start.alignedUp(toMultipleOf: hugePageBytes)
      madvise(aligned, bytes, MADV_HUGEPAGE)
      pointer = aligned.bindMemory(to: Element.self, capacity: count)
    } else {
      var memory: UnsafeMutableRawPointer?
      guard posix_memalign(&memory, 64, bytes) == 0, let memory else {
        preconditionFailure("out of memory: \(bytes) bytes")
      }
      memset(memory, 0, bytes)
      mapping = nil
      pointer = memory.bindMemory(to: Element.self, capacity: count)
    }
  }

  deinit {
    if let mapping {
      munmap(mapping.baseAddress, mapping.count)
    } else {
      free(pointer)
    }
  }

  /// Gives the memory of all elements outside of `ranges` back to the system where it can be; they may become zero.
  ///
  /// From here on the buffer has small pages: the system would fill holes up to huge ones again, in the background.
  ///
  /// - Parameter ranges: In any order.
  public func release(outside ranges: [Range<Int>]) {
    guard mapping != nil else { return }
    var holes: [UnsafeMutableRawBufferPointer] = []
    var start = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
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

private let hugePageBytes = 2 << 20

/// A buffer of 32-bit floats.
public typealias FloatBuffer = AlignedBuffer<Float>
