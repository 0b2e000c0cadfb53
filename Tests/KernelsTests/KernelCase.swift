import KernelInterface
import Tensors

/// Every build of the kernels that this machine can run, as test arguments.
let kernelNames = KernelChoice.available().map(\.name)

func kernelSet(_ name: String) throws -> any KernelSet { try KernelChoice.kernels(requested: name) }

/// Reproducible numbers between -1 and 1.
func randomBuffer(_ count: Int, seed: UInt64) -> FloatBuffer {
  let random = CounterRandom(seed: seed, purpose: .initialization, step: 0)
  let buffer = FloatBuffer(count: count)
  for index in 0..<count { buffer[index] = Float(2 * random.uniform(index: 0, element: index) - 1) }
  return buffer
}

func offsets(_ values: [Int]) -> AlignedBuffer<Int32> {
  let buffer = AlignedBuffer<Int32>(count: values.count)
  for (index, value) in values.enumerated() { buffer[index] = Int32(value) }
  return buffer
}

/// ‖actual - expected‖ / ‖expected‖.
func relativeError(_ actual: FloatBuffer, _ expected: [Double]) -> Double {
  var difference = 0.0
  var norm = 0.0
  for (index, value) in expected.enumerated() {
    difference += (Double(actual[index]) - value) * (Double(actual[index]) - value)
    norm += value * value
  }
  return (difference / max(norm, 1e-300)).squareRoot()
}

func bits(_ buffer: FloatBuffer) -> [UInt32] { buffer.elements.map(\.bitPattern) }
