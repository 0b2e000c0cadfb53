import Tensors
import Testing

@Suite("Buffers of numbers")
struct AlignedBufferTests {
  @Test("are zeroed, aligned to cache lines and apart", arguments: [1, 1000, 1024, 300_000, 600_000])
  func apart(count: Int) {
    let buffers = (0..<40).map { _ in FloatBuffer(count: count) }
    for (number, buffer) in buffers.enumerated() {
      #expect(UInt(bitPattern: buffer.pointer) % 64 == 0)
      #expect(buffer.elements.allSatisfy { $0 == 0 })
      buffer.fill(Float(number + 1))
    }
    for (number, buffer) in buffers.enumerated() {
      #expect(buffer.elements.allSatisfy { $0 == Float(number + 1) })
    }
  }

  @Test("are zeroed where others have been")
  func again() {
    for _ in 0..<200 {
      let buffer = FloatBuffer(count: 100_000)
      #expect(buffer[0] == 0 && buffer[99_999] == 0)
      buffer.fill(1)
    }
  }
}
