// Elementary functions on vectors, to about 2 ulp: polynomials after Cephes (Moshier), branch-free, the same operations in
// the same order for every width.

/// 1.5 · 2²³: adding it rounds a float below 2²² to a whole number that then stands in its low bits.
private let roundingMagic: Float = 12_582_912

/// e^x; arguments are clipped to ±87, where floats end.
@inline(__always)
func exponential(_ x: Vector) -> Vector {
  let limit = Vector(repeating: 87)
  let clipped = x.replacing(with: limit, where: x .> limit).replacing(with: -limit, where: x .< -limit)
  let shifted = multiplyAdd(Vector(repeating: roundingMagic), clipped, Vector(repeating: 1.442_695_04))
  let whole = shifted - Vector(repeating: roundingMagic)
  var rest = multiplyAdd(clipped, whole, Vector(repeating: -0.693_359_375))
  rest = multiplyAdd(rest, whole, Vector(repeating: 2.121_944_4e-4))
  var sum = Vector(repeating: 1.987_569_15e-4)
  sum = multiplyAdd(Vector(repeating: 1.398_199_95e-3), sum, rest)
  sum = multiplyAdd(Vector(repeating: 8.333_451_9e-3), sum, rest)
  sum = multiplyAdd(Vector(repeating: 4.166_579_6e-2), sum, rest)
  sum = multiplyAdd(Vector(repeating: 1.666_666_55e-1), sum, rest)
  sum = multiplyAdd(Vector(repeating: 0.5), sum, rest)
  sum = multiplyAdd(rest, sum * rest, rest) + Vector(repeating: 1)
  let power = (unsafeBitCast(shifted, to: IntegerVector.self) &<< 23) &+ IntegerVector(repeating: 0x3F80_0000)
  return sum * unsafeBitCast(power, to: Vector.self)
}

/// ln x for positive, normal x.
@inline(__always)
func logarithm(_ x: Vector) -> Vector {
  // x = mantissa · 2^exponent with the mantissa in [√½, √2).
  let bits = unsafeBitCast(x, to: IntegerVector.self) &- IntegerVector(repeating: 0x3F35_04F3)
  let exponentBits = bits &>> 23
  let mantissaBits = (bits & IntegerVector(repeating: 0x007F_FFFF)) &+ IntegerVector(repeating: 0x3F35_04F3)
  // The exponent is a 9-bit number in two's complement here; adding 2⁸ makes it positive for the conversion.
  let positive = (exponentBits &+ IntegerVector(repeating: 256)) & IntegerVector(repeating: 0x1FF)
  let exponent =
    unsafeBitCast(positive | IntegerVector(repeating: 0x4B00_0000), to: Vector.self)
    - Vector(repeating: 8_388_608 + 256)
  let f = unsafeBitCast(mantissaBits, to: Vector.self) - Vector(repeating: 1)
  let square = f * f
  var sum = Vector(repeating: 7.037_683_6e-2)
  sum = multiplyAdd(Vector(repeating: -1.151_461e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: 1.167_699_9e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: -1.242_014_1e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: 1.424_932_3e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: -1.666_805_8e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: 2.000_071_5e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: -2.499_999_4e-1), sum, f)
  sum = multiplyAdd(Vector(repeating: 3.333_333_1e-1), sum, f)
  sum = sum * f * square
  sum = multiplyAdd(sum, exponent, Vector(repeating: -2.121_944_4e-4))
  sum = multiplyAdd(sum, square, Vector(repeating: -0.5))
  return multiplyAdd(f + sum, exponent, Vector(repeating: 0.693_359_375))
}

/// cos 2πu and sin 2πu for u in [0, 1).
@inline(__always)
func cosineAndSine(ofTurns u: Vector) -> (cosine: Vector, sine: Vector) {
  let shifted = multiplyAdd(Vector(repeating: roundingMagic), u, Vector(repeating: 4))
  let quadrant = unsafeBitCast(shifted, to: IntegerVector.self)
  let rest = multiplyAdd(-(shifted - Vector(repeating: roundingMagic)), u, Vector(repeating: 4))
  let x = rest * Vector(repeating: 1.570_796_3)
  let square = x * x
  var sine = Vector(repeating: -1.951_529_6e-4)
  sine = multiplyAdd(Vector(repeating: 8.332_160_9e-3), sine, square)
  sine = multiplyAdd(Vector(repeating: -1.666_665_5e-1), sine, square)
  sine = multiplyAdd(x, sine * square, x)
  var cosine = Vector(repeating: 2.443_315_7e-5)
  cosine = multiplyAdd(Vector(repeating: -1.388_731_6e-3), cosine, square)
  cosine = multiplyAdd(Vector(repeating: 4.166_664_6e-2), cosine, square)
  cosine = multiplyAdd(multiplyAdd(Vector(repeating: 1), square, Vector(repeating: -0.5)), cosine * square, square)
  let isOdd = (quadrant & IntegerVector(repeating: 1)) .!= IntegerVector()
  let absoluteCosine = cosine.replacing(with: sine, where: isOdd)
  let absoluteSine = sine.replacing(with: cosine, where: isOdd)
  // Quadrants 1 and 2 have a negative cosine, 2 and 3 a negative sine.
  let cosineSign = ((quadrant &+ IntegerVector(repeating: 1)) & IntegerVector(repeating: 2)) &<< 30
  let sineSign = (quadrant & IntegerVector(repeating: 2)) &<< 30
  return (
    unsafeBitCast(unsafeBitCast(absoluteCosine, to: IntegerVector.self) ^ cosineSign, to: Vector.self),
    unsafeBitCast(unsafeBitCast(absoluteSine, to: IntegerVector.self) ^ sineSign, to: Vector.self)
  )
}
