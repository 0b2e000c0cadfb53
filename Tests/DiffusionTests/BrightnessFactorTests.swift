import Diffusion
import Foundation
import KernelInterface
import Tensors
import Testing

/// The example of docs/POSTERIORS.md, word for word.
struct BrightnessFactor: PosteriorFactor {
  var brightness: Float  // b, in units of the standardized data
  var tolerance: Float  // d

  func start(_ image: UnsafeMutableBufferPointer<Float>, group: Int) {}

  func modify(
    mean: UnsafeMutableBufferPointer<Float>, deviation: UnsafeMutableBufferPointer<Float>, group: Int
  ) {
    let count = Float(mean.count / laneCount)
    for lane in 0..<laneCount {
      let lanes = stride(from: lane, to: mean.count, by: laneCount)
      let average = lanes.reduce(0) { $0 + mean[$1] } / count
      let variance = lanes.reduce(0) { $0 + deviation[$1] * deviation[$1] } / (count * count)
      let gain = (brightness - average) / (variance + tolerance * tolerance)
      for index in lanes { mean[index] += deviation[index] * deviation[index] / count * gain }
    }
  }
}

/// A model of white noise: readouts of zero.
final class NoiseNetwork: ReadoutNetwork {
  func readouts(batch: DiffusedBatch, groups: Int, into readouts: FloatBuffer) { readouts.fill(0) }
}

@Suite struct BrightnessFactorTests {
  @Test("the example of docs/POSTERIORS.md is the one that is tested here, in at most 30 lines")
  func documentation() throws {
    let source = URL(fileURLWithPath: #filePath)
    let tree = source.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: tree.appendingPathComponent("docs/POSTERIORS.md"), encoding: .utf8)
    let block = try #require(page.split(separator: "```swift\n").last?.split(separator: "```").first)
    #expect(block.count { $0 == "\n" } <= 30)
    // The formatter has its own mind about the space before comments.
    let space = /\ +\/\//
    #expect(
      try String(contentsOf: source, encoding: .utf8).replacing(space, with: " //").contains(
        block.replacing(space, with: " //")))
  }

  @Test(
    "samples get the brightness that is asked for; without the factor they do not", arguments: [-0.5, 0, 2] as [Float])
  func brightness(_ wanted: Float) throws {
    let kernels = try #require(KernelChoice.available().last)
    let process = ForwardProcess(
      schedule: NoiseSchedule(trajectoryLength: 100, temporalBasisCount: 4, firstStepBeta: 0.001), scale: 1, shift: 0,
      elements: 64, seed: 3, kernels: kernels)
    let sampler = Sampler(
      forwardProcess: process, network: NoiseNetwork(), colors: 1, width: 8, capacity: 20, kernels: kernels)
    func averages(_ factor: BrightnessFactor?) -> [Float] {
      var averages: [Float] = []
      sampler.sample(0..<20, seed: 7, factor: factor, wants: { $0 == 0 }) { _, images in
        averages = (0..<20).map { images[$0 * 64..<($0 + 1) * 64].reduce(0, +) / 64 }
      }
      return averages
    }
    let mean = averages(BrightnessFactor(brightness: wanted, tolerance: 0.01)).reduce(0, +) / 20
    #expect(abs(mean - wanted) < 0.05)
    let free = averages(nil).reduce(0, +) / 20
    #expect(abs(free) < 0.1)
  }
}
