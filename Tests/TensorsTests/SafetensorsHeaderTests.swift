import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite("SafetensorsHeader")
struct SafetensorsHeaderTests {
  /// A header that has everything the format knows.
  static let header =
    #"{"__metadata__":{"format":"dpm-1","e":"\u00e9\n"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"#
    + #""b":{"shape":[],"data_offsets":[8,9],"dtype":"U8"},"c":{"dtype":"I64","shape":[0],"data_offsets":[9,9]}}  "#

  /// Headers that must be refused, each with a part of the error.
  static let hostile: [(header: String, dataBytes: Int, found: String)] = [
    ("", 0, "at its byte 0"),
    ("[]", 0, "at its byte 0"),
    (" {}", 0, "at its byte 0"),
    ("{", 0, "at its byte 1"),
    ("{}x", 0, "at its byte 2"),
    ("{,}", 0, "at its byte 1"),
    (#"{"a":1}"#, 0, "at its byte 5"),
    (#"{"__metadata__":{"a":1}}"#, 0, "at its byte 21"),
    (#"{"__metadata__":{"a":{"b":"c"}}}"#, 0, "at its byte 21"),
    (#"{"__metadata__":{"a":"b","a":"b"}}"#, 0, "\"__metadata__.a\" twice"),
    (#"{"__metadata__":{},"__metadata__":{}}"#, 0, "\"__metadata__\" twice"),
    (tensor("a", "U8", "[1]", "[0,1]") + tensor("a", "U8", "[1]", "[0,1]"), 1, "\"a\" twice"),
    (#"{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, 1, "\"a.dtype\" twice"),
    (#"{"a":{"dtype":"U8","shape":[]}}"#, 1, "tensor a with only"),
    (#"{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":{}}}"#, 1, "tensor a with a key \"x\""),
    (tensor("a", "BF16", "[1]", "[0,2]"), 2, "type BF16"),
    (tensor("a", "f32", "[1]", "[0,4]"), 4, "type f32"),
    (tensor("a", "U8", "[1]", "[0]"), 1, "data_offsets [0]"),
    (tensor("a", "U8", "[1]", "[1,0]"), 1, "data_offsets [1, 0]"),
    (tensor("a", "U8", "[1]", "[0,1,2]"), 1, "data_offsets [0, 1, 2]"),
    (tensor("a", "F32", "[2]", "[0,4]"), 4, "F32 [2], in 4 bytes"),
    (tensor("a", "F64", "[4611686018427387904]", "[0,0]"), 0, "in 0 bytes"),
    (tensor("a", "U8", "[4294967296,4294967296]", "[0,0]"), 0, "in 0 bytes"),
    (tensor("a", "U8", "[9223372036854775808]", "[0,0]"), 0, "at its byte"),
    (tensor("a", "U8", "[-1]", "[0,1]"), 1, "at its byte"),
    (tensor("a", "U8", "[1.0]", "[0,1]"), 1, "at its byte"),
    (tensor("a", "U8", "[01]", "[0,1]"), 1, "at its byte"),
    (tensor("a", "U8", "[1e0]", "[0,1]"), 1, "at its byte"),
    (tensor("a", "U8", "[1", "[0,1]"), 1, "at its byte"),
    // A hole in front, between, behind; an overlap; the same bytes twice; data beyond the file.
    (tensor("a", "U8", "[1]", "[1,2]"), 2, "tensor a begins at byte 1"),
    (tensor("a", "U8", "[1]", "[0,1]") + tensor("b", "U8", "[1]", "[2,3]"), 3, "tensor b begins at byte 2"),
    (tensor("a", "U8", "[1]", "[0,1]"), 2, "2 bytes of data"),
    (tensor("a", "U8", "[2]", "[0,2]") + tensor("b", "U8", "[2]", "[1,3]"), 3, "tensor b begins at byte 1"),
    (tensor("a", "U8", "[1]", "[0,1]") + tensor("b", "U8", "[1]", "[0,1]"), 1, "tensor b begins at byte 0"),
    (tensor("a", "U8", "[1]", "[0,1]"), 0, "0 bytes of data"),
    (tensor("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]"), 8, "8 bytes of data"),
    (#"{"\ud800":{}}"#, 0, "at its byte"),
    (#"{"\ud800\u0041":{}}"#, 0, "at its byte"),
    (#"{"\u12":{}}"#, 0, "at its byte"),
    (#"{"\x":{}}"#, 0, "at its byte"),
    ("{\"a\nb\":{}}", 0, "at its byte"),
    (#"{"a"#, 0, "at its byte"),
    (#"{"a\"#, 0, "at its byte"),
    (String(repeating: "{", count: 100_000), 0, "at its byte 1"),
    ("{\"a\":" + String(repeating: "[", count: 100_000), 0, "at its byte 5"),
  ]

  /// One tensor as a whole header; two of them put together are one header of two.
  private static func tensor(_ name: String, _ type: String, _ shape: String, _ offsets: String) -> String {
    #"{"\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}}"#
  }

  @Test("a header with everything the format knows is read")
  func wholeHeader() throws {
    let header = try SafetensorsHeader(json: Array(Self.header.utf8), dataBytes: 9, path: "f")
    #expect(header.metadata == ["format": "dpm-1", "e": "é\n"])
    #expect(header.names == ["a", "b", "c"])
    #expect(header.tensors["a"] == .init(type: .float32, shape: [2, 1], bytes: 0..<8))
    #expect(header.tensors["b"]?.count == 1)
    #expect(header.tensors["c"]?.count == 0)
    #expect(try SafetensorsHeader(json: Array("{}".utf8), dataBytes: 0, path: "f").names.isEmpty)
    let escaped = Array(#"{"__metadata__":{"\ud83d\ude42":""}}"#.utf8)
    let pair = try SafetensorsHeader(json: escaped, dataBytes: 0, path: "f")
    #expect(pair.metadata == ["🙂": ""])
  }

  @Test("what the format forbids is refused in one line", arguments: hostile.indices)
  func forbidden(index: Int) {
    let (header, dataBytes, found) = Self.hostile[index]
    let json = Array(header.replacing("}}{", with: "},").utf8)
    let error = #expect(throws: InputError.self) { try SafetensorsHeader(json: json, dataBytes: dataBytes, path: "f") }
    #expect(error?.description.hasPrefix("f: ") == true)
    #expect(error?.description.contains(found) == true, "\(error.map(String.init(describing:)) ?? "")")
    #expect(error?.description.contains("\n") == false)
  }

  @Test("bytes that are not UTF-8 are refused")
  func invalidUTF8() {
    #expect(throws: InputError.self) {
      try SafetensorsHeader(json: [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x7B, 0x7D, 0x7D], dataBytes: 0, path: "f")
    }
  }

  @Test("a file cut off at any byte is refused")
  func truncation() throws {
    let folder = try TemporaryFolder()
    let whole = fileBytes(Self.header, data: 9)
    #expect(throws: Never.self) { try SafetensorsFile(contentsOf: folder.write(whole, as: "whole")) }
    for count in 0..<whole.count {
      let path = try folder.write(Array(whole[..<count]), as: "cut")
      #expect(throws: InputError.self, "\(count) bytes") { try SafetensorsFile(contentsOf: path) }
    }
  }

  @Test(
    "a header's length is compared with the file before anything is allocated",
    arguments: [0, 5, 1 << 20, 99_999_999, 100_000_001, 1 << 40, 1 << 63, UInt64.max])
  func lyingLength(length: UInt64) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(fileBytes(Self.header, data: 9, length: length), as: "f")
    #expect(throws: InputError.self) { try SafetensorsFile(contentsOf: path) }
  }

  @Test("200,000 mutations of a file are read or refused, and never crash or ask for more than the file has")
  func mutations() {
    let whole = Array(Self.header.utf8)
    let interesting = Array(#"{}[]",:0123456789\u -eF"#.utf8)
    var random = CounterGenerator()
    var accepted = 0
    for _ in 0..<200_000 {
      var json = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<json.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: json[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: json[place] = interesting.randomElement(using: &random) ?? 0
        case 2: json.insert(interesting.randomElement(using: &random) ?? 0, at: place)
        case 3: json.remove(at: place)
        default: json.swapAt(place, Int.random(in: 0..<json.count, using: &random))
        }
      }
      guard let header = try? SafetensorsHeader(json: json, dataBytes: 9, path: "f") else { continue }
      accepted += 1
      let bytes = header.tensors.values.reduce(0) { $0 + $1.bytes.count }
      if bytes != 9 || header.tensors.values.contains(where: { $0.shapeBytes != $0.bytes.count }) {
        Issue.record("accepted \(String(decoding: json, as: UTF8.self))")
      }
    }
    // Names and strings may change without harm; if all were refused, the mutations would test nothing.
    #expect(accepted > 1000)
  }

  @Test("2,000 mutations of a file with its length are opened and read whole, or refused")
  func mutatedFiles() throws {
    let folder = try TemporaryFolder()
    let whole = fileBytes(Self.header, data: 9)
    var random = CounterGenerator()
    for _ in 0..<2_000 {
      var bytes = whole
      bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      guard let file = try? SafetensorsFile(contentsOf: folder.write(bytes, as: "f")) else { continue }
      for name in file.names where try file.type(of: name) == .float32 { #expect(try file.floats(name).count == 2) }
    }
  }
}

/// Random numbers that are the same in every run (SplitMix64).
private struct CounterGenerator: RandomNumberGenerator {
  private var state: UInt64 = 1

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
