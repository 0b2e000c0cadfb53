import Foundation
import KernelInterface
import Tensors
import Testing

/// The objective, its gradient and the reverse step against MODEL.md's formulas, in double precision.
@Suite struct DiffusionLanesTests {
  private static let length = 1000.0

  /// A table of coefficients for a β and ρ that differ from lane to lane.
  private func table() -> (FloatBuffer, beta: [Double], ratio: [Double]) {
    let table = FloatBuffer(count: LaneCoefficient.allCases.count * laneCount)
    let beta = (0..<laneCount).map { 0.001 * pow(1.4, Double($0)) }
    let ratio = (0..<laneCount).map { 0.5 + 0.5 * Double($0) / 16 }
    for lane in 0..<laneCount {
      func set(_ name: LaneCoefficient, _ value: Double) { table[name.rawValue * laneCount + lane] = Float(value) }
      set(.beta, beta[lane])
      set(.varianceRatio, ratio[lane])
      set(.logVarianceRatio, log(ratio[lane]))
      set(.sqrtAlpha, (1 - beta[lane]).squareRoot())
      set(.sqrtBeta, beta[lane].squareRoot())
      set(.gradientWeight, lane == 15 ? 0 : 2)
    }
    return (table, beta, ratio)
  }

  /// KL of one element by MODEL.md: σ_θ from the logit, means a distance √β·(r - m) apart.
  private func divergence(_ m: Double, _ g: Double, _ r: Double, beta: Double, ratio: Double) -> Double {
    let variance = 1 / (1 + exp(-(g / Self.length.squareRoot() + log(beta / (1 - beta)))))
    let posterior = ratio * beta
    let distance = beta * (r - m) * (r - m)
    return 0.5 * log(variance / posterior) + (posterior + distance) / (2 * variance) - 0.5
  }

  @Test("objective and gradients equal MODEL.md's", arguments: kernelNames)
  func objective(_ name: String) throws {
    let (coefficients, beta, ratio) = table()
    let columns = 9
    let mean = randomBuffer(columns * laneCount, seed: 1)
    let logit = randomBuffer(columns * laneCount, seed: 2)
    for index in 0..<logit.count { logit[index] *= 30 }
    let target = randomBuffer(columns * laneCount, seed: 3)
    let (m, g) = (mean.elements.map(Double.init), logit.elements.map(Double.init))
    let divergences = FloatBuffer(count: laneCount)
    try kernelSet(name).objective(
      mean: mean.pointer, logit: logit.pointer, target: target.pointer, columns: columns,
      inverseRootLength: Float(1 / Self.length.squareRoot()), coefficients: coefficients.pointer,
      divergence: divergences.pointer)
    var expected = [Double](repeating: 0, count: laneCount)
    for index in 0..<columns * laneCount {
      let lane = index % laneCount
      let r = Double(target[index])
      func kl(_ m: Double, _ g: Double) -> Double { divergence(m, g, r, beta: beta[lane], ratio: ratio[lane]) }
      expected[lane] += kl(m[index], g[index])
      let weight = lane == 15 ? 0.0 : 2
      let step = 1e-4
      let meanGradient = (kl(m[index] + step, g[index]) - kl(m[index] - step, g[index])) / (2 * step) * weight
      let logitGradient = (kl(m[index], g[index] + step) - kl(m[index], g[index] - step)) / (2 * step) * weight
      #expect(abs(Double(mean[index]) - meanGradient) < 1e-5 * (1 + abs(meanGradient)))
      #expect(abs(Double(logit[index]) - logitGradient) < 1e-5 * (1 + abs(logitGradient)))
    }
    #expect(relativeError(divergences, expected) < 1e-6)
  }

  @Test("the reverse step's moments equal MODEL.md's", arguments: kernelNames)
  func moments(_ name: String) throws {
    let (coefficients, beta, _) = table()
    let mean = randomBuffer(5 * laneCount, seed: 4)
    let logit = randomBuffer(5 * laneCount, seed: 5)
    let image = randomBuffer(5 * laneCount, seed: 6)
    var means: [Double] = []
    var deviations: [Double] = []
    for index in 0..<5 * laneCount {
      let b = beta[index % laneCount]
      means.append((1 - b).squareRoot() * Double(image[index]) + b.squareRoot() * Double(mean[index]))
      let z = Double(logit[index]) / Self.length.squareRoot() + log(b / (1 - b))
      deviations.append((1 / (1 + exp(-z))).squareRoot())
    }
    try kernelSet(name).reverseMoments(
      mean: mean.pointer, logit: logit.pointer, image: image.pointer, columns: 5,
      inverseRootLength: Float(1 / Self.length.squareRoot()), coefficients: coefficients.pointer)
    #expect(relativeError(mean, means) < 1e-6)
    #expect(relativeError(logit, deviations) < 1e-6)
  }

  @Test("doubling is the adjoint of halving", arguments: kernelNames)
  func resolutions(_ name: String) throws {
    let kernels = try kernelSet(name)
    let (channels, coarse) = (2, 3)
    let fine = randomBuffer(channels * 64 * laneCount, seed: 7)
    let small = randomBuffer(channels * 25 * laneCount, seed: 8)
    let halved = FloatBuffer(count: small.count)
    kernels.halve(fine.pointer, into: halved.pointer, channels: channels, coarseWidth: coarse, scale: 0.25)
    let doubled = FloatBuffer(count: fine.count)
    kernels.addDoubled(small.pointer, into: doubled.pointer, channels: channels, coarseWidth: coarse, scale: 0.25)
    func dot(_ a: FloatBuffer, _ b: FloatBuffer) -> Double {
      zip(a.elements, b.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    #expect(abs(dot(halved, small) - dot(fine, doubled)) < 1e-4)
    #expect(doubled.elements.contains { $0 != 0 })
  }

  @Test("a gradient that is not finite is found wherever it stands", arguments: kernelNames, [Float.nan, .infinity])
  func finiteness(_ name: String, _ value: Float) throws {
    let kernels = try kernelSet(name)
    let numbers = randomBuffer(37, seed: 9)
    #expect(kernels.isFinite(numbers.pointer, count: 37))
    for index in 0..<37 {
      let kept = numbers[index]
      numbers[index] = value
      #expect(!kernels.isFinite(numbers.pointer, count: 37))
      numbers[index] = kept
    }
  }
}
