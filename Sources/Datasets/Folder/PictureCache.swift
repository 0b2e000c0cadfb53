import Foundation
public import Tensors

/// A file in the user's cache folder with the pixels of a folder's pictures, ready to be mapped.
///
/// The pixels, [count][C][H][W], those to train on first; then a summary (JSON), its length in 8 bytes, and a mark in 8
/// bytes, without which the file was cut short. One file for each folder and shape: a newer one takes the older one's place.
public struct PictureCache: Sendable {
  /// The file.
  public let path: String
  /// The shape of its images.
  public let shape: ImageShape
  /// What logs and errors call the data set.
  public let name: String

  /// A picture that could not be decoded.
  public struct Skipped: Codable, Equatable, Sendable {
    /// The file, relative to the folder, as text.
    public let name: String
    /// What is wrong with it.
    public let reason: String

    /// A file and what is wrong with it.
    public init(name: String, reason: String) {
      self.name = name
      self.reason = reason
    }
  }

  /// What stands behind the pixels.
  struct Summary: Codable {
    var version = PictureCache.version
    var listing: String
    var trainCount: Int
    var testCount: Int
    /// Of the images to train on.
    var levels: GreyLevels
    /// Of all pixels.
    var digest: String
    var skipped: [Skipped]
  }

  /// To be raised whenever the same files would give other pixels, or in another order.
  static let version = 2
  static let mark = Array("DPMimage".utf8)

  /// The cache of a folder's pictures in one shape.
  ///
  /// - Throws: `InputError` if the user's cache folder cannot be made.
  public init(
    of folder: String, shape: ImageShape, name: String, cache: String = CacheFolder.path()
  ) throws(InputError) {
    let full = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
    let key = Array("\(full) \(shape.colors) \(shape.width)".utf8).withUnsafeBytes { Digest.hexadecimal(of: $0) }
    path = "\(try CacheFolder.make("images", in: cache))/\(key).dpm"
    self.shape = shape
    self.name = name
  }

  /// What the cache holds; nil if there is nothing, of another listing or version, or cut short.
  ///
  /// - Parameter listing: The digest of the folder's listing now.
  /// - Throws: `InputError` if all pixels are equal.
  public func contents(listing: String) throws(InputError) -> CachedPictures? {
    guard let memory = MappedMemory(contentsOf: path) else { return nil }
    let (bytes, tail) = (memory.bytes, Self.mark.count + 8)
    guard bytes.count > tail, bytes.suffix(Self.mark.count).elementsEqual(Self.mark) else { return nil }
    let length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - tail, as: UInt64.self))
    guard length <= bytes.count - tail else { return nil }
    let pixels = bytes.count - tail - Int(length)
    let json = Data(bytes[pixels..<bytes.count - tail])
    guard let summary = try? JSONDecoder().decode(Summary.self, from: json), summary.version == Self.version,
      summary.listing == listing, summary.trainCount > 0, summary.testCount > 0,
      summary.trainCount <= pixels, summary.testCount <= pixels,
      pixels == (summary.trainCount + summary.testCount) * shape.elements, summary.levels.arePossible
    else { return nil }
    return try CachedPictures(memory, summary, name: name, shape: shape)
  }
}

/// Pictures in a mapped file, with what was computed from all of them when it was written.
public struct CachedPictures: Sendable {
  /// The images.
  public let data: TrainingData
  /// That of the images to train on.
  public let standardization: Standardization
  /// Of all pixels.
  public let digest: String
  /// The file, as other processes of the host can map it.
  public let memory: MappedMemory
  /// Pictures that are not among them.
  public let skipped: [PictureCache.Skipped]

  init(
    _ memory: MappedMemory, _ summary: PictureCache.Summary, name: String, shape: ImageShape
  ) throws(InputError) {
    self.memory = memory
    data = try TrainingData(
      name: name, shape: shape, trainCount: summary.trainCount, testCount: summary.testCount, memory: memory)
    standardization = try Standardization(of: summary.levels, name: name, images: summary.trainCount)
    digest = "\(summary.digest) \(summary.trainCount) \(summary.testCount)"
    skipped = summary.skipped
  }
}

extension TrainingData {
  /// Both sets in one piece of shared memory, the images to train on first.
  ///
  /// - Throws: `InputError` if they are not square.
  public init(
    name: String, shape: ImageShape, trainCount: Int, testCount: Int, memory: MappedMemory
  ) throws(InputError) {
    let train = ImageDataset(name: name, shape: shape, count: trainCount, memory: memory, offset: 0)
    train.willBeScattered()
    try self.init(
      train: train,
      test: ImageDataset(
        name: name, shape: shape, count: testCount, memory: memory, offset: trainCount * shape.elements))
  }
}
