public import Tensors

/// A file of events that TensorBoard shows: numbers and pictures, by step.
///
/// A sequence of records, each a protocol-buffer message `tensorflow.Event` between checksums. What the few fields that
/// are used here look like is in tensorboard/compat/proto/event.proto and summary.proto of TensorBoard's sources.
public struct EventFile: Sendable {
  /// What a tag has at a step.
  public enum Value: Sendable {
    /// A number, kept in single precision; what is not finite stays so.
    case scalar(Double)
    /// A PNG's bytes.
    case picture([UInt8])
  }

  private let file: GrowingFile

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - path: TensorBoard finds files whose names contain `tfevents`.
  ///   - time: Seconds since 1970.
  ///   - firstStep: The first step that this file may hold; what earlier files in its folder have of later ones is void.
  /// - Throws: `InputError` with the system's text.
  public init(_ path: String, time: Double, firstStep: Int?) throws(InputError) {
    file = GrowingFile(path)
    var version = ProtocolMessage()
    version.append(field: 1, time)
    version.append(field: 3, Array("brain.Event:2".utf8))
    var records = Self.record(version.bytes)
    if let firstStep {
      var session = ProtocolMessage()
      // SessionLog.START.
      session.append(field: 1, 1)
      records += Self.record(Self.event(time: time, step: firstStep, field: 7, session))
    }
    try file.append(records)
  }

  /// Appends what some tags have at a step.
  ///
  /// - Throws: `InputError` with the system's text; the file is then as it was.
  public func append(_ values: [(tag: String, value: Value)], step: Int, time: Double) throws(InputError) {
    var summary = ProtocolMessage()
    for (tag, value) in values {
      var message = ProtocolMessage()
      message.append(field: 1, Array(tag.utf8))
      switch value {
      case .scalar(let number): message.append(field: 2, Float(number))
      case .picture(let png): message.append(field: 4, Self.picture(png).bytes)
      }
      summary.append(field: 1, message.bytes)
    }
    try file.append(Self.record(Self.event(time: time, step: step, field: 5, summary)))
  }

  private static func event(time: Double, step: Int, field: Int, _ content: ProtocolMessage) -> [UInt8] {
    var event = ProtocolMessage()
    event.append(field: 1, time)
    event.append(field: 2, step)
    event.append(field: field, content.bytes)
    return event.bytes
  }

  private static func picture(_ png: [UInt8]) -> ProtocolMessage {
    // A PNG begins with its signature, then the header's length and name, width and height.
    func number(at place: Int) -> Int {
      png.count >= place + 4 ? png[place..<place + 4].reduce(0) { $0 << 8 | Int($1) } : 0
    }
    var picture = ProtocolMessage()
    picture.append(field: 1, number(at: 20))
    picture.append(field: 2, number(at: 16))
    // Red, green and blue.
    picture.append(field: 3, 3)
    picture.append(field: 4, png)
    return picture
  }

  /// A record as TensorFlow's files have it: length, its checksum, the bytes, their checksum; little-endian.
  static func record(_ bytes: [UInt8]) -> [UInt8] {
    let length = littleEndian(UInt64(bytes.count))
    return length + littleEndian(maskedChecksum(length)) + bytes + littleEndian(maskedChecksum(bytes))
  }

  /// CRC-32C, turned and shifted so that a checksum of bytes that hold checksums is no weaker.
  static func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
    let checksum = checksum(bytes)
    return (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
  }

  /// CRC-32C: Castagnoli's polynomial, reflected.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~0) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { rest, _ in rest & 1 == 1 ? rest >> 1 ^ 0x82F6_3B78 : rest >> 1 }
  }
}

/// A protocol-buffer message as it is sent, field by field.
struct ProtocolMessage {
  private(set) var bytes: [UInt8] = []

  /// Seven bits a byte, the lowest first; all but the last have the eighth.
  private mutating func append(_ number: UInt64) {
    var rest = number
    while rest >= 128 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// A field's number and how its value is written: 0 as a number, 1 in eight bytes, 2 with its length, 5 in four bytes.
  private mutating func append(field: Int, form: Int) { append(UInt64(field << 3 | form)) }

  mutating func append(field: Int, _ number: Int) {
    append(field: field, form: 0)
    append(UInt64(bitPattern: Int64(number)))
  }

  mutating func append(field: Int, _ number: Double) {
    append(field: field, form: 1)
    bytes += littleEndian(number.bitPattern)
  }

  mutating func append(field: Int, _ number: Float) {
    append(field: field, form: 5)
    bytes += littleEndian(number.bitPattern)
  }

  /// A text, a message, or a picture.
  mutating func append(field: Int, _ content: [UInt8]) {
    append(field: field, form: 2)
    append(UInt64(content.count))
    bytes += content
  }
}

private func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
