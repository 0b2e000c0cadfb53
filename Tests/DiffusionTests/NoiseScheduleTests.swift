import Diffusion
import TestSupport
import Testing

@Suite struct NoiseScheduleTests {
  @Test(
    "basis, β, ᾱ, posteriors and entropies equal the golden ones",
    arguments: ["schedule-T1000", "schedule-T40", "schedule-T50-coefficients"])
  func golden(_ name: String) throws {
    let file = try GoldenFile(name)
    let tolerance = try file.tolerance()
    let length = Int(try file.number("trajectory_length"))
    let bumps = Int(try file.number("n_temporal_basis"))
    let coefficients = file.names.contains("coefficients") ? try file.doubles("coefficients") : nil
    let schedule = NoiseSchedule(
      trajectoryLength: length, temporalBasisCount: bumps, firstStepBeta: try file.number("step1_beta"),
      coefficients: coefficients)
    let basis = (0..<bumps * length).map { schedule.basis[$0 / length, $0 % length] }
    let times = 1..<length
    let pairs: [(String, [Double])] = [
      ("basis", basis), ("beta", schedule.beta), ("alpha_cumulative", schedule.cumulativeAlpha),
      ("posterior_weight_x0", times.map(schedule.posteriorWeightOfClean)),
      ("posterior_weight_xt", times.map(schedule.posteriorWeightOfNoisy)),
      ("posterior_sigma", times.map(schedule.posteriorDeviation)), ("entropy_terms_nats", [schedule.entropyTerms]),
    ]
    for (tensor, values) in pairs {
      let error = relativeDistance(values, try file.doubles(tensor))
      #expect(error < tolerance, "\(tensor): \(error)")
    }
  }

  @Test("the fixed first step leaves the ceiling that the paper's defaults have", arguments: [(1, 4.48), (3, 13.45)])
  func ceiling(_ colors: Int, _ expected: Double) {
    let schedule = NoiseSchedule(trajectoryLength: 1000, temporalBasisCount: 10, firstStepBeta: 0.001)
    #expect(abs(schedule.ceiling(colors: colors) - expected) < 0.01)
  }

  @Test("J of a KL of zero is the ceiling, and its weight is its derivative")
  func objective() {
    let schedule = NoiseSchedule(trajectoryLength: 1000, temporalBasisCount: 10, firstStepBeta: 0.001)
    #expect(abs(schedule.objective(divergence: 0, colors: 3, pixels: 4) + schedule.ceiling(colors: 3)) < 1e-12)
    let slope =
      schedule.objective(divergence: 1, colors: 3, pixels: 4) - schedule.objective(divergence: 0, colors: 3, pixels: 4)
    #expect(abs(slope / 5 - schedule.objectiveWeight(images: 5, pixels: 4)) < 1e-9)
  }
}
