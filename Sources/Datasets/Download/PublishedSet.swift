import Tensors

/// One file of a published data set, as it is when unpacked.
struct PublishedFile: Equatable, Sendable {
  /// Its name.
  let name: String
  /// Its length.
  let bytes: Int
  /// SHA-256 of its content, in hexadecimal digits.
  ///
  /// Of the content rather than of the archive: mirrors compress anew, and then the archive's digest changes.
  let digest: String
}

/// What is downloaded: one compressed file, or several in a tar archive.
struct PublishedArchive: Equatable, Sendable {
  /// How its content is arranged.
  enum Format: Sendable {
    /// The one file itself, compressed.
    case gzip
    /// A compressed tar archive that has the files among its members.
    case tar
  }

  /// Its path below a mirror's base address.
  let path: String
  /// About how many bytes it has, for the progress bar and the check of free space.
  let bytes: Int
  let format: Format
  /// What is unpacked from it.
  let files: [PublishedFile]
  /// Whole addresses, in the order in which they are tried.
  let addresses: [String]
}

/// A data set that can be downloaded.
struct PublishedSet: Equatable, Sendable {
  /// What the user calls it.
  let title: String
  /// Its folder in the cache, one of those where `TrainingData.load` looks.
  let folder: String
  /// All its archives.
  let archives: [PublishedArchive]

  /// Everything that is unpacked.
  var files: [PublishedFile] { archives.flatMap(\.files) }

  /// The published set of a name; nil for sets that are not published as files.
  static func named(_ name: DatasetName) -> PublishedSet? {
    switch name {
    case .mnist: mnist
    case .cifar10: cifar10
    case .images, .imagenet, .procedural: nil
    }
  }

  /// The digits of LeCun, Cortes and Burges.
  ///
  /// Mirrors come first: the authors' page, http://yann.lecun.com/exdb/mnist, often refuses.
  private static let mnist = PublishedSet(
    title: "MNIST", folder: "mnist",
    archives: [
      mnistArchive(
        "train-images-idx3-ubyte", packed: 9_912_422, unpacked: 47_040_016,
        digest: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
      mnistArchive(
        "t10k-images-idx3-ubyte", packed: 1_648_877, unpacked: 7_840_016,
        digest: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ])

  private static func mnistArchive(
    _ name: String, packed: Int, unpacked: Int, digest: String
  ) -> PublishedArchive {
    let bases = [
      "https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist",
      "http://yann.lecun.com/exdb/mnist",
    ]
    return PublishedArchive(
      path: "mnist/\(name).gz", bytes: packed, format: .gzip,
      files: [PublishedFile(name: name, bytes: unpacked, digest: digest)], addresses: bases.map { "\($0)/\(name).gz" })
  }

  /// The binary version, which Alex Krizhevsky publishes at https://www.cs.toronto.edu/~kriz/cifar.html.
  private static let cifar10 = PublishedSet(
    title: "CIFAR10", folder: "cifar-10-batches-bin",
    archives: [
      PublishedArchive(
        path: "cifar-10-binary.tar.gz", bytes: 170_052_171, format: .tar,
        files: [
          ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
          ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
          ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
          ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
          ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
          ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
        ].map { PublishedFile(name: $0.0, bytes: 30_730_000, digest: $0.1) },
        addresses: [
          "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
          "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
        ])
    ])
}
