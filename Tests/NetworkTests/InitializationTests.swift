import KernelInterface
import Network
import Tensors
import Testing

@Suite struct InitializationTests {
  @Test("dense matrices are orthogonal, convolutions of their deviation, biases zero; the seed decides")
  func parameters() throws {
    var architecture = Architecture()
    architecture.spatialWidth = 8
    architecture.denseLowerWidth = 50
    let layout = ParameterLayout(architecture)
    let kernels = try KernelChoice.kernels(requested: nil)
    let openBLAS = try OpenBLAS()
    let parameters = layout.initialParameters(seed: 4, kernels: kernels, openBLAS: openBLAS)
    for entry in layout.entries {
      let values = entry.range.map { Double(parameters[$0]) }
      if entry.name.hasSuffix("bias") {
        #expect(values.count { $0 != 0 } == 0)
      } else if entry.shape.count == 4 {
        let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
        let expected = (1 / Double(entry.shape[0])).squareRoot() / 9
        #expect(abs(deviation / expected - 1) < 4 / Double(2 * values.count).squareRoot(), "\(entry.name)")
      } else {
        let (outputs, inputs) = (entry.shape[0], entry.shape[1])
        // Rows where they are the fewer, else columns.
        func element(_ vector: Int, _ index: Int) -> Double {
          outputs <= inputs ? values[vector * inputs + index] : values[index * inputs + vector]
        }
        for a in 0..<min(outputs, inputs) {
          for b in 0...a {
            let dot = (0..<max(outputs, inputs)).reduce(0) { $0 + element(a, $1) * element(b, $1) }
            #expect(abs(dot - (a == b ? 1 : 0)) < 1e-5, "\(entry.name)")
          }
        }
      }
    }
    let again = layout.initialParameters(seed: 4, kernels: kernels, openBLAS: openBLAS)
    let other = layout.initialParameters(seed: 5, kernels: kernels, openBLAS: openBLAS)
    #expect(Array(again.elements) == Array(parameters.elements))
    #expect(Array(other.elements) != Array(parameters.elements))
  }
}
