import KernelInterface
import Tensors

/// The dense branch of a few images, forward: vectors run along a layer's outputs, so that no lane is empty.
///
/// All there is to do is to read the weights, which a transposed copy of them lets pass in one stream: three times as fast as
/// a lane group reads them row by row. The bits are those of the images' lanes.
final class PlanarDense {
  /// Outputs whose weights lie together: four vectors, whose sums do not wait for one another.
  private static let panelWidth = 4 * laneCount

  private let kernels: any KernelSet
  private let widths: [Int]
  /// Widths in whole panels: floats between images' values.
  private let padded: [Int]
  private let weights: [ParameterLayout.Entry]
  private let biases: [ParameterLayout.Entry]
  /// Of each layer [panels][inputs][64], zero behind the last output.
  private let panels: [FloatBuffer]
  private let depthOffsets: AlignedBuffer<Int32>
  /// [images][values], of the branch's input and of each layer's output.
  private let rows: [FloatBuffer]
  private let imageWidth: Int
  private let colors: Int
  private var isPrepared = false

  init?(_ architecture: Architecture, layout: ParameterLayout, capacity: Int, kernels: any KernelSet) {
    guard architecture.hasDenseBranch else { return nil }
    self.kernels = kernels
    widths = architecture.denseLowerWidths
    let layers = 0..<widths.count - 1
    weights = layers.map { layout.entry("dense_lower.\($0).weight") }
    biases = layers.map { layout.entry("dense_lower.\($0).bias") }
    padded = widths.map { ($0 + Self.panelWidth - 1) / Self.panelWidth * Self.panelWidth }
    panels = layers.map { [widths, padded] in FloatBuffer(count: padded[$0 + 1] * widths[$0]) }
    rows = padded.map { FloatBuffer(count: capacity * $0) }
    depthOffsets = AlignedBuffer(count: widths.max() ?? 0)
    for k in 0..<depthOffsets.count { depthOffsets[k] = Int32(k * Self.panelWidth) }
    imageWidth = architecture.spatialWidth
    colors = architecture.colorCount
  }

  /// Forgets the copy of the weights: there are new parameters.
  func prepare() { isPrepared = false }

  private func copyWeights(_ parameters: UnsafePointer<Float>) {
    for layer in panels.indices {
      let inputs = widths[layer]
      for output in 0..<widths[layer + 1] {
        let row = parameters + weights[layer].offset + output * inputs
        let panel = panels[layer].pointer + output / Self.panelWidth * inputs * Self.panelWidth
        let lane = panel + output % Self.panelWidth
        for input in 0..<inputs { lane[input * Self.panelWidth] = row[input] }
      }
    }
    isPrepared = true
  }

  /// Computes the branch's outputs, [images][H·W][outputs], of the first images of a lane group.
  ///
  /// - Parameter noisy: x_t, bordered [C][W + 2][W + 2][16].
  /// - Returns: The first image's, and floats from one image's to the next's.
  func forward(
    _ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>, images: Int
  ) -> (outputs: UnsafePointer<Float>, stride: Int) {
    if !isPrepared { copyWeights(parameters) }
    let side = imageWidth + 2
    for image in 0..<images {
      var values = rows[0].pointer + image * padded[0]
      for color in 0..<colors {
        for y in 1...imageWidth {
          let row = noisy + ((color * side + y) * side + 1) * laneCount + image
          for x in 0..<imageWidth { values[x] = row[x * laneCount] }
          values += imageWidth
        }
      }
    }
    for layer in panels.indices {
      let (inputs, outputs) = (widths[layer], padded[layer + 1])
      let results = rows[layer + 1].pointer
      // Sums begin at the biases.
      for image in 0..<images {
        (results + image * outputs).update(from: parameters + biases[layer].offset, count: widths[layer + 1])
      }
      for panel in 0..<outputs / Self.panelWidth {
        kernels.product(
          Product(
            weights: rows[layer].pointer, rowStride: padded[layer], depthStride: 1,
            inputs: panels[layer].pointer + panel * inputs * Self.panelWidth, offsets: depthOffsets.pointer,
            columnStride: laneCount, outputs: results + panel * Self.panelWidth, outputRowStride: outputs,
            outputColumnStride: laneCount, rows: images, depth: inputs, columns: Self.panelWidth / laneCount,
            epilogue: .resume))
      }
      for index in 0..<images * outputs { results[index] = max(results[index], results[index] * leakyReLUSlope) }
    }
    return (UnsafePointer(rows[panels.count].pointer), padded[panels.count])
  }
}
