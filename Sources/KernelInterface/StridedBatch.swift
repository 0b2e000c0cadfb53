/// Computations of one shape, one after another: the operands of each lie as many floats behind those of the one before.
public struct StridedBatch {
  /// How many.
  public var count = 1
  /// Floats between weights, or between gradients.
  public var leftStride = 0
  /// Floats between inputs.
  public var inputStride = 0
  /// Floats between outputs, or between sums.
  public var resultStride = 0

  /// Describes a batch: of one, where nothing is said.
  public init(count: Int = 1, leftStride: Int = 0, inputStride: Int = 0, resultStride: Int = 0) {
    self.count = count
    self.leftStride = leftStride
    self.inputStride = inputStride
    self.resultStride = resultStride
  }
}
