/// In which format gradients and updates travel between ranks.
public enum WirePrecision: String, Sendable, CaseIterable {
  /// As they are computed: nothing is lost.
  case float32
  /// The upper half of a float32: its range, 8 bits of mantissa.
  case bfloat16
  /// IEEE 754's half: 11 bits of mantissa, scaled into its range by a power of two.
  case float16

  /// Bytes of a number on the wire.
  public var byteCount: Int { self == .float32 ? 4 : 2 }
}

/// Conversions between float32 and the two 16-bit formats, rounding to the nearest, ties to even.
///
/// Plain loops over integers, which the compiler turns into vectors on every CPU: conversions to IEEE's half are a library
/// call for each number where the instruction set is x86-64's first. NaN stays NaN and infinity infinity, so that a
/// gradient that is not finite is still seen to be so.
enum HalfConversion {
  @inline(__always)
  static func bfloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = bits &+ 0x7FFF &+ (bits >> 16 & 1)
    let isNaN = bits & 0x7FFF_FFFF > 0x7F80_0000
    return UInt16(truncatingIfNeeded: (isNaN ? bits | 0x40_0000 : rounded) >> 16)
  }

  @inline(__always)
  static func value(bfloat16 word: UInt16) -> Float { Float(bitPattern: UInt32(word) << 16) }

  @inline(__always)
  static func float16(_ value: Float) -> UInt16 {
    let sign = value.bitPattern & 0x8000_0000
    let magnitude = value.bitPattern ^ sign
    // The exponent's bias goes from 127 to 15; the mantissa is rounded at bit 13.
    let normal = (magnitude &+ 0xC800_0FFF &+ (magnitude >> 13 & 1)) >> 13
    // Added to ½, a number below the smallest normal half has its bits at the end of the sum's mantissa, rounded.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3F00_0000
    let special: UInt32 = magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00
    let finite = magnitude < 0x3880_0000 ? subnormal : normal
    return UInt16(truncatingIfNeeded: (magnitude >= 0x4780_0000 ? special : finite) | sign >> 16)
  }

  @inline(__always)
  static func value(float16 word: UInt16) -> Float {
    let shifted = UInt32(word & 0x7FFF) << 13
    let exponent = shifted & 0x0F80_0000
    let normal = shifted &+ 0x3800_0000
    let subnormal = (Float(bitPattern: normal &+ 0x80_0000) - Float(bitPattern: 0x3880_0000)).bitPattern
    let finite = exponent == 0 ? subnormal : normal
    let magnitude = exponent == 0x0F80_0000 ? normal &+ 0x3800_0000 : finite
    return Float(bitPattern: magnitude | UInt32(word & 0x8000) << 16)
  }
}
