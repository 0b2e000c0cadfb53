import Testing

@testable import Collectives

@Suite struct HalfConversionTests {
  @Test("all 65,536 halves have the values that the standard library gives them")
  func float16Values() {
    var differences = 0
    for word in UInt16.min...UInt16.max {
      let expected = Float(Float16(bitPattern: word))
      let value = HalfConversion.value(float16: word)
      differences += value.bitPattern == expected.bitPattern || value.isNaN && expected.isNaN ? 0 : 1
    }
    #expect(differences == 0)
  }

  @Test("rounding to a half is the standard library's: halves, all ties between them, and their neighbours")
  func float16Rounding() {
    var differences = 0
    for word in UInt16(0)..<0x7C00 {
      let value = Float(Float16(bitPattern: word))
      let next = word == 0x7BFF ? 65536 : Float(Float16(bitPattern: word + 1))
      let tie = (value + next) / 2
      for number in [value, tie, tie.nextDown, tie.nextUp] {
        for signed in [number, -number] {
          differences += HalfConversion.float16(signed) == Float16(signed).bitPattern ? 0 : 1
        }
      }
    }
    #expect(differences == 0)
    #expect(HalfConversion.float16(1e30) == Float16.infinity.bitPattern)
    #expect(HalfConversion.float16(-.infinity) == (-Float16.infinity).bitPattern)
    #expect(HalfConversion.value(float16: HalfConversion.float16(.nan)).isNaN)
  }

  @Test("bfloat16 is float32's upper half, rounded to the nearest, ties to even")
  func bfloat16() {
    for word in stride(from: UInt16(0), to: 0x7F80, by: 37) {
      let value = Float(bitPattern: UInt32(word) << 16)
      #expect(HalfConversion.value(bfloat16: word) == value)
      let tie = Float(bitPattern: UInt32(word) << 16 | 0x8000)
      #expect(HalfConversion.bfloat16(value) == word)
      #expect(HalfConversion.bfloat16(tie.nextDown) == word)
      #expect(HalfConversion.bfloat16(tie) == word + word % 2)
      #expect(HalfConversion.bfloat16(tie.nextUp) == word + 1)
      #expect(HalfConversion.bfloat16(-value) == word | 0x8000)
    }
    #expect(HalfConversion.value(bfloat16: HalfConversion.bfloat16(.nan)).isNaN)
    #expect(HalfConversion.value(bfloat16: HalfConversion.bfloat16(-.infinity)) == -.infinity)
  }
}
