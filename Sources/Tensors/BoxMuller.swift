#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension CounterRandom {
  /// √(-2 ln u₁)·(cos 2πu₂, sin 2πu₂) of two random words, uᵢ = (wordᵢ + ½)/2³².
  static func boxMuller(_ first: UInt32, _ second: UInt32) -> SIMD2<Double> {
    let radius = (-2 * log((Double(first) + 0.5) * 0x1p-32)).squareRoot()
    let angle = 2 * Double.pi * (Double(second) + 0.5) * 0x1p-32
    return SIMD2(radius * cos(angle), radius * sin(angle))
  }
}
