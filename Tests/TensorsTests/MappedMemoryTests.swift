import Testing

@testable import Tensors

@Suite struct MappedMemoryTests {
  @Test("what one writes, another mapping of the same memory shows; other sizes, processes and files are refused")
  func mapping() throws {
    let memory = try #require(MappedMemory(count: 10_000))
    memory.bytes[9_999] = 42
    let offer = try #require(memory.offer)
    let other = try #require(MappedMemory(offer))
    #expect(other.bytes[9_999] == 42 && other.bytes[0] == 0)
    var wrong = offer
    wrong.count = 10_001
    #expect(MappedMemory(wrong) == nil)
    wrong = offer
    wrong.process = 0
    #expect(MappedMemory(wrong) == nil)
    // A file of the same length, as another process of that number may have.
    let twin = try #require(MappedMemory(count: 10_000))
    wrong = offer
    wrong.inode = try #require(twin.offer?.inode)
    #expect(MappedMemory(wrong) == nil)
  }

  @Test("what others write is seen too, by buffers in the same memory", arguments: [1000, 3 << 20])
  func writing(count: Int) throws {
    let memory = try #require(MappedMemory(count: 4 * count))
    memory.useHugePages()
    let offer = try #require(memory.offer)
    let other = try #require(MappedMemory(offer, isWritten: true))
    let (first, second) = (FloatBuffer(count: count, in: memory), FloatBuffer(count: count, in: other))
    #expect(first.elements.allSatisfy { $0 == 0 })
    first[0] = 1
    second[count - 1] = 2
    #expect(second[0] == 1 && first[count - 1] == 2 && first.pointer != second.pointer)
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
