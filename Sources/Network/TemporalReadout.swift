import KernelInterface
import Tensors

/// The last per-pixel layer and the temporal readout as one linear map.
///
/// MODEL.md computes Z = W·h + b with 2·C·nb values a pixel, then m and g as Z's combinations with y_t = B[:, t]. Once t is
/// known, (W·y_t)·h + b·y_t needs 2·C values only. Every lane has its own t, so the combined weights are lane vectors.
final class TemporalReadout {
  /// 2·C: for each colour the mean's readout m, then the variance's readout g.
  let outputs: Int
  let inputs: Int
  private let basisCount: Int
  private let weight: ParameterLayout.Entry
  private let bias: ParameterLayout.Entry
  /// Factors of the inputs, where the layer reads the concatenated features themselves; else 1.
  private let inputScale: [Float]
  /// Combined weights [outputs][inputs][16] and bias [outputs][16] of the current lane group.
  let laneWeights: FloatBuffer
  let laneBias: FloatBuffer
  /// Sums of their gradients over the current lane group, shaped alike.
  let laneWeightSums: FloatBuffer
  let laneBiasSums: FloatBuffer
  /// Gradients of W and b over the current canonical part.
  private let weightSums: FloatBuffer
  private let biasSums: FloatBuffer

  init(_ architecture: Architecture, layout: ParameterLayout, inputScale: [Float]) {
    outputs = 2 * architecture.colorCount
    inputs = inputScale.count
    basisCount = architecture.temporalBasisCount
    weight = layout.entry("dense_upper.\(architecture.denseUpperLayers - 1).weight")
    bias = layout.entry("dense_upper.\(architecture.denseUpperLayers - 1).bias")
    self.inputScale = inputScale
    laneWeights = FloatBuffer(count: outputs * inputs * laneCount)
    laneBias = FloatBuffer(count: outputs * laneCount)
    laneWeightSums = FloatBuffer(count: outputs * inputs * laneCount)
    laneBiasSums = FloatBuffer(count: outputs * laneCount)
    weightSums = FloatBuffer(count: weight.count)
    biasSums = FloatBuffer(count: bias.count)
  }

  private func lanes(_ pointer: UnsafePointer<Float>, _ index: Int) -> SIMD16<Float> {
    UnsafeRawPointer(pointer + index * laneCount).loadUnaligned(as: SIMD16<Float>.self)
  }

  private func setLanes(_ value: SIMD16<Float>, _ pointer: UnsafeMutablePointer<Float>, _ index: Int) {
    UnsafeMutableRawPointer(pointer + index * laneCount).storeBytes(of: value, as: SIMD16<Float>.self)
  }

  /// Combines the parameters for the times of a lane group.
  ///
  /// - Parameter basis: y_t of every lane, [nb][16].
  func combine(_ parameters: UnsafePointer<Float>, basis: UnsafePointer<Float>) {
    for output in 0..<outputs {
      let rows = parameters + weight.offset + output * basisCount * inputs
      for input in 0..<inputs {
        var sum = SIMD16<Float>()
        for b in 0..<basisCount { sum += lanes(basis, b) * rows[b * inputs + input] }
        setLanes(sum * inputScale[input], laneWeights.pointer, output * inputs + input)
      }
      var sum = SIMD16<Float>()
      for b in 0..<basisCount { sum += lanes(basis, b) * parameters[bias.offset + output * basisCount + b] }
      setLanes(sum, laneBias.pointer, output)
    }
  }

  /// Hands the sums over the lane group on to W and b: ∂W[b] = Σ_lanes y_t[b]·∂(W·y_t).
  func distribute(basis: UnsafePointer<Float>) {
    for output in 0..<outputs {
      for b in 0..<basisCount {
        let weights = lanes(basis, b)
        let row = weightSums.pointer + (output * basisCount + b) * inputs
        for input in 0..<inputs {
          let sums = lanes(laneWeightSums.pointer, output * inputs + input) * weights
          row[input] += treeSum(sums) * inputScale[input]
        }
        biasSums.pointer[output * basisCount + b] += treeSum(lanes(laneBiasSums.pointer, output) * weights)
      }
    }
    laneWeightSums.fill(0)
    laneBiasSums.fill(0)
  }

  /// Adds the part's sums to the gradient and starts new ones.
  func flush(into gradient: UnsafeMutablePointer<Float>) {
    for index in 0..<weight.count { gradient[weight.offset + index] += weightSums.pointer[index] }
    for index in 0..<bias.count { gradient[bias.offset + index] += biasSums.pointer[index] }
    weightSums.fill(0)
    biasSums.fill(0)
  }

  /// The sum of 16 lanes in the order of `KernelSet.addLanes`.
  private func treeSum(_ lanes: SIMD16<Float>) -> Float {
    let eight = lanes.lowHalf + lanes.highHalf
    let four = eight.lowHalf + eight.highHalf
    let two = four.lowHalf + four.highHalf
    return two[0] + two[1]
  }
}
