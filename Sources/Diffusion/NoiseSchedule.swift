#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The noise schedule of the trajectory and everything that depends on t alone, in double precision.
///
/// MODEL.md, "Noise schedule" and "Forward process"; times are 0-based, t = 0 … T-1. The reverse of step 0 is fixed, so
/// posteriors exist for t ≥ 1 only.
public struct NoiseSchedule: Sendable {
  /// The temporal basis B ∈ R^{nb×T}: bumps whose values at every t add up to 1.
  public struct Basis: Sendable {
    /// nb.
    public let count: Int
    private let values: [Double]

    init(count: Int, trajectoryLength: Int) {
      self.count = count
      var values = [Double](repeating: 0, count: count * trajectoryLength)
      func linspace(_ index: Int, _ count: Int) -> Double { -1 + 2 * Double(index) / Double(count - 1) }
      let width = 1 / Double(count - 1)
      for t in 0..<trajectoryLength {
        var sum = 0.0
        for j in 0..<count {
          let distance = linspace(t, trajectoryLength) - linspace(j, count)
          values[t * count + j] = exp(-distance * distance / (2 * width * width))
          sum += values[t * count + j]
        }
        for j in 0..<count { values[t * count + j] /= sum }
      }
      self.values = values
    }

    /// B_{jt}.
    public subscript(bump: Int, time: Int) -> Double { values[time * count + bump] }
  }

  /// T.
  public let trajectoryLength: Int
  /// B.
  public let basis: Basis
  /// β_t.
  public let beta: [Double]
  /// ᾱ_t = Π_{s≤t} (1 - β_s).
  public let cumulativeAlpha: [Double]
  /// 1 - ᾱ_t, accumulated without the cancellation near t = 0.
  private let cumulativeNoise: [Double]

  /// nb.
  public var temporalBasisCount: Int { basis.count }

  /// Builds the schedule.
  ///
  /// - Parameters:
  ///   - firstStepBeta: `step1_beta`, what β_0's lower bound is raised by.
  ///   - coefficients: a_j of a perturbed (learned) schedule; nil for none.
  /// - Precondition: T ≥ 3 and nb ≥ 2, which `Architecture.validate()` checks.
  public init(
    trajectoryLength: Int, temporalBasisCount: Int, firstStepBeta: Double, coefficients: [Double]? = nil
  ) {
    precondition(trajectoryLength >= 3 && temporalBasisCount >= 2, "a trajectory has three steps or more")
    precondition(coefficients.map { $0.count == temporalBasisCount } ?? true, "one coefficient for each bump")
    self.trajectoryLength = trajectoryLength
    let basis = Basis(count: temporalBasisCount, trajectoryLength: trajectoryLength)
    self.basis = basis
    let length = Double(trajectoryLength)
    beta = (0..<trajectoryLength).map { t in
      let bound = 1e-6 + (t == 0 ? firstStepBeta : 0)
      let steps = length + (2 - length) * Double(t) / (length - 1)
      let rate = 1 / steps
      let perturbation = (coefficients ?? []).enumerated().reduce(0) { $0 + $1.element * basis[$1.offset, t] }
      return bound + sigmoid(perturbation + log(rate / (1 - rate))) * (1 - bound - 1e-5)
    }
    var alpha = 1.0
    var noise = 0.0
    var cumulativeAlpha: [Double] = []
    var cumulativeNoise: [Double] = []
    for value in beta {
      // 1 - ᾱ(1-β) = (1-ᾱ) + ᾱβ: a sum of positive terms.
      noise += alpha * value
      alpha *= 1 - value
      cumulativeAlpha.append(alpha)
      cumulativeNoise.append(noise)
    }
    self.cumulativeAlpha = cumulativeAlpha
    self.cumulativeNoise = cumulativeNoise
  }

  /// σ_q² of q(x_{t-1} | x_t, x_0) = β_t·(1 - ᾱ_{t-1})/(1 - ᾱ_t): MODEL.md's 1/λ, its two fractions brought together.
  public func posteriorVariance(at t: Int) -> Double { beta[t] * varianceRatio(at: t) }

  /// σ_q.
  public func posteriorDeviation(at t: Int) -> Double { posteriorVariance(at: t).squareRoot() }

  /// ρ = σ_q²/β_t.
  public func varianceRatio(at t: Int) -> Double { cumulativeNoise[t - 1] / cumulativeNoise[t] }

  /// ln ρ.
  public func logVarianceRatio(at t: Int) -> Double { log(varianceRatio(at: t)) }

  /// The weight of x_0 in μ_q: √ᾱ_{t-1}·β_t/(1 - ᾱ_t).
  public func posteriorWeightOfClean(at t: Int) -> Double {
    cumulativeAlpha[t - 1].squareRoot() * beta[t] / cumulativeNoise[t]
  }

  /// The weight of x_t in μ_q: √α_t·(1 - ᾱ_{t-1})/(1 - ᾱ_t).
  public func posteriorWeightOfNoisy(at t: Int) -> Double { (1 - beta[t]).squareRoot() * varianceRatio(at: t) }

  /// h(σ²) = ½·ln(2πe·σ²), the entropy of a Gaussian in nats, from ln σ².
  public static func entropy(ofLogVariance logVariance: Double) -> Double {
    0.5 * (1 + log(2 * Double.pi) + logVariance)
  }

  /// ln sigmoid(x + logit p): how the logarithm of σ_θ² comes from the readout.
  public static func logSigmoid(_ x: Double, offsetBy p: Double) -> Double {
    // sigmoid(x + logit p) = p/(p + (1 - p)·e^{-x}), without the cancellation near p = 1.
    log(p) - log(p + (1 - p) * exp(-x))
  }

  /// h(β_0) - h(1-ᾱ_{T-1}) + h(1) - h(1), in nats: the part of J that no parameter changes.
  public var entropyTerms: Double { 0.5 * (log(beta[0]) - log(cumulativeNoise[trajectoryLength - 1])) }

  /// The value that K - L_null cannot exceed, because the first step is fixed, in bits/pixel (MODEL.md, "Objective").
  public func ceiling(colors: Int) -> Double { -Double(colors) * entropyTerms / log(2) }
}

func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
