internal import Foundation

/// What `dpm-evaluate` found out about a set of images; of a model that has diverged, numbers may not be finite (null in JSON).
public struct BoundReport: Encodable, Sendable {
  /// The evaluated set's name.
  public var split: String
  /// K, the bound on the log-likelihood of standardized data, in bits/pixel.
  @NullUnlessFinite public var k: Double
  /// K - L_null: above the likelihood under N(0, I), in bits/pixel.
  @NullUnlessFinite public var kMinusNull: Double
  /// The standard error of both; of a single image there is none: infinity.
  @NullUnlessFinite public var standardError: Double
  /// An upper bound on the code length of the raw data, in bits for each value.
  @NullUnlessFinite public var bitsPerDimension: Double
  /// Its standard error.
  @NullUnlessFinite public var bitsPerDimensionStandardError: Double
  /// Images that were evaluated.
  public var images: Int
  /// 1/s of the data's standardization, which K depends on.
  public var scale: Double
  /// Draws of t for each image; 0 where every t was computed.
  public var rounds: Int
  /// What the fixed first step leaves: K - L_null cannot exceed it.
  public var ceiling: Double
  /// N(0, I): zero by definition.
  public var whiteNoise = 0.0
  /// A Gaussian for each value of a pixel.
  @NullUnlessFinite public var independentGaussians: Double
  /// One Gaussian with full covariance; nil for images of too many values.
  public var fullGaussian: Double?
  /// The checkpoint's file, epoch and step.
  public var checkpoint: String
  /// Finished epochs of the model.
  public var epoch: Int
  /// Finished steps of the model.
  public var step: Int

  enum CodingKeys: String, CodingKey {
    case split, k, images, scale, rounds, ceiling, checkpoint, epoch, step
    case kMinusNull = "k_minus_null"
    case standardError = "k_minus_null_standard_error"
    case bitsPerDimension = "bits_per_dim"
    case bitsPerDimensionStandardError = "bits_per_dim_standard_error"
    case whiteNoise = "white_noise"
    case independentGaussians = "gaussian_per_pixel"
    case fullGaussian = "gaussian_full_covariance"
  }

  /// For people: the numbers, then where they stand.
  public var text: String {
    func number(_ value: Double) -> String { String(format: "%9.4f", value.isNaN ? .nan : value) }
    func error(_ value: Double) -> String { value.isFinite ? String(format: " ± %.4f", value) : "" }
    let draws = rounds == 0 ? "every t" : rounds == 1 ? "one t each" : "\(rounds) t each"
    var lines = [
      "\(split) set: \(count(images, "image")), \(draws), scale \(String(format: "%.4f", scale))",
      "  K - L_null          \(number(kMinusNull))\(error(standardError)) bits/pixel",
      "  K                   \(number(k))\(error(standardError)) bits/pixel",
      "  bits per dimension  \(number(bitsPerDimension))\(error(bitsPerDimensionStandardError))",
      "  where K - L_null stands:",
    ]
    let own = kMinusNull
    var places: [(value: Double, name: String)] = [
      (whiteNoise, "white noise, N(0, I)"), (independentGaussians, "a Gaussian for each pixel"),
      (own, "this model  <--"), (ceiling, "ceiling: what the fixed first step leaves"),
    ]
    if let fullGaussian { places.append((fullGaussian, "one Gaussian with full covariance")) }
    // What is no number is below all others.
    func height(_ value: Double) -> Double { value.isNaN ? -.infinity : value }
    for place in places.sorted(by: { height($0.value) < height($1.value) }) {
      lines.append("  \(number(place.value))  \(place.name)")
    }
    return lines.joined(separator: "\n")
  }
}
