/// What depends on t alone, one value a lane: row `rawValue` of a table [LaneCoefficient][16].
///
/// With m and g the temporal readouts, δ = g/√T and ρ = σ_q²/β, the objective's terms are
///
///     q  = β/σ_θ² = β + (1 - β)·e^{-δ}
///     r  = (μ_q - √(1-β)·x_t)/√β = √(β/α)·(x_t - ε/√(1-ᾱ))        (the readout that would hit the posterior's mean)
///     KL = ½·(δ - ln ρ - ln(1 + β·(e^δ - 1))) + ½·(ρ + (r - m)²)·q - ½
///
/// They equal MODEL.md's formulas, but σ_θ - σ_q and μ_θ - μ_q need not be taken: σ_θ and σ_q are both close to √β, μ_θ and μ_q to x_t.
public enum LaneCoefficient: Int, CaseIterable {
  /// √ᾱ_t, the weight of x_0 in x_t.
  case signal
  /// √(1 - ᾱ_t), the weight of ε in x_t.
  case noise
  /// √(β/α).
  case targetScale
  /// 1/√(1 - ᾱ_t).
  case targetNoise
  /// β_t.
  case beta
  /// ρ = σ_q²/β_t.
  case varianceRatio
  /// ln ρ.
  case logVarianceRatio
  /// √(1 - β_t).
  case sqrtAlpha
  /// √β_t.
  case sqrtBeta
  /// ∂objective/∂KL of one element of this lane's image: 0 for a lane without an image.
  case gradientWeight
}
