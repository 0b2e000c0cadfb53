import Datasets
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct TrivialModelsTests {
  @Test("two pixels: the determinant and the inverse by hand")
  func twoPixels() throws {
    // One row of two pixels would be no square image; the second row is constant and contributes its dequantization alone.
    let pixels: [UInt8] = [10, 20, 7, 7, 30, 50, 7, 7, 60, 60, 7, 7, 20, 90, 7, 7]
    func models(_ pixels: [UInt8]) throws -> (TrivialModels, Standardization) {
      let data = ImageDataset(name: "four", shape: ImageShape(colors: 1, height: 2, width: 2), pixels: pixels)
      let standardization = try Standardization(of: data)
      return (
        TrivialModels(fittedTo: data, evaluatedOn: data, standardization: standardization, openBLAS: try OpenBLAS()),
        standardization
      )
    }
    // Four images of four values are too few for a full covariance; twice the same have the same moments.
    #expect(try models(pixels).0.fullCovariance == nil)
    let (models, standardization) = try models(pixels + pixels)
    let unit = standardization.greyLevelWidth * standardization.greyLevelWidth
    let (x, y) = ([10.0, 30, 60, 20], [20.0, 50, 60, 90])
    func covariance(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } / 4 - a.reduce(0, +) * b.reduce(0, +) / 16
    }
    let noise = unit / 12
    let (a, b, c) = (covariance(x, x) * unit + noise, covariance(y, y) * unit + noise, covariance(x, y) * unit)
    let perPixel = 1 / (2 * 4 * log(2.0))
    #expect(abs(models.independentPixels + (log(a) + log(b) + 2 * log(noise)) * perPixel) < 1e-12)
    #expect(abs(try #require(models.fullCovariance) + (log(a * b - c * c) + 2 * log(noise)) * perPixel) < 1e-9)
  }

  @Test(
    "MNIST: 2.23 and 3.06 bits/pixel, as MODEL.md has them",
    .enabled(if: ProcessInfo.processInfo.environment["DPM_DATA_DIR"] != nil, "DPM_DATA_DIR is not set"))
  func mnist() throws {
    let data = try TrainingData.load(.mnist, from: ProcessInfo.processInfo.environment["DPM_DATA_DIR"])
    let models = TrivialModels(
      fittedTo: data.train, evaluatedOn: data.test, standardization: try Standardization(of: data.train),
      openBLAS: try OpenBLAS())
    #expect(abs(models.independentPixels - 2.223) < 0.002)
    #expect(abs(try #require(models.fullCovariance) - 3.059) < 0.002)
  }

  @Test(
    "CIFAR-10: 0.07 and 10.15 bits/pixel, as MODEL.md has them",
    .enabled(if: ProcessInfo.processInfo.environment["DPM_DATA_DIR"] != nil, "DPM_DATA_DIR is not set"))
  func cifar10() throws {
    let data = try TrainingData.load(.cifar10, from: ProcessInfo.processInfo.environment["DPM_DATA_DIR"])
    let models = TrivialModels(
      fittedTo: data.train, evaluatedOn: data.test, standardization: try Standardization(of: data.train),
      openBLAS: try OpenBLAS())
    #expect(abs(models.independentPixels - 0.07) < 0.02)
    #expect(abs(try #require(models.fullCovariance) - 10.15) < 0.1)
  }
}
