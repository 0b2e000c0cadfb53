/// Whether a file ends where its format says, not before.
///
/// Decoders fill the missing part of a picture with grey and say nothing; only the file's own structure tells.
enum PictureEnd {
  /// Whether a JPEG or PNG is cut short; false for whatever else it is.
  static func isMissing(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if bytes.starts(with: [0xFF, 0xD8]) { return !hasEndOfImage(bytes) }
    if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return !hasEndChunk(bytes) }
    return false
  }

  /// Walks through a JPEG's segments and scans to the marker EOI (ITU-T T.81, annex B).
  private static func hasEndOfImage(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var place = 2
    while place + 1 < bytes.count {
      // A scan's data hold FF only before 00 and restart markers; FF may also be repeated before a marker.
      guard bytes[place] == 0xFF else {
        place += 1
        continue
      }
      switch bytes[place + 1] {
      case 0xD9: return true
      case 0xFF: place += 1
      case 0x00, 0x01, 0xD0...0xD8: place += 2
      default:
        guard place + 3 < bytes.count else { return false }
        place += 2 + Int(bytes[place + 2]) << 8 + Int(bytes[place + 3])
      }
    }
    return false
  }

  /// Walks through a PNG's chunks to IEND (PNG specification, section 5.3).
  private static func hasEndChunk(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var place = 8
    while place + 12 <= bytes.count {
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)))
      let type = bytes[place + 4..<place + 8]
      place += 12 + length
      if type.elementsEqual("IEND".utf8) { return place <= bytes.count }
    }
    return false
  }
}
