#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension NoiseSchedule {
  /// J of one image, in bits/pixel: C·(T·mean KL + entropy terms)/ln 2 (MODEL.md, "Objective").
  ///
  /// - Parameters:
  ///   - divergence: KL summed over the image's C·H·W elements, in nats, at one drawn t.
  ///   - pixels: H·W.
  public func objective(divergence: Double, colors: Int, pixels: Int) -> Double {
    let mean = divergence / Double(colors * pixels)
    return Double(colors) * (Double(trajectoryLength) * mean + entropyTerms) / log(2)
  }

  /// J of one image from all its terms, in bits/pixel: C·(Σ_t KL_t + entropy terms)/ln 2.
  ///
  /// - Parameter totalDivergence: KL summed over the elements and over t = 1 … T-1, in nats.
  public func objective(totalDivergence: Double, colors: Int, pixels: Int) -> Double {
    Double(colors) * (totalDivergence / Double(colors * pixels) + entropyTerms) / log(2)
  }

  /// L_null: the log-likelihood of standardized data under N(0, I), in bits/pixel; -C·h(1)/ln 2.
  public static func nullLikelihood(colors: Int) -> Double { -Double(colors) * entropy(ofLogVariance: 0) / log(2) }

  /// ∂J/∂KL of one element, for J averaged over `images` draws: T/(images·H·W·ln 2).
  public func objectiveWeight(images: Int, pixels: Int) -> Double {
    Double(trajectoryLength) / (Double(images * pixels) * log(2))
  }
}
