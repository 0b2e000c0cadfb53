import Diffusion
import Tensors
import Testing

@testable import Training

@Suite struct StratifiedMeanTests {
  /// J of an image at t as models have it: nearly all of it at the first times, images that differ, noise in proportion.
  private struct Population {
    let schedule = NoiseSchedule(trajectoryLength: 1000, temporalBasisCount: 10, firstStepBeta: 0.001)
    let imageDeviation: Double
    var mean: Double { (1..<1000).reduce(0) { $0 + Self.level($1) } / 999 }

    static func level(_ time: Int) -> Double { 400 / Double(time) }

    func mean(of count: Int, rounds: Int, seed: UInt64) -> StratifiedMean {
      var result = StratifiedMean(imageCount: count)
      let random = CounterRandom(seed: seed, purpose: .evaluationDiffusion, step: 0)
      func normal(_ image: Int, _ pair: Int) -> Double { random.normals(index: image, pair: pair)[0] }
      for round in 0..<rounds {
        let times = Evaluation.times(count: count, schedule: schedule, seed: seed, round: round)
        result.add(
          (0..<count).map { image in
            Self.level(Int(times[image])) * (1 + 0.3 * normal(image, round + 1)) + imageDeviation * normal(image, 0)
          }, times: times)
      }
      return result
    }
  }

  @Test(
    "the error is that of the mean: few and many images, the rounds that a bound takes and more",
    arguments: [(16, 64), (100, 40), (1000, 4), (4000, 1)])
  func calibrated(count: Int, rounds: Int) {
    let population = Population(imageDeviation: 0.5)
    let seeds = 60
    var squares = 0.0
    for seed in 1...UInt64(seeds) {
      let mean = population.mean(of: count, rounds: rounds, seed: seed)
      let z = (mean.mean - population.mean) / mean.standardError
      squares += z * z
    }
    let deviation = (squares / Double(seeds)).squareRoot()
    #expect(0.6 < deviation && deviation < 1.4, "deviation over standard error: \(deviation)")
  }

  @Test("of many rounds the images' own error is left")
  func images() {
    let mean = Population(imageDeviation: 2).mean(of: 100, rounds: 100, seed: 1)
    #expect(abs(mean.imagesError - 0.2) < 0.04)
    #expect(mean.standardError > mean.imagesError)
    // Images that are alike leave nothing to speak of.
    let alike = Population(imageDeviation: 0).mean(of: 100, rounds: 100, seed: 1)
    #expect(alike.imagesError < 0.3 * alike.standardError)
  }

  @Test("one image has a mean and no error; rounds for four values a time")
  func single() {
    var mean = StratifiedMean(imageCount: 1)
    mean.add([3], times: [5])
    mean.add([1], times: [7])
    #expect(mean.mean == 2 && mean.objectives == [2] && mean.standardError == .infinity)
    #expect(
      [1, 16, 100, 1000, 3995, 3996, 10_000].map { StratifiedMean.rounds(imageCount: $0, trajectoryLength: 1000) }
        == [64, 64, 40, 4, 2, 1, 1])
  }
}
