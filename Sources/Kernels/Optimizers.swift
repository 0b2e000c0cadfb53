import KernelInterface

// One pass over a tensor: memory-bound, so each number is read and written once.

extension VectorKernels {
  /// Whether every element is finite: x · 0 is 0 for finite x, NaN else.
  public func isFinite(_ values: UnsafePointer<Float>, count: Int) -> Bool {
    var sum = Vector()
    var index = 0
    while index + Vector.scalarCount <= count {
      sum += load(values + index) * 0
      index += Vector.scalarCount
    }
    var total = sum.sum()
    while index < count {
      total += values[index] * 0
      index += 1
    }
    return total == 0
  }

  /// v ← decay·v + (1 - decay)·g²; p ← p - lr·g/max(√v, floor).
  ///
  /// A nil gradient stands for zero.
  public func rmsProp(
    parameters: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>?, meanSquare: UnsafeMutablePointer<Float>,
    count: Int, learningRate: Float, decay: Float, floor: Float
  ) {
    guard let gradient else {
      for index in 0..<count { meanSquare[index] *= decay }
      return
    }
    let decays = Vector(repeating: decay)
    let rest = Vector(repeating: 1 - decay)
    let floors = Vector(repeating: floor)
    let rates = Vector(repeating: learningRate)
    var index = 0
    while index + Vector.scalarCount <= count {
      let g = load(gradient + index)
      let v = multiplyAdd(load(meanSquare + index) * decays, g * g, rest)
      store(v, to: meanSquare + index)
      let root = squareRoot(v)
      let step = rates * g / root.replacing(with: floors, where: root .< floors)
      store(load(parameters + index) - step, to: parameters + index)
      index += Vector.scalarCount
    }
    while index < count {
      let g = gradient[index]
      #if FUSED_MULTIPLY_ADD
        let v = (meanSquare[index] * decay).addingProduct(g * g, 1 - decay)
      #else
        let v = meanSquare[index] * decay + g * g * (1 - decay)
      #endif
      meanSquare[index] = v
      let root = v.squareRoot()
      parameters[index] -= learningRate * g / (root < floor ? floor : root)
      index += 1
    }
  }

  /// m ← β₁m + (1-β₁)g; v ← β₂v + (1-β₂)g²; p ← p - rate·m/(√v + epsilon).
  ///
  /// Adam (Kingma & Ba 2015), its bias corrections folded into `rate` and `epsilon`. A nil gradient stands for zero: both
  /// moments decay, the parameters stay.
  public func adam(
    parameters: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>?, firstMoment: UnsafeMutablePointer<Float>,
    meanSquare: UnsafeMutablePointer<Float>, count: Int, rate: Float, beta1: Float, beta2: Float, epsilon: Float
  ) {
    guard let gradient else {
      for index in 0..<count {
        firstMoment[index] *= beta1
        meanSquare[index] *= beta2
      }
      return
    }
    // Tensors are padded to 16 floats (ParameterLayout), so whole vectors never reach into another tensor's values.
    let padded = (count + laneCount - 1) / laneCount * laneCount
    var index = 0
    while index < padded {
      let g = load(gradient + index)
      let m = multiplyAdd(load(firstMoment + index) * beta1, g, Vector(repeating: 1 - beta1))
      let v = multiplyAdd(load(meanSquare + index) * beta2, g * g, Vector(repeating: 1 - beta2))
      store(m, to: firstMoment + index)
      store(v, to: meanSquare + index)
      let step = m * rate / (squareRoot(v) + epsilon)
      store(load(parameters + index) - step, to: parameters + index)
      index += Vector.scalarCount
    }
  }

  /// average ← decay·average + (1 - decay)·parameters.
  public func updateAverage(
    _ average: UnsafeMutablePointer<Float>, parameters: UnsafePointer<Float>, count: Int, decay: Float
  ) {
    for index in 0..<count {
      average[index] += (parameters[index] - average[index]) * (1 - decay)
    }
  }

  /// sums += terms.
  public func addArray(_ terms: UnsafePointer<Float>, into sums: UnsafeMutablePointer<Float>, count: Int) {
    for index in 0..<count { sums[index] += terms[index] }
  }
}
