internal import CZlib

/// A short name for bytes, by which ranks tell whether they have the same.
///
/// CRC-32 and Adler-32, one after the other: enough to notice what differs by accident, no protection against bytes that
/// were made to collide. About 0.1 s for 150 MB.
public struct Digest: Sendable {
  // Of no bytes.
  private var cyclic: UInt = 0
  private var additive: UInt = 1

  /// The digest of no bytes.
  public init() {}

  /// Takes in the next bytes.
  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    // Without bytes zlib would begin anew.
    guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    cyclic = crc32_z(cyclic, start, bytes.count)
    additive = adler32_z(additive, start, bytes.count)
  }

  /// 64 bits that depend on every byte.
  public var value: UInt64 { UInt64(cyclic) << 32 | UInt64(additive) }

  /// The same as 16 hexadecimal digits.
  public var hexadecimal: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The digits of bytes that are there all at once.
  public static func hexadecimal(of bytes: UnsafeRawBufferPointer) -> String {
    var digest = Digest()
    digest.add(bytes)
    return digest.hexadecimal
  }
}
