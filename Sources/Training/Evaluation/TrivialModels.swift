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
/// the standardized, dequantized data (model.md, "Objective").
public struct TrivialModels: Equatable, Sendable {
  /// One Gaussian for each value of a pixel, independent of the others.
  public var independentPixels: Double
  /// One Gaussian with full covariance; nil where an image has too many values for it, or as many as there are images: what
  /// varied in none of them would then be taken for constant.
  public var fullCovariance: Double?

  /// A full covariance of more values than this takes more than 128 MiB and minutes.
  static let mostElements = 4096

  /// Values of a set that are looked at: all of MNIST's and CIFAR-10's; of larger sets the first images'.
  static let mostValues = 1 << 28

  /// Fits to one set and evaluates on another; on this process alone.
  public init(
    fittedTo train: ImageDataset, evaluatedOn test: ImageDataset, standardization: Standardization, openBLAS: OpenBLAS
  ) {
    let elements = train.shape.elements
    let isFull = elements <= Self.mostElements && train.count > elements
    // Matrices are changed in place: CIFAR-10's take 75 MB each.
    var (fitted, evaluated) = (
      PixelMoments(train, openBLAS: isFull ? openBLAS : nil), PixelMoments(test, openBLAS: isFull ? openBLAS : nil)
    )
    // In units of the standardized data; dequantization adds a uniform variable of the width of a grey level.
    let unit = standardization.greyLevelWidth * standardization.greyLevelWidth
    let noise = unit / 12
    let means = zip(evaluated.means, fitted.means).map { ($0 - $1) }
    let perPixel = 1 / (Double(train.shape.height * train.shape.width) * 2 * log(2))
    // -½·(ln|Σ| + tr(Σ⁻¹·M) - d): M the second moments of the evaluated set around the fitted means.
    var sum = 0.0
    for element in 0..<elements {
      let variance = fitted.variance(element) * unit + noise
      let moment = (evaluated.variance(element) + means[element] * means[element]) * unit + noise
      sum += log(variance) + moment / variance - 1
    }
    independentPixels = -sum * perPixel
    guard isFull else { return }
    for row in 0..<elements {
      for column in 0...row {
        let index = column * elements + row
        let floor = row == column ? noise : 0
        fitted.covariances[index] = fitted.covariances[index] * unit + floor
        evaluated.covariances[index] = (evaluated.covariances[index] + means[row] * means[column]) * unit + floor
      }
    }
    guard let logDeterminant = openBLAS.invert(&fitted.covariances, size: elements) else { return }
    var trace = 0.0
    for column in 0..<elements {
      for row in column..<elements {
        let index = column * elements + row
        trace += (row == column ? 1 : 2) * fitted.covariances[index] * evaluated.covariances[index]
      }
    }
    fullCovariance = -(logDeterminant + trace - Double(elements)) * perPixel
  }
}

/// Means and covariances of a set's pixels, in grey levels; sums of integers, exact in any order.
private struct PixelMoments {
  let means: [Double]
  /// The lower triangle, column after column; the diagonal alone is filled where no full covariance is wanted.
  var covariances: [Double]
  private let elements: Int
  private let isFull: Bool

  init(_ dataset: ImageDataset, openBLAS: OpenBLAS?) {
    let elements = dataset.shape.elements
    let isFull = openBLAS != nil
    var sums = [Double](repeating: 0, count: elements)
    var squares = [Double](repeating: 0, count: isFull ? elements * elements : elements)
    let blockCount = 256
    var block = [Double](repeating: 0, count: blockCount * elements)
    let imageCount = min(dataset.count, max(1, TrivialModels.mostValues / elements))
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

  func variance(_ element: Int) -> Double { covariances[isFull ? element * (elements + 1) : element] }
}
