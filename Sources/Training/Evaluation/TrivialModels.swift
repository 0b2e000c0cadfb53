#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

public import Datasets
public import Tensors

/// What models without any learning reach on the same data: a bound means something only beside them.
///
/// Gaussians fitted to the training set, with the test set's mean log-likelihood above that of N(0, I); all in bits/pixel of
/// the standardized, dequantized data (MODEL.md, "Objective").
public struct TrivialModels: Equatable, Sendable {
  /// One Gaussian for each value of a pixel, independent of the others.
  public var independentPixels: Double
  /// One Gaussian with full covariance; nil where an image has too many values for it, or as many as there are images: what
  /// varied in none of them would then be taken for constant.
  public var fullCovariance: Double?

  /// Fits to one set and evaluates on another; on this process alone.
  public init(
    fittedTo train: ImageDataset, evaluatedOn test: ImageDataset, standardization: Standardization, openBLAS: OpenBLAS
  ) {
    self = GaussianFit(to: train, standardization: standardization, openBLAS: openBLAS).models(on: test)
  }

  /// Models of known likelihoods.
  init(independentPixels: Double, fullCovariance: Double?) {
    self.independentPixels = independentPixels
    self.fullCovariance = fullCovariance
  }
}

/// The Gaussians of `TrivialModels`, to be evaluated on any number of sets.
struct GaussianFit {
  /// A full covariance of more values than this takes more than 128 MiB and minutes.
  private static let mostElements = 4096

  private let moments: PixelMoments
  /// The inverse covariance's lower triangle, column after column, and ln |Σ|; nil where there is none.
  private let full: (inverse: [Double], logDeterminant: Double)?
  /// A grey level in units of the standardized data, squared.
  private let unit: Double
  private let openBLAS: OpenBLAS

  /// Dequantization adds a uniform variable of the width of a grey level.
  private var noise: Double { unit / 12 }

  /// Fits to a training set.
  init(to train: ImageDataset, standardization: Standardization, openBLAS: OpenBLAS) {
    let elements = train.shape.elements
    let isFull = elements <= Self.mostElements && train.count > elements
    self.openBLAS = openBLAS
    unit = standardization.greyLevelWidth * standardization.greyLevelWidth
    let moments = PixelMoments(train, count: train.count, openBLAS: isFull ? openBLAS : nil)
    guard isFull else {
      self.moments = moments
      full = nil
      return
    }
    var covariances = moments.covariances
    for column in 0..<elements {
      for row in column..<elements {
        let index = column * elements + row
        covariances[index] = covariances[index] * unit + (row == column ? unit / 12 : 0)
      }
    }
    full = openBLAS.invert(&covariances, size: elements).map { (covariances, $0) }
    self.moments = moments.withVariancesAlone()
  }

  /// The mean log-likelihood of a set's first images, all of them unless `count` says less.
  func models(on test: ImageDataset, count: Int? = nil) -> TrivialModels {
    let elements = test.shape.elements
    let evaluated = PixelMoments(test, count: count ?? test.count, openBLAS: full == nil ? nil : openBLAS)
    let means = zip(evaluated.means, moments.means).map { ($0 - $1) }
    let perPixel = 1 / (Double(test.shape.height * test.shape.width) * 2 * log(2))
    // -½·(ln|Σ| + tr(Σ⁻¹·M) - d): M the second moments of the evaluated set around the fitted means.
    var sum = 0.0
    for element in 0..<elements {
      let variance = moments.variance(element) * unit + noise
      let moment = (evaluated.variance(element) + means[element] * means[element]) * unit + noise
      sum += log(variance) + moment / variance - 1
    }
    var models = TrivialModels(independentPixels: -sum * perPixel, fullCovariance: nil)
    guard let full else { return models }
    var trace = 0.0
    for column in 0..<elements {
      for row in column..<elements {
        let index = column * elements + row
        let moment = (evaluated.covariances[index] + means[row] * means[column]) * unit
        trace += row == column ? full.inverse[index] * (moment + noise) : 2 * full.inverse[index] * moment
      }
    }
    models.fullCovariance = -(full.logDeterminant + trace - Double(elements)) * perPixel
    return models
  }
}

/// Means and covariances of a set's pixels, in grey levels; sums of integers, exact in any order.
private struct PixelMoments {
  /// Values of a set that are looked at: all of MNIST's and CIFAR-10's; of larger sets the first images'.
  private static let mostValues = 1 << 28

  let means: [Double]
  /// The lower triangle, column after column; the diagonal alone where no full covariance is wanted.
  private(set) var covariances: [Double]
  private let elements: Int
  private var isFull: Bool

  /// Looks at a set's first `count` images.
  init(_ dataset: ImageDataset, count: Int, openBLAS: OpenBLAS?) {
    let elements = dataset.shape.elements
    let isFull = openBLAS != nil
    var sums = [Double](repeating: 0, count: elements)
    var squares = [Double](repeating: 0, count: isFull ? elements * elements : elements)
    let blockCount = 256
    var block = [Double](repeating: 0, count: blockCount * elements)
    let imageCount = min(count, max(1, Self.mostValues / elements))
    for first in stride(from: 0, to: imageCount, by: blockCount) {
      let images = first..<min(first + blockCount, imageCount)
      dataset.withImages(images) { pixels in
        for image in 0..<images.count {
          for element in 0..<elements {
            let value = Double(pixels[image * elements + element])
            block[image * elements + element] = value
            sums[element] += value
            if !isFull { squares[element] += value * value }
          }
        }
      }
      openBLAS?.addProducts(of: block, count: images.count, size: elements, to: &squares)
    }
    self.elements = elements
    self.isFull = isFull
    let total = Double(imageCount)
    let means = sums.map { $0 / total }
    if isFull {
      for column in 0..<elements {
        for row in column..<elements {
          let index = column * elements + row
          squares[index] = squares[index] / total - means[row] * means[column]
        }
      }
    } else {
      for element in 0..<elements { squares[element] = squares[element] / total - means[element] * means[element] }
    }
    self.means = means
    covariances = squares
  }

  /// The same without covariances, which take 75 MB of CIFAR-10's images.
  func withVariancesAlone() -> PixelMoments {
    var moments = self
    moments.covariances = (0..<elements).map { variance($0) }
    moments.isFull = false
    return moments
  }

  func variance(_ element: Int) -> Double { covariances[isFull ? element * (elements + 1) : element] }
}
