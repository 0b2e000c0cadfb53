public import Tensors

/// Images that are drawn as they are needed: an endless data set.
///
/// A set is one type that conforms, and one line in `ProceduralSet.all` (docs/DATASETS.md). What is drawn must depend on
/// nothing but the random numbers that come with an image: any rank draws any image.
public protocol ProceduralImages: Sendable {
  /// The set's name as configurations have it: lower case, words joined by hyphens.
  static var name: String { get }
  /// Width of the images where `model.spatial_width` says nothing.
  static var defaultWidth: Int { get }

  /// Prepares to draw images of a shape: square, of one colour or three.
  init(shape: ImageShape)

  /// Draws an image.
  ///
  /// - Parameters:
  ///   - random: All that may differ from image to image.
  ///   - pixels: Room for [C][H][W], 0 (black) ... 255; it may hold another image.
  func draw(_ random: inout ImageRandom, into pixels: UnsafeMutableBufferPointer<UInt8>)
}

/// A procedural set: a line of the table that names lead through.
public struct ProceduralSet: Equatable, Sendable {
  /// Every procedural set there is.
  public static let all = [
    ProceduralSet(DeadLeaves.self)
  ]

  private let type: any ProceduralImages.Type

  private init(_ type: any ProceduralImages.Type) { self.type = type }

  /// The set's name as configurations have it.
  public var name: String { type.name }
  /// Width of the images unless another is wanted.
  public var defaultWidth: Int { type.defaultWidth }

  /// Whether both are the same set.
  public static func == (one: ProceduralSet, other: ProceduralSet) -> Bool { one.name == other.name }

  /// Images of an epoch: as the set has no end, merely what epochs, learning rates and logs are counted by.
  public static let epochImages = 50_000
  /// Images of the test set, which are always the same.
  public static let testImages = 2_000
  /// The test set's first image; no run of this universe trains on that many.
  private static let firstTestImage = 1 << 62

  /// The images to train on, other ones at every visit, and those to evaluate with.
  ///
  /// - Throws: `InputError` if the shape is not square.
  public func data(_ shape: ImageShape) throws(InputError) -> TrainingData {
    let images = type.init(shape: shape)
    let title = name.uppercased()
    return try TrainingData(
      train: ImageDataset(
        name: title, shape: shape, count: Self.epochImages, drawnBy: images, first: 0, isEndless: true),
      test: ImageDataset(
        name: title, shape: shape, count: Self.testImages, drawnBy: images, first: Self.firstTestImage,
        isEndless: false))
  }
}

/// The random numbers of one image, in the order in which its drawing asks for them.
public struct ImageRandom {
  private let random: CounterRandom
  private let image: Int
  private var block = 0
  private var words = SIMD4<UInt32>()
  private var used = 4

  /// The numbers of image number `image`; the same on every machine and in every run.
  public init(image: Int) {
    random = CounterRandom(seed: 0, purpose: .drawing, step: 0)
    self.image = image
  }

  /// The next 32 random bits.
  public mutating func word() -> UInt32 {
    if used == 4 {
      words = random.words(index: image, block: block)
      block += 1
      used = 0
    }
    defer { used += 1 }
    return words[used]
  }

  /// The next number between 0 and 1, neither included.
  public mutating func uniform() -> Double { (Double(word()) + 0.5) * 0x1p-32 }
}
