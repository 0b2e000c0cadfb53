import Foundation

/// The diffusion process of MODEL.md, formula by formula in double precision.
///
/// What the library's arrangements of the same formulas are tested against. Nothing is rearranged for speed or against
/// cancellation: double precision has digits to spare. Images are [C][H][W], times 0-based.
public struct ReferenceDiffusion {
  /// T.
  public let trajectoryLength: Int
  /// y_t = B_{:,t} of every t, [T][nb].
  public let temporalWeights: [[Double]]
  /// β_t.
  public let beta: [Double]
  /// ᾱ_t = Π_{s≤t} (1 - β_s).
  public let cumulativeAlpha: [Double]

  /// Follows MODEL.md, "Noise schedule".
  ///
  /// - Parameters:
  ///   - firstStepBeta: `step1_beta`.
  ///   - coefficients: a_j of a perturbed schedule; nil for none.
  public init(
    trajectoryLength: Int, temporalBasisCount: Int, firstStepBeta: Double, coefficients: [Double]? = nil
  ) {
    func linspace(_ first: Double, _ last: Double, _ count: Int) -> [Double] {
      (0..<count).map { first + (last - first) * Double($0) / Double(count - 1) }
    }
    let centres = linspace(-1, 1, temporalBasisCount)
    let width = (centres[1] - centres[0]) / 2
    let temporalWeights = linspace(-1, 1, trajectoryLength).map { position in
      let bumps = centres.map { exp(-pow(position - $0, 2) / (2 * width * width)) }
      let sum = bumps.reduce(0, +)
      return bumps.map { $0 / sum }
    }
    let rates = linspace(Double(trajectoryLength), 2, trajectoryLength).map { 1 / $0 }
    let a = coefficients ?? Array(repeating: 0, count: temporalBasisCount)
    let beta = (0..<trajectoryLength).map { t in
      let bound = 1e-6 + (t == 0 ? firstStepBeta : 0)
      let perturbation = zip(a, temporalWeights[t]).reduce(0) { $0 + $1.0 * $1.1 }
      return bound + Self.sigmoid(perturbation + Self.logit(rates[t])) * (1 - bound - 1e-5)
    }
    self.trajectoryLength = trajectoryLength
    self.temporalWeights = temporalWeights
    self.beta = beta
    cumulativeAlpha = beta.indices.map { t in beta[...t].reduce(1) { $0 * (1 - $1) } }
  }

  private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  private static func logit(_ p: Double) -> Double { log(p / (1 - p)) }

  // MARK: - Forward process

  /// x_t = √ᾱ_t·x_0 + √(1-ᾱ_t)·ε.
  public func noisy(clean: [Double], noise: [Double], time t: Int) -> [Double] {
    zip(clean, noise).map { cumulativeAlpha[t].squareRoot() * $0 + (1 - cumulativeAlpha[t]).squareRoot() * $1 }
  }

  /// q(x_{t-1} | x_t, x_0) = N(μ_q, σ_q²): what x_0 and x_t weigh in μ_q, and σ_q.
  public func posterior(at t: Int) -> (cleanWeight: Double, noisyWeight: Double, deviation: Double) {
    let alpha = 1 - beta[t]
    let v1 = 1 - cumulativeAlpha[t] / alpha
    let v2 = beta[t] / alpha
    let precision = 1 / v1 + 1 / v2
    return (
      (cumulativeAlpha[t] / alpha).squareRoot() / v1 / precision, 1 / (alpha.squareRoot() * v2) / precision,
      (1 / precision).squareRoot()
    )
  }

  /// μ_q of every element.
  public func posteriorMean(clean: [Double], noisy: [Double], time: Int) -> [Double] {
    let (cleanWeight, noisyWeight, _) = posterior(at: time)
    return zip(clean, noisy).map { cleanWeight * $0 + noisyWeight * $1 }
  }

  // MARK: - Reverse process

  /// μ_θ = √(1-β_t)·x_t + √β_t·m.
  public func mean(noisy x: Double, readout m: Double, time t: Int) -> Double {
    (1 - beta[t]).squareRoot() * x + beta[t].squareRoot() * m
  }

  /// σ_θ² = σ(g/√T + logit β_t).
  public func variance(readout g: Double, time t: Int) -> Double {
    Self.sigmoid(g / Double(trajectoryLength).squareRoot() + Self.logit(beta[t]))
  }

  // MARK: - Objective

  /// KL of one element's posterior N(μ_q, σ_q²) from the reverse step N(μ_θ, σ_θ²), in nats.
  public static func divergence(
    posterior: (mean: Double, deviation: Double), mean: Double, variance: Double
  ) -> Double {
    let distance = posterior.mean - mean
    return 0.5 * log(variance) - log(posterior.deviation)
      + (posterior.deviation * posterior.deviation + distance * distance) / (2 * variance) - 0.5
  }

  /// ∂KL/∂m and ∂KL/∂g of one element: the chain rule through `mean` and `variance`.
  public func divergenceGradient(
    posterior: (mean: Double, deviation: Double), mean: Double, variance: Double, time t: Int
  ) -> (m: Double, g: Double) {
    let distance = mean - posterior.mean
    let byMean = distance / variance
    let byLogVariance = 0.5 - (posterior.deviation * posterior.deviation + distance * distance) / (2 * variance)
    // d ln σ(z)/dz = 1 - σ(z).
    return (
      byMean * beta[t].squareRoot(), byLogVariance * (1 - variance) / Double(trajectoryLength).squareRoot()
    )
  }

  /// h(β_0) - h(1-ᾱ_{T-1}) + h(1) - h(1), in nats, with h(v) = ½(1 + ln 2π) + ½ ln v.
  public var entropyTerms: Double {
    func entropy(_ variance: Double) -> Double { 0.5 * (1 + log(2 * .pi)) + 0.5 * log(variance) }
    return entropy(beta[0]) - entropy(1 - cumulativeAlpha[trajectoryLength - 1])
  }

  /// J in bits/pixel, from the mean KL of an element at one drawn t.
  public func objective(meanDivergence: Double, colors: Int) -> Double {
    Double(colors) * (Double(trajectoryLength) * meanDivergence + entropyTerms) / log(2)
  }

  /// J in bits/pixel, from an element's KL summed over all t = 1 … T-1.
  public func exactObjective(summedDivergence: Double, colors: Int) -> Double {
    Double(colors) * (summedDivergence + entropyTerms) / log(2)
  }
}

/// A function r(x) that the reverse steps are multiplied by (MODEL.md, "Sampling").
public enum ReferenceFactor {
  /// r = 1.
  case none
  /// A Gaussian of standard deviation d around the noisy image y.
  case denoising(observed: [Double], deviation: Double)
  /// The known elements have their values; nil where they are painted.
  case inpainting(known: [Double?])

  /// The step's moments of one element, changed by r.
  func modify(mean: Double, deviation: Double, element: Int) -> (mean: Double, deviation: Double) {
    switch self {
    case .none: return (mean, deviation)
    case .denoising(let observed, let d):
      let variance = 1 / (pow(deviation, -2) + pow(d, -2))
      return (mean * variance * pow(deviation, -2) + observed[element] * variance * pow(d, -2), variance.squareRoot())
    case .inpainting(let known):
      guard let value = known[element] else { return (mean, deviation) }
      return (value, 0)
    }
  }
}
