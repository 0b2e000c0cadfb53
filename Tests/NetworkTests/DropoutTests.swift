import KernelInterface
import Tensors
import TestSupport
import Testing

@testable import Network

/// With its masks fixed, a network with dropout is a function like any other: its gradient must be its slope.
@Suite struct DropoutTests {
  @Test(
    "values are dropped at the rate, the others grow by 1/(1 - rate); masks are keyed by step, layer and image",
    arguments: [0.1, 0.5, 0.9], GoldenNetworkTests.kernelNames)
  func masks(_ rate: Double, _ kernels: String) throws {
    let architecture = Architecture(width: 12, colors: 1, channels: 7, layers: 2, dense: (2, 9, 2), upper: (2, 5))
    let elements = 1000
    let dropout = try #require(
      Dropout(
        rate: rate, seed: 5, architecture: architecture, kernels: try KernelChoice.kernels(requested: kernels)))
    /// What becomes of ones, image by image.
    func dropped(step: Int, site: Dropout.Site, images: [UInt32]) -> [[Float]] {
      let values = FloatBuffer(count: elements * laneCount)
      values.fill(1)
      dropout.begin(step: step)
      images.withUnsafeBufferPointer { images in
        guard let indices = images.baseAddress else { return }
        dropout.apply(values.pointer, elements: elements, site: site, indices: indices)
      }
      return (0..<laneCount).map { lane in (0..<elements).map { values[$0 * laneCount + lane] } }
    }
    let images = (0..<16).map { UInt32($0) }
    let first = dropped(step: 3, site: .convolution(1), images: images)
    let all = first.flatMap { $0 }
    let grown = Float(1 / (1 - rate))
    #expect(all.allSatisfy { $0 == 0 || abs($0 - grown) < 1e-5 * grown })
    // 16000 values: six standard deviations.
    let share = Double(all.count { $0 == 0 }) / Double(all.count)
    #expect(abs(share - rate) < 6 * (rate * (1 - rate) / Double(all.count)).squareRoot(), "\(share)")
    // An image's mask is its own, in any lane.
    let turned = dropped(step: 3, site: .convolution(1), images: images.reversed())
    #expect(turned == first.reversed())
    #expect(Set(first).count == laneCount)
    for other in [
      dropped(step: 4, site: .convolution(1), images: images), dropped(step: 3, site: .convolution(0), images: images),
      dropped(step: 3, site: .denseLower(1), images: images),
    ] {
      #expect(zip(other, first).allSatisfy { $0 != $1 })
    }
  }

  @Test("no place's masks come from the numbers of another purpose, or of another place")
  func streams() throws {
    let architecture = Architecture(width: 12, colors: 1, channels: 7, layers: 2, dense: (2, 9, 2), upper: (2, 5))
    let dropout = try #require(
      Dropout(rate: 0.5, seed: 5, architecture: architecture, kernels: try KernelChoice.kernels(requested: "portable")))
    var keys = Set(RandomPurpose.allCases.map { CounterRandom(seed: 5, purpose: $0, step: 0).key })
    let sites =
      (0..<128).flatMap { [Dropout.Site.convolution($0), .denseLower($0)] }
      + (0..<8).flatMap { layer in (0..<1024).map { .denseUpper(layer, row: $0) } }
    // The first convolution's is the purpose's own.
    for site in sites { #expect(keys.insert(dropout.stream(site).key).inserted || site == .convolution(0), "\(site)") }
  }

  @Test("the gradient with dropout is the slope of the objective", arguments: GoldenNetworkTests.tiny)
  func slope(_ name: String) throws {
    let network = try GoldenNetwork(name, kernels: KernelChoice.available().last?.name ?? "portable")
    let batch = try network.batch(prefix: "per_image", times: try network.file.integers("per_image.times"))
    let dropout = Dropout(rate: 0.3, seed: 2, architecture: network.architecture, kernels: network.kernels)
    let model = ReverseModel(
      network.architecture, layout: network.layout, kernels: network.kernels, groupCapacity: 1, partCapacity: 1,
      forTraining: true, dropout: dropout)
    let gradient = FloatBuffer(count: network.layout.count)
    func objective(_ parameters: FloatBuffer) -> Double {
      dropout?.begin(step: 3)
      model.prepare(parameters)
      model.gradient(parameters, batch: batch, parts: [0..<1], gradient: gradient, accumulating: false) { _ in }
      return network.objectives(batch).reduce(0, +) / Double(network.imageCount)
    }
    let start = objective(network.parameters)
    let analytic = gradient.elements.map(Double.init)
    for entry in network.layout.entries {
      // Along the tensor's own gradient: the steepest slope, far above float32's noise.
      let norm = entry.range.reduce(0) { $0 + analytic[$1] * analytic[$1] }.squareRoot()
      guard norm > 0 else { continue }
      func moved(_ distance: Double) -> Double {
        let parameters = network.layout.parameterBuffer()
        for index in 0..<network.layout.count { parameters[index] = network.parameters[index] }
        for index in entry.range { parameters[index] += Float(distance * analytic[index] / norm) }
        return objective(parameters)
      }
      let step = 2e-3
      let slope = (moved(step) - moved(-step)) / (2 * step)
      // Float32 rounding of the network's numbers shows in the objective, and the division by the step enlarges it.
      let noise = 3e-7 * max(1, abs(start)) / step
      #expect(
        abs(slope - norm) < 0.03 * norm + noise, "\(start) \(name) \(entry.name): slope \(slope), gradient \(norm)")
    }
  }
}
