import Glibc
import Tensors
import Testing

@Suite struct MappedMemoryTests {
  @Test("what one writes, another mapping of the same memory shows; other sizes and processes are refused")
  func mapping() throws {
    let memory = try #require(MappedMemory(count: 10_000))
    memory.bytes[9_999] = 42
    let other = try #require(MappedMemory(of: getpid(), descriptor: memory.descriptor, count: 10_000, isFile: false))
    #expect(other.bytes[9_999] == 42 && other.bytes[0] == 0)
    #expect(MappedMemory(of: getpid(), descriptor: memory.descriptor, count: 10_001, isFile: false) == nil)
    #expect(MappedMemory(of: 0, descriptor: memory.descriptor, count: 10_000, isFile: false) == nil)
  }

  @Test("what others write is seen too, by buffers in the same memory", arguments: [1000, 3 << 20])
  func writing(count: Int) throws {
    let memory = try #require(MappedMemory(count: 4 * count))
    memory.useHugePages()
    let other = try #require(MappedMemory(sharedBy: getpid(), descriptor: memory.descriptor, count: 4 * count))
    let (first, second) = (FloatBuffer(count: count, in: memory), FloatBuffer(count: count, in: other))
    #expect(first.elements.allSatisfy { $0 == 0 })
    first[0] = 1
    second[count - 1] = 2
    #expect(second[0] == 1 && first[count - 1] == 2 && first.pointer != second.pointer)
    #expect(MappedMemory(sharedBy: getpid(), descriptor: memory.descriptor, count: 4 * count + 1) == nil)
    if count >= 1 << 20 { #expect(UInt(bitPattern: second.pointer) % (2 << 20) == 0) }
  }

  @Test("a large buffer is aligned and zero, and keeps what is not released")
  func release() {
    let buffer = FloatBuffer(count: 3 << 20)
    #expect(UInt(bitPattern: buffer.pointer) % (2 << 20) == 0)
    #expect(buffer[0] == 0 && buffer[buffer.count - 1] == 0)
    buffer.fill(1)
    buffer.release(outside: [2_000_000..<2_000_100, 5..<1_000_000, 5..<5])
    #expect((5..<1_000_000).allSatisfy { buffer.pointer[$0] == 1 })
    #expect((2_000_000..<2_000_100).allSatisfy { buffer.pointer[$0] == 1 })
    #expect(buffer[1_500_000] == 0 && buffer[buffer.count - 1_000_000] == 0)
    buffer[1_500_000] = 3
    #expect(buffer[1_500_000] == 3)
  }
}
