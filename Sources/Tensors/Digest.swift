internal import CZlib

/// A short name for bytes, by which ranks tell whether they have the same.
public enum Digest {
  /// 16 hexadecimal digits that depend on every byte.
  ///
  /// CRC-32 and Adler-32, one after the other: enough to notice what differs by accident, no protection against bytes that
  /// were made to collide. About 0.1 s for 150 MB.
  ///
  /// - Parameters:
  ///   - bytes: What is told apart.
  ///   - prefix: Taken as if it stood before them.
  public static func hexadecimal(of bytes: UnsafeRawBufferPointer, after prefix: [UInt8] = []) -> String {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    // Without bytes zlib would return its initial value, not the prefix's.
    var cyclic = crc32_z(0, prefix, prefix.count)
    var additive = adler32_z(1, prefix, prefix.count)
    if let start {
      cyclic = crc32_z(cyclic, start, bytes.count)
      additive = adler32_z(additive, start, bytes.count)
    }
    let digits = String(UInt64(cyclic) << 32 | UInt64(additive), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
