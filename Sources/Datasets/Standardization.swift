import Tensors

/// The map from grey levels to what the network sees: x ← scale·x + shift for x = pixel/255 in [0, 1].
///
/// One pair of numbers for all pixels and colours, from the whole training set; the test set gets the same two
/// (model.md, "Data").
public struct Standardization: Equatable, Sendable {
  /// 1/s, for the standard deviation s of the training set's values in [0, 1].
  public let scale: Double
  /// −m/s, for their mean m.
  public let shift: Double

  /// A map whose two numbers are known, from a checkpoint say; both must be finite and the scale positive.
  public init(scale: Double, shift: Double) {
    self.scale = scale
    self.shift = shift
  }

  /// The map that gives the values of `dataset` mean 0 and variance 1.
  ///
  /// The sums are exact integers, so that the result does not depend on the order of the images.
  ///
  /// - Throws: `InputError` if all values are equal: nothing could be learned from them, and s = 0.
  public init(of dataset: ImageDataset) throws(InputError) {
    let (count, sum, squares) = dataset.withPixels { pixels in
      var sum: UInt64 = 0
      var squares: UInt64 = 0
      for pixel in pixels {
        let level = UInt64(pixel)
        sum &+= level
        squares &+= level &* level
      }
      return (UInt128(pixels.count), UInt128(sum), UInt128(squares))
    }
    // count²·variance, in grey levels.
    let spread = count * squares - sum * sum
    guard spread > 0 else {
      throw InputError(
        dataset.name, found: "all pixels of its \(dataset.count) images are \(sum / count)",
        expected: "images that differ somewhere")
    }
    let deviation = Double(spread).squareRoot() / (255 * Double(count))
    scale = 1 / deviation
    shift = -Double(sum) / (255 * Double(count)) / deviation
  }

  /// The width of one grey level after the map: what the uniform noise of dequantization spans.
  public var greyLevelWidth: Double { scale / 255 }

  /// The standardized value of a pixel.
  public func value(ofPixel pixel: UInt8) -> Float { Float(scale * Double(pixel) / 255 + shift) }

  /// Back from a standardized value to a grey level, 0 for black to 1 for white; values that no image has may lie beyond.
  public func greyLevel(of value: Float) -> Float { Float((Double(value) - shift) / scale) }
}
