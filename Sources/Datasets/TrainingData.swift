import Glibc
import Tensors

/// The data sets that can be trained on.
public enum DatasetName: String, CaseIterable, Sendable {
  /// MNIST's handwritten digits, 28×28, grey; or any other set in files of the same names and format.
  case mnist
  /// CIFAR-10, 32×32, colour.
  case cifar10

  /// Reads a name in any case, with or without a hyphen: `MNIST`, `CIFAR10`, `cifar-10`.
  ///
  /// - Parameters:
  ///   - text: The name as the user wrote it.
  ///   - subject: The flag or key that it was given for, which the error names.
  /// - Throws: `InputError` with the names that are allowed.
  public init(_ text: String, subject: String = "dataset.name") throws(InputError) {
    guard let name = DatasetName(rawValue: text.lowercased().filter { $0 != "-" && $0 != "_" }) else {
      let allowed = DatasetName.allCases.map { $0.rawValue.uppercased() }.joined(separator: " or ")
      throw InputError(subject, found: "\"\(text)\"", expected: allowed)
    }
    self = name
  }

  /// The files of the training images and the file of the test images, raw; each may also be there with `.gz`.
  fileprivate var files: (train: [String], test: String) {
    switch self {
    case .mnist: (["train-images-idx3-ubyte"], "t10k-images-idx3-ubyte")
    case .cifar10: ((1...5).map { "data_batch_\($0).bin" }, "test_batch.bin")
    }
  }

  /// Folders under a common data folder where the files may lie, as the published archives and others unpack them.
  fileprivate var folders: [String] {
    switch self {
    case .mnist: ["mnist", "MNIST", "MNIST/raw"]
    case .cifar10: ["cifar-10-batches-bin"]
    }
  }

  /// The files as an error names what is looked for.
  fileprivate var filesDescription: String {
    switch self {
    case .mnist: "train-images-idx3-ubyte and t10k-images-idx3-ubyte"
    case .cifar10: "data_batch_1.bin ... data_batch_5.bin and test_batch.bin"
    }
  }
}

/// The images to train on and those to evaluate with.
public struct TrainingData: Sendable {
  /// The training set.
  public let train: ImageDataset
  /// The test set, of the same shape.
  public let test: ImageDataset

  /// Two sets of images.
  ///
  /// - Throws: `InputError` if their shapes differ, or the images are not square, as the network needs them.
  public init(train: ImageDataset, test: ImageDataset) throws(InputError) {
    let (shape, other) = (train.shape, test.shape)
    guard shape.height == shape.width else {
      throw InputError(train.name, found: "images of \(shape.height)×\(shape.width)", expected: "square images")
    }
    guard shape == other else {
      throw InputError(
        test.name, found: "test images of \(other.colors)×\(other.height)×\(other.width)",
        expected: "\(shape.colors)×\(shape.height)×\(shape.width) as for training")
    }
    self.train = train
    self.test = test
  }

  /// Reads a data set from a folder that holds its files, raw or gzipped, itself or in the usual subfolder.
  ///
  /// - Parameters:
  ///   - name: Which data set.
  ///   - directory: The folder that `--data-dir`, the configuration or `DPM_DATA_DIR` names; nil if none does.
  /// - Throws: `InputError` if no folder is given or it lacks a file, and for every fault of a file.
  public static func load(_ name: DatasetName, from directory: String?) throws(InputError) -> TrainingData {
    let title = name.rawValue.uppercased()
    guard let directory, !directory.isEmpty else {
      throw InputError(
        "dataset.path", found: "no folder to read \(title) from",
        expected: "--data-dir, dataset.path or DPM_DATA_DIR to name the one with \(name.filesDescription) (or .gz)")
    }
    let folder = try folder(of: name, under: directory)
    var trainPaths: [String] = []
    for file in name.files.train { trainPaths.append(try path(of: file, in: folder)) }
    let testPath = try path(of: name.files.test, in: folder)
    switch name {
    case .mnist:
      return try TrainingData(
        train: IDXFile.readImages(trainPaths[0], name: title), test: IDXFile.readImages(testPath, name: title))
    case .cifar10:
      return try TrainingData(
        train: CIFARFile.readImages(trainPaths, name: title), test: CIFARFile.readImages([testPath], name: title))
    }
  }

  /// The first of the folders where `name` may lie that has at least one of its files: what is missing there is then named.
  private static func folder(of name: DatasetName, under directory: String) throws(InputError) -> String {
    guard access(directory, F_OK) == 0 else {
      throw InputError(directory, found: "no such folder", expected: "a folder with \(name.filesDescription) (or .gz)")
    }
    let candidates = [directory] + name.folders.map { "\(directory)/\($0)" }
    let files = name.files.train + [name.files.test]
    for candidate in candidates where files.contains(where: { existingPath(of: $0, in: candidate) != nil }) {
      return candidate
    }
    let subfolders = name.folders.map { "\($0)/" }.joined(separator: " or ")
    throw InputError(
      directory, found: "no \(name.rawValue.uppercased()) files",
      expected: "\(name.filesDescription) (or .gz) in it or in its \(subfolders)")
  }

  private static func path(of file: String, in folder: String) throws(InputError) -> String {
    guard let path = existingPath(of: file, in: folder) else {
      throw InputError("\(folder)/\(file)", found: "no such file", expected: "it or \(file).gz")
    }
    return path
  }

  private static func existingPath(of file: String, in folder: String) -> String? {
    ["\(folder)/\(file)", "\(folder)/\(file).gz"].first { access($0, F_OK) == 0 }
  }
}
