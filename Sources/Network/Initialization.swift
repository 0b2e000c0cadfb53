public import KernelInterface
public import Tensors

extension ParameterLayout {
  /// Initial parameters (MODEL.md, "Network"): convolutions N(0, 1/(81·out)), dense matrices orthogonal, biases zero.
  ///
  /// A function of seed and architecture; rank 0 computes it for all, since LAPACK's rounding depends on the CPU.
  public func initialParameters(seed: UInt64, kernels: any KernelSet, openBLAS: OpenBLAS) -> FloatBuffer {
    let parameters = parameterBuffer()
    let lanes = AlignedBuffer<UInt32>(count: laneCount)
    for lane in 0..<laneCount { lanes[lane] = UInt32(lane) }
    for (number, entry) in entries.enumerated() where entry.name.hasSuffix(".weight") {
      let stream = CounterRandom(seed: seed, purpose: .initialization, step: number)
      let columns = (entry.count + laneCount - 1) / laneCount
      let normals = FloatBuffer(count: (columns + 3) / 4 * 4 * laneCount)
      kernels.normals(
        normals.pointer, from: 0, count: columns, indices: lanes.pointer, step: stream.step, key: stream.key)
      let weights = parameters.pointer + entry.offset
      if entry.shape.count == 4 {
        let deviation = (1 / Float(entry.shape[0])).squareRoot() / 9
        for index in 0..<entry.count { weights[index] = normals.pointer[index] * deviation }
        continue
      }
      let (outputs, inputs) = (entry.shape[0], entry.shape[1])
      openBLAS.orthonormalize(normals.pointer, rows: max(outputs, inputs), columns: min(outputs, inputs))
      if inputs >= outputs {
        // A column of the factor is a row of the weights.
        weights.update(from: normals.pointer, count: entry.count)
      } else {
        for output in 0..<outputs {
          for input in 0..<inputs { weights[output * inputs + input] = normals.pointer[input * outputs + output] }
        }
      }
    }
    return parameters
  }

  /// A zeroed buffer for parameters laid out like this.
  ///
  /// Products read whole vectors past the end of the last row, hence a few floats more than `count`.
  public func parameterBuffer() -> FloatBuffer { FloatBuffer(count: bufferCount) }

  /// Floats of `parameterBuffer`.
  public var bufferCount: Int { count + 4 * laneCount }
}
