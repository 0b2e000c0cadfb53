internal import Diffusion
internal import Figures
internal import Foundation

/// Where along the trajectory the bits are lost: the bound's terms by time.
struct StepStatistics {
  private let schedule: NoiseSchedule
  private let colors: Int
  private let pixels: Int
  /// By t: images, ΣKL, ΣKL², and Σ model entropy, in bits/pixel.
  private var counts: [Int]
  private var sums: [Double]
  private var squares: [Double]
  private var entropies: [Double]

  init(schedule: NoiseSchedule, colors: Int, pixels: Int) {
    self.schedule = schedule
    self.colors = colors
    self.pixels = pixels
    counts = Array(repeating: 0, count: schedule.trajectoryLength)
    sums = Array(repeating: 0, count: schedule.trajectoryLength)
    squares = sums
    entropies = sums
  }

  mutating func add(_ terms: BoundTerms.Terms, time: (Int) -> Int) {
    let unit = 1 / (Double(pixels) * log(2))
    for (image, divergence) in terms.divergence.enumerated() {
      let t = time(image)
      counts[t] += 1
      sums[t] += divergence * unit
      squares[t] += divergence * unit * divergence * unit
      if !terms.modelEntropy.isEmpty { entropies[t] += terms.modelEntropy[image] * unit }
    }
  }

  private struct Row {
    var time: Int
    var images: Int
    var divergence: Double
    var standardError: Double
    var modelEntropy: Double
    var posteriorEntropy: Double
  }

  private var rows: [Row] {
    (1..<schedule.trajectoryLength).filter { counts[$0] > 0 }.map { t in
      let count = Double(counts[t])
      let mean = sums[t] / count
      let variance = counts[t] > 1 ? max(0, squares[t] / count - mean * mean) / (count - 1) : .nan
      return Row(
        time: t, images: counts[t], divergence: mean, standardError: variance.squareRoot(),
        modelEntropy: entropies[t] / count,
        posteriorEntropy: Double(colors) * NoiseSchedule.entropy(ofLogVariance: log(schedule.posteriorVariance(at: t)))
          / log(2))
    }
  }

  /// A line for each time that was drawn; everything in bits/pixel.
  var csv: String {
    rows.reduce("t,images,kl,kl_standard_error,model_entropy,posterior_entropy\n") {
      $0 + "\($1.time),\($1.images),\($1.divergence),\($1.standardError),\($1.modelEntropy),\($1.posteriorEntropy)\n"
    }
  }

  func chart(title: String) -> LineChart {
    let rows = rows
    return LineChart(
      title: title, xLabel: "t",
      panels: [
        .init(
          "KL of a step (bits/pixel)", series: [.init("", points: rows.map { (Double($0.time), $0.divergence) })],
          isLogarithmic: true),
        .init(
          "entropy (bits/pixel)",
          series: [
            .init("model p(x_t-1 | x_t)", points: rows.map { (Double($0.time), $0.modelEntropy) }),
            .init("posterior q(x_t-1 | x_t, x_0)", points: rows.map { (Double($0.time), $0.posteriorEntropy) }),
          ], showsOutliers: true),
      ])
  }
}
