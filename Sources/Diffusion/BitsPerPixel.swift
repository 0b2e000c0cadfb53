#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension NoiseSchedule {
  /// J of one image, in bits/pixel: C·(T·mean KL + entropy terms)/ln 2 (model.md, "Objective").
  ///
  /// - Parameters:
  ///   - divergence: KL summed over the image's C·H·W elements, in nats, at one drawn t.
  ///   - pixels: H·W.
  public func objective(divergence: Double, colors: Int, pixels: Int) -> Double {
    let mean = divergence / Double(colors * pixels)
    return Double(colors) * (Double(trajectoryLength) * mean + entropyTerms) / log(2)
  }

  /// ∂J/∂KL of one element, for J averaged over `images` draws: T/(images·H·W·ln 2).
  public func objectiveWeight(images: Int, pixels: Int) -> Double {
    Double(trajectoryLength) / (Double(images * pixels) * log(2))
  }
}
