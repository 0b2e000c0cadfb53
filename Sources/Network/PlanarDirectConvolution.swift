import KernelInterface
import Tensors

/// The first layer's, of few inputs: a product over the rows of a plane with their borders, in one go.
final class PlanarDirectConvolution: PlanarForward {
  private let inputs: Int
  private let outputs: Int
  private let width: Int
  private let weight: Int
  private let bias: Int
  private let kernels: any KernelSet
  private let offsets: AlignedBuffer<Int32>

  /// - Parameter weight, bias: Where they are among the parameters.
  init(inputs: Int, outputs: Int, width: Int, weight: Int, bias: Int, kernels: any KernelSet) {
    self.inputs = inputs
    self.outputs = outputs
    self.width = width
    self.weight = weight
    self.bias = bias
    self.kernels = kernels
    let side = width + 2
    offsets = AlignedBuffer(count: inputs * 9)
    for index in 0..<offsets.count {
      offsets[index] = Int32(index / 9 * side * side + index % 9 / 3 * side + index % 3)
    }
  }

  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) {
    let side = width + 2
    kernels.product(
      Product(
        weights: parameters + weight, rowStride: inputs * 9, depthStride: 1, inputs: input, offsets: offsets.pointer,
        columnStride: laneCount, outputs: output + side + 1, outputRowStride: side * side,
        outputColumnStride: laneCount, rows: outputs, depth: inputs * 9, columns: planeVectors(width: width),
        epilogue: .biasLeakyReLU(parameters + bias)))
    clearBorder(output)
  }

  /// Makes the border zero again which rows in one go, and the end of the plane before, have run through.
  private func clearBorder(_ image: UnsafeMutablePointer<Float>) {
    let side = width + 2
    for channel in 0..<outputs {
      let plane = image + channel * side * side
      plane.update(repeating: 0, count: side)
      for y in 1...width {
        plane[y * side] = 0
        plane[y * side + width + 1] = 0
      }
      (plane + (width + 1) * side).update(repeating: 0, count: side)
    }
  }
}

/// Vectors of 16 from a plane's first pixel to its last, borders between rows included.
func planeVectors(width: Int) -> Int { (width * (width + 2) - 2 + laneCount - 1) / laneCount }

/// Bordered planes of zeros: vectors may reach a little further than the last one.
func planes(_ count: Int, width: Int) -> FloatBuffer {
  FloatBuffer(count: count * (width + 2) * (width + 2) + 2 * laneCount)
}
