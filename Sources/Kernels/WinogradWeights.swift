extension VectorKernels {
  /// transformed[position][filter] = G g Gᵀ of filters [count][3][3], positions `positionStride` apart.
  public func winogradWeights(
    _ weights: UnsafePointer<Float>, count filters: Int, transformed: UnsafeMutablePointer<Float>, positionStride: Int
  ) {
    for first in stride(from: 0, to: filters, by: Vector.scalarCount) {
      let count = min(Vector.scalarCount, filters - first)
      let g = loadFilters(weights + 9 * first, count: count)
      var rows = InlineArray<24, Vector>(repeating: Vector())
      for j in 0..<3 {
        let y = filterTransform(g[j], g[3 + j], g[6 + j])
        for i in 0..<8 { rows[3 * i + j] = y[i] }
      }
      for i in 0..<8 {
        let y = filterTransform(rows[3 * i], rows[3 * i + 1], rows[3 * i + 2])
        for j in 0..<8 { store(y[j], to: transformed + (8 * i + j) * positionStride + first, count: count) }
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
      for first in stride(from: 0, to: inputs, by: Vector.scalarCount) {
        let count = min(Vector.scalarCount, inputs - first)
        let u = transformed + output * outputStride + first
        var rows = InlineArray<24, Vector>(repeating: Vector())
        for i in 0..<8 {
          var y = Line(repeating: Vector())
          for j in 0..<8 { y[j] = load(u + (8 * i + j) * positionStride, count: count) }
          let g = filterAdjoint(y)
          for j in 0..<3 { rows[3 * i + j] = g[j] }
        }
        var sums = InlineArray<9, Vector>(repeating: Vector())
        for j in 0..<3 {
          var y = Line(repeating: Vector())
          for i in 0..<8 { y[i] = rows[3 * i + j] }
          let g = filterAdjoint(y)
          for i in 0..<3 { sums[3 * i + j] = g[i] }
        }
        addFilters(sums, to: gradient + (output * inputs + first) * 9, count: count)
      }
    }
  }
}

/// Filters [count][9], each a lane of nine vectors.
@inline(__always)
private func loadFilters(_ filters: UnsafePointer<Float>, count: Int) -> InlineArray<9, Vector> {
  var result = InlineArray<9, Vector>(repeating: Vector())
  withUnsafeTemporaryAllocation(of: Float.self, capacity: 9 * Vector.scalarCount) { lanes in
    guard let lanes = lanes.baseAddress else { return }
    for lane in 0..<count {
      for k in 0..<9 { lanes[k * Vector.scalarCount + lane] = filters[9 * lane + k] }
    }
    for k in 0..<9 { result[k] = load(lanes + k * Vector.scalarCount) }
  }
  return result
}

/// Adds the lanes of nine vectors to filters [count][9].
@inline(__always)
private func addFilters(_ sums: InlineArray<9, Vector>, to filters: UnsafeMutablePointer<Float>, count: Int) {
  withUnsafeTemporaryAllocation(of: Float.self, capacity: 9 * Vector.scalarCount) { lanes in
    guard let lanes = lanes.baseAddress else { return }
    for k in 0..<9 { store(sums[k], to: lanes + k * Vector.scalarCount) }
    for lane in 0..<count {
      for k in 0..<9 { filters[9 * lane + k] += lanes[k * Vector.scalarCount + lane] }
    }
  }
}

/// A vector of which the first `count` lanes are there.
@inline(__always)
private func load(_ pointer: UnsafePointer<Float>, count: Int) -> Vector {
  guard count < Vector.scalarCount else { return load(pointer) }
  var x = Vector()
  for lane in 0..<count { x[lane] = pointer[lane] }
  return x
}

/// Stores the first `count` lanes of a vector.
@inline(__always)
private func store(_ x: Vector, to pointer: UnsafeMutablePointer<Float>, count: Int) {
  guard count < Vector.scalarCount else { return store(x, to: pointer) }
  for lane in 0..<count { pointer[lane] = x[lane] }
}

// Entries of G.
private let ninths: Float = 2 / 9
private let (atTwo, atTwoOdd, atTwoSquare): (Float, Float, Float) = (1 / 90, 2 / 90, 4 / 90)
private let (atHalf, atHalfOdd, atHalfSquare): (Float, Float, Float) = (32 / 45, 16 / 45, 8 / 45)

/// G g: three weights to eight points.
@inline(__always)
private func filterTransform(_ a: Vector, _ b: Vector, _ c: Vector) -> Line {
  let ones = (a + c) * -ninths
  let one = b * -ninths
  let twos = a * atTwo + c * atTwoSquare
  let two = b * atTwoOdd
  let halves = a * atHalf + c * atHalfSquare
  let half = b * atHalfOdd
  return [a, ones + one, ones - one, twos + two, twos - two, c, halves + half, halves - half]
}

/// Gᵀ y, the adjoint of `filterTransform`.
@inline(__always)
private func filterAdjoint(_ y: Line) -> InlineArray<3, Vector> {
  let (ones, twos, halves) = (y[1] + y[2], y[3] + y[4], y[6] + y[7])
  let (one, two, half) = (y[1] - y[2], y[3] - y[4], y[6] - y[7])
  let even = y[0] - ones * ninths
  let odd = two * atTwoOdd - one * ninths
  let square = y[5] - ones * ninths
  return [
    even + twos * atTwo + halves * atHalf, odd + half * atHalfOdd, square + twos * atTwoSquare + halves * atHalfSquare,
  ]
}
