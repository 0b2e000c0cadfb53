internal import CPlatform
import KernelInterface

extension VectorKernels {
  /// rows[lane][k] = columns[k][lane]: 16 images from lanes into rows of features, for the dense branch's backward pass.
  ///
  /// - Parameters:
  ///   - columns: 16 floats for each feature, feature k at `offsets[k]`.
  ///   - rows: [16][rowStride].
  public func transposeLanes(
    _ columns: UnsafePointer<Float>, offsets: UnsafePointer<Int32>, count: Int, rows: UnsafeMutablePointer<Float>,
    rowStride: Int
  ) {
    var k = 0
    while k + laneCount <= count {
      cvector_transpose(columns, offsets + k, rows + k, rowStride)
      k += laneCount
    }
    while k < count {
      let column = columns + Int(offsets[k])
      for lane in 0..<laneCount { rows[lane * rowStride + k] = column[lane] }
      k += 1
    }
  }
}
