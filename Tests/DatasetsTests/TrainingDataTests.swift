import Datasets
import Foundation
import Tensors
import Testing

/// The folder of the full data sets, if this machine has them.
private let dataDirectory = ProcessInfo.processInfo.environment["DPM_DATA_DIR"]

@Suite struct TrainingDataTests {
  let folder: TemporaryFolder
  let images = idxBytes(count: 3, height: 2, width: 2, pixels: ramp(12))

  init() throws { folder = try TemporaryFolder() }

  @Test("names are read in any case, with or without a hyphen")
  func names() throws {
    for text in ["MNIST", "mnist", "Mnist"] { #expect(try DatasetName(text) == .mnist) }
    for text in ["CIFAR10", "cifar-10", "CIFAR_10"] { #expect(try DatasetName(text) == .cifar10) }
    for text in ["dead-leaves", "DeadLeaves", "DEAD_LEAVES"] {
      #expect(try DatasetName(text).rawValue == "dead-leaves")
    }
  }

  @Test("a name that is none is shown with those that are", arguments: ["SVHN", "", "cifar100"])
  func unknownName(text: String) {
    let error = #expect(throws: InputError.self) { try DatasetName(text, subject: "--dataset") }
    #expect(error?.description == "--dataset: \"\(text)\", expected MNIST, CIFAR10, IMAGES, IMAGENET or DEAD-LEAVES")
  }

  @Test(
    "MNIST's files are found in the folder or its usual subfolders", arguments: ["", "mnist/", "MNIST/", "MNIST/raw/"])
  func subfolders(prefix: String) throws {
    _ = try folder.write(folder.gzipped(images), as: prefix + "train-images-idx3-ubyte.gz")
    _ = try folder.write(images, as: prefix + "t10k-images-idx3-ubyte")
    let data = try TrainingData.load(.mnist, from: folder.path)
    #expect(data.train.name == "MNIST")
    #expect(data.train.count == 3)
    #expect(data.test.digest() == data.train.digest())
  }

  @Test("CIFAR-10's five training files follow each other")
  func cifar() throws {
    for (index, file) in ((1...5).map { "data_batch_\($0).bin" } + ["test_batch.bin"]).enumerated() {
      let record = [0] + Array(repeating: UInt8(index), count: 3072)
      _ = try folder.write(record, as: "cifar-10-batches-bin/\(file)")
    }
    let data = try TrainingData.load(.cifar10, from: folder.path)
    #expect((0..<data.train.count).map { data.train.image(at: $0)[0] } == [0, 1, 2, 3, 4])
    #expect(data.test.image(at: 0)[3071] == 5)
  }

  @Test("without a folder the error says how to give one and what it must hold")
  func noDirectory() {
    for directory in [nil, ""] {
      let error = #expect(throws: InputError.self) { try TrainingData.load(.cifar10, from: directory) }
      for part in ["--data-dir", "DPM_DATA_DIR", "data_batch_1.bin"] {
        #expect(error?.description.contains(part) == true)
      }
    }
  }

  @Test("a folder that is not there, or holds nothing of the data set, is named")
  func emptyDirectory() {
    let missing = #expect(throws: InputError.self) {
      try TrainingData.load(.mnist, from: folder.path + "/nowhere")
    }
    #expect(missing?.subject == folder.path + "/nowhere")
    #expect(missing?.found == "no such folder")
    let empty = #expect(throws: InputError.self) { try TrainingData.load(.mnist, from: folder.path) }
    #expect(empty?.found == "no MNIST files")
  }

  @Test("the file that is missing is named")
  func missingFile() throws {
    _ = try folder.write(images, as: "mnist/train-images-idx3-ubyte")
    let error = #expect(throws: InputError.self) { try TrainingData.load(.mnist, from: folder.path) }
    #expect(error?.subject == folder.path + "/mnist/t10k-images-idx3-ubyte")
    #expect(error?.found == "no such file")
  }

  @Test("test images of another shape, and images that are not square, are refused")
  func shapes() throws {
    _ = try folder.write(images, as: "train-images-idx3-ubyte")
    let other = idxBytes(count: 1, height: 3, width: 3, pixels: ramp(9))
    _ = try folder.write(other, as: "t10k-images-idx3-ubyte")
    let mixed = #expect(throws: InputError.self) { try TrainingData.load(.mnist, from: folder.path) }
    #expect(mixed?.found == "test images of 1×3×3")
    _ = try folder.write(
      idxBytes(count: 3, height: 1, width: 4, pixels: ramp(12)), as: "train-images-idx3-ubyte")
    let oblong = #expect(throws: InputError.self) { try TrainingData.load(.mnist, from: folder.path) }
    #expect(oblong?.found == "images of 1×4")
  }

  @Test("the data set of the repository is the beginning of MNIST")
  func carried() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let data = try TrainingData.load(.mnist, from: root.appendingPathComponent("data/mnist-mini").path)
    #expect(data.train.count == 7500)
    #expect(data.test.count == 1000)
    #expect(data.train.shape == ImageShape(colors: 1, height: 28, width: 28))
    let standardization = try Standardization(of: data.train)
    let mean = -standardization.shift / standardization.scale * 255
    #expect(abs(mean - 33.34103656462585) < 1e-9)
  }

  @Test(
    "the full MNIST has its published counts, mean and deviation",
    .enabled(if: dataDirectory != nil, "DPM_DATA_DIR is not set"))
  func fullMNIST() throws {
    let data = try TrainingData.load(.mnist, from: dataDirectory)
    #expect(data.train.count == 60_000)
    #expect(data.test.count == 10_000)
    let standardization = try Standardization(of: data.train)
    #expect(abs(-standardization.shift / standardization.scale * 255 - 33.3184) < 5e-5)
    #expect(abs(255 / standardization.scale - 78.5675) < 5e-5)
  }

  @Test(
    "the full CIFAR-10 has its published counts, first pixels, mean and deviation",
    .enabled(if: dataDirectory != nil, "DPM_DATA_DIR is not set"))
  func fullCIFAR() throws {
    let data = try TrainingData.load(.cifar10, from: dataDirectory)
    #expect(data.train.count == 50_000)
    #expect(data.test.count == 10_000)
    #expect(data.train.image(at: 0).starts(with: [59, 43, 50]))
    #expect(data.test.image(at: 0).starts(with: [158, 159, 165]))
    // From the published means and deviations of the three colours.
    let (means, deviations) = ([0.49139968, 0.48215841, 0.44653091], [0.24703223, 0.24348513, 0.26158784])
    let mean = means.reduce(0, +) / 3
    let square = zip(means, deviations).reduce(0) { $0 + $1.0 * $1.0 + $1.1 * $1.1 } / 3
    let standardization = try Standardization(of: data.train)
    #expect(abs(-standardization.shift / standardization.scale - mean) < 1e-7)
    #expect(abs(1 / standardization.scale - (square - mean * mean).squareRoot()) < 1e-7)
  }
}
