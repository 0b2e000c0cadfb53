import Foundation
import TestSupport
import Testing

@testable import Reports

/// The bytes; that TensorBoard reads them is what launch/test-tensorboard checks.
@Suite struct EventFileTests {
  @Test("checksums are those of RFC 3720's examples")
  func checksums() {
    #expect(EventFile.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(EventFile.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(EventFile.checksum([UInt8](repeating: 255, count: 32)) == 0x62A8_AB43)
    #expect(EventFile.checksum(Array(0..<32)) == 0x46DD_794E)
  }

  @Test("fields have the bytes of the encoding's documentation")
  func fields() {
    var message = ProtocolMessage()
    message.append(field: 1, 150)
    #expect(message.bytes == [0x08, 0x96, 0x01])
    message = ProtocolMessage()
    message.append(field: 2, Array("testing".utf8))
    #expect(message.bytes == [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67])
    message = ProtocolMessage()
    message.append(field: 1, -2)
    #expect(message.bytes == [0x08, 0xFE] + [UInt8](repeating: 0xFF, count: 8) + [0x01])
    message = ProtocolMessage()
    message.append(field: 1, 1.0)
    message.append(field: 2, Float(1))
    #expect(message.bytes == [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x15, 0, 0, 0x80, 0x3F])
  }

  @Test("a file begins with its version, and grows by whole records")
  func growing() throws {
    let folder = try TemporaryFolder()
    let file = try EventFile(folder.file("events.out.tfevents.1"), time: 1, firstStep: nil)
    let start = try folder.bytes("events.out.tfevents.1")
    #expect(start.prefix(8) == [24, 0, 0, 0, 0, 0, 0, 0] && start.count == 12 + 24 + 4)
    #expect(String(decoding: start[23..<36], as: UTF8.self) == "brain.Event:2")
    try file.append([("a", .scalar(0.5))], step: 300, time: 2)
    let grown = try folder.bytes("events.out.tfevents.1")
    #expect(grown.starts(with: start))
    let event: [UInt8] =
      [0x09, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x10, 0xAC, 0x02]
      + [0x2A, 10, 0x0A, 8, 0x0A, 1, UInt8(ascii: "a"), 0x15, 0, 0, 0, 0x3F]
    #expect(Array(grown.dropFirst(start.count)) == EventFile.record(event))
  }
}
