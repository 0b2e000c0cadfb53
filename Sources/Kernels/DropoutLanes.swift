import KernelInterface

extension VectorKernels {
  /// values = 0 where uniforms < rate, else values/(1 - rate): inverted dropout.
  public func applyDropout(
    _ values: UnsafeMutablePointer<Float>, uniforms: UnsafePointer<Float>, count: Int, rate: Float
  ) {
    let factor = Vector(repeating: 1 / (1 - rate))
    let rates = Vector(repeating: rate)
    var index = 0
    while index < count {
      let kept = load(values + index) * factor
      store(kept.replacing(with: Vector(), where: load(uniforms + index) .< rates), to: values + index)
      index += Vector.scalarCount
    }
  }

  /// gradient = 0 where the value was dropped, else gradient/(1 - rate).
  public func applyDropoutGradient(
    dropped: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int, rate: Float
  ) {
    // A value that is zero was dropped, but for the odd zero sum in front of an activation.
    let factor = Vector(repeating: 1 / (1 - rate))
    var index = 0
    while index < count {
      let kept = load(gradient + index) * factor
      store(kept.replacing(with: Vector(), where: load(dropped + index) .== Vector()), to: gradient + index)
      index += Vector.scalarCount
    }
  }
}
