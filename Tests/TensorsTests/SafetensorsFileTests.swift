import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite("SafetensorsFile")
struct SafetensorsFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("what is written is read back, bit for bit, in every type")
  func roundTrip() throws {
    let floats: [Float] = [1.5, -0.0, .leastNonzeroMagnitude, .infinity, Float(bitPattern: 0x7FC0_1234), .pi]
    let doubles = [0.1, -1e-308, .greatestFiniteMagnitude]
    let integers: [Int64] = [.min, -1, .max]
    let shorts: [Int32] = [.min, 7]
    let bytes: [UInt8] = [0, 255, 128, 7, 9]
    let metadata = ["format": "dpm-1", "quote \" \\": "line\nbreak\u{1}\u{7F} é 🙂", "": ""]
    let file = try withWriter(metadata: metadata) { writer in
      floats.withUnsafeBufferPointer { floats in
        doubles.withUnsafeBufferPointer { doubles in
          integers.withUnsafeBufferPointer { integers in
            shorts.withUnsafeBufferPointer { shorts in
              bytes.withUnsafeBufferPointer { bytes in
                writer.add("floats", shape: [2, 3], values: floats)
                writer.add("bytes", shape: [5], values: bytes)
                writer.add("doubles", shape: [3, 1], values: doubles)
                writer.add("empty", shape: [4, 0], values: UnsafeBufferPointer<Float>(start: nil, count: 0))
                writer.add("integers", shape: [3], values: integers)
                writer.add("a name with \"quotes\" and é", shape: [2], values: shorts)
                writer.add("one", shape: [], values: UnsafeBufferPointer(rebasing: floats[..<1]))
                return contents(of: writer)
              }
            }
          }
        }
      }
    }
    #expect(file.metadata == metadata)
    #expect(
      file.names == ["floats", "bytes", "doubles", "empty", "integers", "a name with \"quotes\" and é", "one"])
    #expect(try file.floats("floats").map(\.bitPattern) == floats.map(\.bitPattern))
    #expect(try file.doubles("doubles") == doubles)
    #expect(try file.doubles("one") == [1.5])
    #expect(try file.integers("integers") == integers.map(Int.init))
    #expect(try file.integers("a name with \"quotes\" and é") == shorts.map(Int.init))
    #expect(try file.bytes("bytes") == bytes)
    #expect(try file.floats("empty").isEmpty)
    #expect(try file.shape(of: "floats") == [2, 3])
    #expect(try file.shape(of: "empty") == [4, 0])
    #expect(try file.shape(of: "one").isEmpty)
  }

  @Test("tensors begin at a multiple of 8 bytes", arguments: 0..<9)
  func alignment(nameLength: Int) throws {
    let bytes = [Float](repeating: 1, count: 3).withUnsafeBufferPointer { values in
      var writer = SafetensorsWriter()
      writer.add(String(repeating: "n", count: nameLength), shape: [3], values: values)
      return contents(of: writer)
    }
    #expect((bytes.count - 12).isMultiple(of: 8))
  }

  @Test("every golden file opens, and every tensor has as many numbers as its shape")
  func goldens() throws {
    let goldens = GoldenFile.path("")
    let names = try FileManager.default.contentsOfDirectory(atPath: goldens).filter { $0.hasSuffix(".safetensors") }
    #expect(names.count >= 10)
    for name in names {
      let file = try SafetensorsFile(contentsOf: "\(goldens)/\(name)")
      #expect(!file.names.isEmpty)
      for tensor in file.names {
        let count =
          switch try file.type(of: tensor) {
          case .float32: try file.floats(tensor).count
          case .float64: try file.doubles(tensor).count
          case .uint8: try file.bytes(tensor).count
          case .int32, .int64: try file.integers(tensor).count
          }
        #expect(try count == file.shape(of: tensor).reduce(1, *), "\(name) \(tensor)")
      }
    }
  }

  @Test("a tensor that is missing or of another type is named")
  func wrongTensor() throws {
    let path = try folder.write(fileBytes(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, data: 4), as: "f")
    let file = try SafetensorsFile(contentsOf: path)
    #expect(throws: InputError(path, found: "no tensor b", expected: "one of this name")) { try file.floats("b") }
    #expect(throws: InputError(path, found: "tensor a of type F32", expected: "U8")) { try file.bytes("a") }
    #expect(throws: InputError(path, found: "tensor a of type F32", expected: "I64")) { try file.integers("a") }
  }

  @Test("what is no file is refused without waiting for it")
  func notAFile() throws {
    let missing = folder.file("missing")
    #expect(throws: InputError(missing, found: "no such file or directory", expected: "a readable file")) {
      try SafetensorsFile(contentsOf: missing)
    }
    #expect(throws: InputError(folder.path, found: "a folder", expected: "a file")) {
      try SafetensorsFile(contentsOf: folder.path)
    }
    let pipe = folder.file("pipe")
    try #require(mkfifo(pipe, 0o600) == 0)
    #expect(throws: InputError(pipe, found: "a pipe or a device", expected: "a file")) {
      try SafetensorsFile(contentsOf: pipe)
    }
  }

  @Test("a file that shrinks after it was opened is an error, not a short tensor")
  func shrinkingFile() throws {
    let path = try folder.write(fileBytes(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: 8), as: "f")
    let file = try SafetensorsFile(contentsOf: path)
    #expect(truncate(path, 66) == 0)
    #expect(throws: InputError.self) { try file.floats("a") }
  }

  private func withWriter(
    metadata: [String: String], _ body: (inout SafetensorsWriter) -> [UInt8]
  ) throws -> SafetensorsFile {
    var writer = SafetensorsWriter(metadata: metadata)
    return try SafetensorsFile(contentsOf: folder.write(body(&writer), as: "written.safetensors"))
  }
}

/// All that a writer hands out.
func contents(of writer: SafetensorsWriter) -> [UInt8] {
  var bytes: [UInt8] = []
  writer.write { bytes.append(contentsOf: $0) }
  return bytes
}

/// A file of this header and so many bytes of data.
func fileBytes(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
  let stored = (length ?? UInt64(header.utf8.count)).littleEndian
  let content = (0..<data).map { UInt8(truncatingIfNeeded: $0) }
  return withUnsafeBytes(of: stored) { Array($0) } + Array(header.utf8) + content
}
