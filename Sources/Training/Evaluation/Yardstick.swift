internal import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import Tensors

/// What an objective is measured against: trivial models of the same data, and what cannot be passed.
///
/// All as J in bits/pixel, lower is better; white noise, N(0, I), is 0 by definition.
public struct Yardstick: Equatable, Sendable {
  /// One Gaussian for each value of a pixel.
  public var pixelGaussians: Double
  /// One Gaussian with full covariance; nil for images of too many values.
  public var fullGaussian: Double?
  /// What the fixed first step leaves: J cannot be lower.
  public var ceiling: Double

  /// A yardstick of known marks.
  public init(pixelGaussians: Double, fullGaussian: Double?, ceiling: Double) {
    self.pixelGaussians = pixelGaussians
    self.fullGaussian = fullGaussian
    self.ceiling = ceiling
  }

  /// Fits the trivial models, on this process alone.
  ///
  /// - Throws: `InputError` where OpenBLAS is not to be had.
  init(_ data: TrainingData, standardization: Standardization, schedule: NoiseSchedule) throws(InputError) {
    let trivial = TrivialModels(
      fittedTo: data.train, evaluatedOn: data.test, standardization: standardization, openBLAS: try OpenBLAS())
    self.init(
      pixelGaussians: -trivial.independentPixels, fullGaussian: trivial.fullCovariance.map { -$0 },
      ceiling: -schedule.ceiling(colors: data.train.shape.colors))
  }

  /// The marks with their names, for legends.
  var levels: [(y: Double, name: String)] {
    var levels = [(0.0, "white noise"), (pixelGaussians, "a Gaussian a pixel"), (ceiling, "ceiling")]
    if let fullGaussian { levels.append((fullGaussian, "one Gaussian, full covariance")) }
    return levels
  }

  /// Where an objective stands, from the worst to the best: `white noise 0 > a Gaussian a pixel -2.22 > …`.
  func text(placing objective: Double) -> String {
    let own = (y: objective, name: "THIS MODEL")
    // What is no number is worse than all others.
    func height(_ value: Double) -> Double { value.isNaN ? .infinity : value }
    return (levels + [own]).sorted { height($0.y) > height($1.y) }
      .map { "\($0.name) \($0.y.isNaN ? "nan" : String(format: "%.2f", $0.y))" }
      .joined(separator: " > ")
  }
}
