public import Tensors

/// Where a gradient is written, range by range in the order of their completion (`ReverseModel.gradientRanges`).
public protocol GradientStorage {
  /// Where a range's gradient goes; the first float is that of the range's lower bound.
  ///
  /// Asked for when the range is about to be computed; until it is reported complete the place is the computation's.
  func place(_ range: Range<Int>) -> UnsafeMutablePointer<Float>
}

/// A whole gradient, laid out like the parameters.
extension AlignedBuffer: GradientStorage where Element == Float {
  /// The range itself.
  public func place(_ range: Range<Int>) -> UnsafeMutablePointer<Float> {
    precondition(range.upperBound <= count, "the buffer is too small for the gradient")
    return pointer + range.lowerBound
  }
}
