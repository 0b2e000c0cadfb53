import Diffusion
import Foundation
import TestSupport
import Testing

/// The definition that everything else is tested against, tested itself; and the library's schedule against it where no
/// golden file goes.
@Suite struct ReferenceDiffusionTests {
  private let diffusion = ReferenceDiffusion(trajectoryLength: 50, temporalBasisCount: 4, firstStepBeta: 0.001)

  @Test(
    "basis, β, ᾱ, posteriors and entropies equal the golden ones",
    arguments: ["schedule-T1000", "schedule-T40", "schedule-T50-coefficients"])
  func golden(_ name: String) throws {
    let file = try GoldenFile(name)
    let length = Int(try file.number("trajectory_length"))
    let bumps = Int(try file.number("n_temporal_basis"))
    let diffusion = ReferenceDiffusion(
      trajectoryLength: length, temporalBasisCount: bumps, firstStepBeta: try file.number("step1_beta"),
      coefficients: file.names.contains("coefficients") ? try file.doubles("coefficients") : nil)
    let basis = (0..<bumps * length).map { diffusion.temporalWeights[$0 % length][$0 / length] }
    let posteriors = (1..<length).map(diffusion.posterior)
    let pairs: [(String, [Double])] = [
      ("basis", basis), ("beta", diffusion.beta), ("alpha_cumulative", diffusion.cumulativeAlpha),
      ("posterior_weight_x0", posteriors.map(\.cleanWeight)), ("posterior_weight_xt", posteriors.map(\.noisyWeight)),
      ("posterior_sigma", posteriors.map(\.deviation)), ("entropy_terms_nats", [diffusion.entropyTerms]),
    ]
    for (tensor, values) in pairs {
      let error = relativeDistance(values, try file.doubles(tensor))
      #expect(error < (try file.tolerance()), "\(tensor): \(error)")
    }
  }

  @Test(
    "the library's schedule is the same for other lengths, bumps and coefficients",
    arguments: [(3, 2, 0.0), (4, 3, 0.4), (17, 2, 0.001), (64, 13, 0.01), (2500, 10, 0.0005)])
  func schedules(_ length: Int, _ bumps: Int, _ firstStepBeta: Double) {
    for coefficients in [nil, (0..<bumps).map { sin(3 * Double($0) + 1) }] {
      let schedule = NoiseSchedule(
        trajectoryLength: length, temporalBasisCount: bumps, firstStepBeta: firstStepBeta, coefficients: coefficients)
      let expected = ReferenceDiffusion(
        trajectoryLength: length, temporalBasisCount: bumps, firstStepBeta: firstStepBeta, coefficients: coefficients)
      let times = 1..<length
      let posteriors = times.map(expected.posterior)
      let basis = (0..<length).flatMap { t in (0..<bumps).map { schedule.basis[$0, t] } }
      #expect(relativeDistance(basis, expected.temporalWeights.flatMap { $0 }) < 1e-12)
      #expect(relativeDistance(schedule.beta, expected.beta) < 1e-12)
      #expect(relativeDistance(schedule.cumulativeAlpha, expected.cumulativeAlpha) < 1e-12)
      // One by one: the norm of all would hide the first times' small deviations.
      for (t, posterior) in zip(times, posteriors) {
        #expect(abs(schedule.posteriorDeviation(at: t) / posterior.deviation - 1) < 1e-9)
        #expect(abs(schedule.posteriorWeightOfClean(at: t) / posterior.cleanWeight - 1) < 1e-9)
        #expect(abs(schedule.posteriorWeightOfNoisy(at: t) / posterior.noisyWeight - 1) < 1e-9)
      }
      #expect(abs(schedule.entropyTerms - expected.entropyTerms) < 1e-12)
      #expect(
        abs(
          schedule.objective(divergence: 0.3 * 12, colors: 3, pixels: 4)
            - expected.objective(meanDivergence: 0.3, colors: 3)) < 1e-9)
    }
  }

  @Test("KL is zero where the reverse step is the posterior, and positive everywhere else")
  func divergence() {
    for deviation in [1e-3, 0.1, 1, 7] {
      let posterior = (mean: 0.4, deviation: deviation)
      let variance = deviation * deviation
      #expect(abs(ReferenceDiffusion.divergence(posterior: posterior, mean: 0.4, variance: variance)) < 1e-12)
      for (shift, factor) in [(0.1, 1.0), (-0.1, 1.0), (0, 1.1), (0, 0.9), (0.5, 3.0), (-0.5, 0.2)] {
        let mean = 0.4 + shift * deviation
        #expect(ReferenceDiffusion.divergence(posterior: posterior, mean: mean, variance: factor * variance) > 1e-3)
      }
    }
  }

  @Test("KL's derivatives by the readouts equal finite differences", arguments: [1, 2, 25, 49])
  func divergenceGradient(_ time: Int) {
    let noisy = -0.7
    let posterior = (mean: -0.6, deviation: diffusion.posterior(at: time).deviation)
    func moments(_ m: Double, _ g: Double) -> (mean: Double, variance: Double) {
      (diffusion.mean(noisy: noisy, readout: m, time: time), diffusion.variance(readout: g, time: time))
    }
    func divergence(_ m: Double, _ g: Double) -> Double {
      let (mean, variance) = moments(m, g)
      return ReferenceDiffusion.divergence(posterior: posterior, mean: mean, variance: variance)
    }
    for (m, g) in [(0.3, 0.2), (-1.1, 4), (0, -9)] {
      let (mean, variance) = moments(m, g)
      let gradient = diffusion.divergenceGradient(posterior: posterior, mean: mean, variance: variance, time: time)
      let step = 1e-5
      let byMean = (divergence(m + step, g) - divergence(m - step, g)) / (2 * step)
      let byLogit = (divergence(m, g + step) - divergence(m, g - step)) / (2 * step)
      #expect(abs(gradient.m - byMean) < 1e-7 * (1 + abs(byMean)))
      #expect(abs(gradient.g - byLogit) < 1e-7 * (1 + abs(byLogit)))
    }
  }
}
