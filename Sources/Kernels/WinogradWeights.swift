extension VectorKernels {
  /// transformed[position][output][input] = G g Gᵀ of weights [outputs][inputs][3][3].
  public func winogradWeights(
    _ weights: UnsafePointer<Float>, outputs: Int, inputs: Int, transformed: UnsafeMutablePointer<Float>
  ) {
    for pair in 0..<outputs * inputs {
      let g = weights + pair * 9
      var rows = InlineArray<24, Float>(repeating: 0)
      for j in 0..<3 {
        let y = filterTransform(g[j], g[3 + j], g[6 + j])
        for i in 0..<8 { rows[3 * i + j] = y[i] }
      }
      for i in 0..<8 {
        let y = filterTransform(rows[3 * i], rows[3 * i + 1], rows[3 * i + 2])
        for j in 0..<8 { transformed[(8 * i + j) * outputs * inputs + pair] = y[j] }
      }
    }
  }

  /// gradient[output][input][3][3] += Gᵀ dU G, the adjoint of `winogradWeights`.
  ///
  /// - Parameter transformed: dU, position p at p·`positionStride`, output o at o·`outputStride` behind it.
  public func winogradWeightsAdjoint(
    _ transformed: UnsafePointer<Float>, positionStride: Int, outputStride: Int, outputs: Int, inputs: Int,
    gradient: UnsafeMutablePointer<Float>
  ) {
    for output in 0..<outputs {
      for input in 0..<inputs {
        let u = transformed + output * outputStride + input
        var rows = InlineArray<24, Float>(repeating: 0)
        for i in 0..<8 {
          var y = InlineArray<8, Float>(repeating: 0)
          for j in 0..<8 { y[j] = u[(8 * i + j) * positionStride] }
          let g = filterAdjoint(y)
          for j in 0..<3 { rows[3 * i + j] = g[j] }
        }
        let result = gradient + (output * inputs + input) * 9
        for j in 0..<3 {
          var y = InlineArray<8, Float>(repeating: 0)
          for i in 0..<8 { y[i] = rows[3 * i + j] }
          let g = filterAdjoint(y)
          for i in 0..<3 { result[3 * i + j] += g[i] }
        }
      }
    }
  }
}

/// G g: three weights to eight points.
@inline(__always)
private func filterTransform(_ a: Float, _ b: Float, _ c: Float) -> InlineArray<8, Float> {
  let atOne = (a + c) * (-2 / 9)
  let oddAtOne = b * (-2 / 9)
  let atTwo = a * (1 / 90) + c * (4 / 90)
  let oddAtTwo = b * (2 / 90)
  let atHalf = a * (32 / 45) + c * (8 / 45)
  let oddAtHalf = b * (16 / 45)
  return [
    a, atOne + oddAtOne, atOne - oddAtOne, atTwo + oddAtTwo, atTwo - oddAtTwo, c, atHalf + oddAtHalf,
    atHalf - oddAtHalf,
  ]
}

/// Gᵀ y, the adjoint of `filterTransform`.
@inline(__always)
private func filterAdjoint(_ y: InlineArray<8, Float>) -> InlineArray<3, Float> {
  let (ones, twos, halves) = (y[1] + y[2], y[3] + y[4], y[6] + y[7])
  let (one, two, half) = (y[1] - y[2], y[3] - y[4], y[6] - y[7])
  return [
    y[0] - ones * (2 / 9) + twos * (1 / 90) + halves * (32 / 45),
    two * (2 / 90) - one * (2 / 9) + half * (16 / 45),
    y[5] - ones * (2 / 9) + twos * (4 / 90) + halves * (8 / 45),
  ]
}
