import Tensors

/// The map from grey levels to what the network sees: x ← scale·x + shift for x = pixel/255 in [0, 1].
///
/// One pair of numbers for all pixels and colours, from the whole training set; the test set gets the same two
/// (MODEL.md, "Data").
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
    var levels = GreyLevels()
    if dataset.isDrawn {
      dataset.withImages(0..<min(Self.drawnImages, dataset.count)) { levels.add($0) }
    } else {
      dataset.forEachBlock { levels.add($0) }
    }
    try self.init(of: levels, name: dataset.name, images: dataset.count)
  }

  /// Of a set that is drawn, so many images have to do; a thousandth of the deviation is what others would change.
  private static let drawnImages = 1000

  /// The map that gives values of which sums are known mean 0 and variance 1.
  ///
  /// - Parameters:
  ///   - name: What the error calls the data set.
  ///   - images: How many it has.
  /// - Throws: `InputError` if all values are equal.
  public init(of levels: GreyLevels, name: String, images: Int) throws(InputError) {
    let (count, sum, squares) = (UInt128(levels.count), UInt128(levels.sum), UInt128(levels.squares))
    // count²·variance, in grey levels.
    let spread = count * squares - sum * sum
    guard spread > 0 else {
      throw InputError(
        name, found: "all pixels of its \(images) images are \(levels.sum / max(1, levels.count))",
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

/// Sums over pixels, exact in any order.
public struct GreyLevels: Equatable, Codable, Sendable {
  /// Number of pixels' values.
  public var count: UInt64 = 0
  /// Their sum.
  public var sum: UInt64 = 0
  /// The sum of their squares.
  public var squares: UInt64 = 0

  /// Of no pixels.
  public init() {}

  /// Takes in pixels.
  public mutating func add(_ pixels: UnsafeBufferPointer<UInt8>) {
    var (sum, squares) = (UInt64(0), UInt64(0))
    for pixel in pixels {
      let level = UInt64(pixel)
      sum &+= level
      squares &+= level &* level
    }
    count += UInt64(pixels.count)
    self.sum += sum
    self.squares += squares
  }

  /// Whether some pixels have these sums: count · squares is never below sum².
  var arePossible: Bool { UInt128(count) * UInt128(squares) >= UInt128(sum) * UInt128(sum) }

  /// Takes in what others summed.
  public mutating func add(_ other: GreyLevels) {
    count += other.count
    sum += other.sum
    squares += other.squares
  }
}
