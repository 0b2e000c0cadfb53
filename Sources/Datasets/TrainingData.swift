import Glibc
import Tensors

/// What a published set's files are called and where they lie.
private struct PublishedFiles {
  /// The files of the training images, raw; each may also be there with `.gz`.
  let train: [String]
  /// The file of the test images, likewise.
  let test: String
  /// Folders under a common data folder where the files may lie, as the published archives and others unpack them.
  let folders: [String]
  /// The files as an error names what is looked for.
  let description: String

  /// Those of a set; nil for one that is no set of published files.
  static func of(_ name: DatasetName) -> PublishedFiles? {
    switch name {
    case .mnist:
      PublishedFiles(
        train: ["train-images-idx3-ubyte"], test: "t10k-images-idx3-ubyte", folders: ["mnist", "MNIST", "MNIST/raw"],
        description: "train-images-idx3-ubyte and t10k-images-idx3-ubyte")
    case .cifar10:
      PublishedFiles(
        train: (1...5).map { "data_batch_\($0).bin" }, test: "test_batch.bin", folders: ["cifar-10-batches-bin"],
        description: "data_batch_1.bin ... data_batch_5.bin and test_batch.bin")
    case .images, .imagenet, .procedural: nil
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

  /// Reads a published data set from a folder that holds its files, raw or gzipped, itself or in the usual subfolder.
  ///
  /// - Parameters:
  ///   - name: Which data set: `mnist` or `cifar10`.
  ///   - directory: The folder that `--data-dir`, the configuration or `DPM_DATA_DIR` names; nil if none does.
  /// - Throws: `InputError` if no folder is given or it lacks a file, and for every fault of a file.
  public static func load(_ name: DatasetName, from directory: String?) throws(InputError) -> TrainingData {
    guard let files = PublishedFiles.of(name) else { preconditionFailure("\(name.rawValue) has no published files") }
    let title = name.rawValue.uppercased()
    guard let directory, !directory.isEmpty else {
      throw InputError(
        "dataset.path", found: "no folder to read \(title) from",
        expected: "--data-dir, dataset.path or DPM_DATA_DIR to name the one with \(files.description) (or .gz)")
    }
    let folder = try folder(of: files, title, under: directory)
    var trainPaths: [String] = []
    for file in files.train { trainPaths.append(try path(of: file, in: folder)) }
    let testPath = try path(of: files.test, in: folder)
    guard name == .mnist else {
      return try TrainingData(
        train: CIFARFile.readImages(trainPaths, name: title), test: CIFARFile.readImages([testPath], name: title))
    }
    return try TrainingData(
      train: IDXFile.readImages(trainPaths[0], name: title), test: IDXFile.readImages(testPath, name: title))
  }

  /// The first of the folders where a set may lie that has at least one of its files: what is missing there is then named.
  private static func folder(
    of files: PublishedFiles, _ title: String, under directory: String
  ) throws(InputError) -> String {
    guard access(directory, F_OK) == 0 else {
      throw InputError(directory, found: "no such folder", expected: "a folder with \(files.description) (or .gz)")
    }
    let candidates = [directory] + files.folders.map { "\(directory)/\($0)" }
    let names = files.train + [files.test]
    for candidate in candidates where names.contains(where: { existingPath(of: $0, in: candidate) != nil }) {
      return candidate
    }
    let subfolders = files.folders.map { "\($0)/" }.joined(separator: " or ")
    throw InputError(
      directory, found: "no \(title) files",
      expected: "\(files.description) (or .gz) in it or in its \(subfolders)")
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
