import KernelInterface
import Network
import Tensors
import TestSupport
import Testing

/// With its masks fixed, a network with dropout is a function like any other: its gradient must be its slope.
@Suite struct DropoutTests {
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
