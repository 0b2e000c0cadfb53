#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory for numbers: the one owner of every array that kernels read or write.
///
/// Zeroed, aligned to cache lines (to huge pages from 2 MiB on: a step touches hundreds of MiB, and with 4 KiB pages
/// its TLB misses cost more than its transforms), freed with the last reference.
public final class AlignedBuffer<Element: BitwiseCopyable> {
  /// Number of elements.
  public let count: Int
  /// The first element.
  public let pointer: UnsafeMutablePointer<Element>

  /// Allocates `count` zeroed elements.
  public init(count: Int) {
    self.count = count
    let bytes = max(64, (count * MemoryLayout<Element>.stride + 63) / 64 * 64)
    let hugePage = 2 << 20
    var memory: UnsafeMutableRawPointer?
    let status = posix_memalign(&memory, bytes >= hugePage ? hugePage : 64, bytes)
    guard status == 0, let memory else { preconditionFailure("out of memory: \(bytes) bytes") }
    if bytes >= hugePage { madvise(memory, bytes, MADV_HUGEPAGE) }
    memset(memory, 0, bytes)
    pointer = memory.bindMemory(to: Element.self, capacity: count)
  }

  deinit { free(pointer) }

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
}

/// A buffer of 32-bit floats.
public typealias FloatBuffer = AlignedBuffer<Float>
