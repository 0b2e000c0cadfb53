#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension CounterRandom {
  /// The number in (0, 1) that a random word stands for.
  static func uniform(_ word: UInt32) -> Double { (Double(word >> 9) + 0.5) * 0x1p-23 }

  /// √(-2 ln u₁)·(cos 2πu₂, sin 2πu₂) of two random words.
  static func boxMuller(_ first: UInt32, _ second: UInt32) -> SIMD2<Double> {
    let radius = (-2 * log(uniform(first))).squareRoot()
    let angle = 2 * Double.pi * uniform(second)
    return SIMD2(radius * cos(angle), radius * sin(angle))
  }
}
