public import Tensors

/// The sizes of one image: C×H×W.
public struct ImageShape: Equatable, Sendable {
  /// Colours of a pixel, C: 1 (grey) or 3 (red, green, blue).
  public let colors: Int
  /// Rows, H.
  public let height: Int
  /// Columns, W.
  public let width: Int

  /// A shape; every size must be positive.
  public init(colors: Int, height: Int, width: Int) {
    precondition(colors > 0 && height > 0 && width > 0, "An image has at least one pixel of one colour.")
    self.colors = colors
    self.height = height
    self.width = width
  }

  /// Values of an image, C·H·W.
  public var elements: Int { colors * height * width }
}

/// Images of one shape, 8 bits a value: in memory, in a mapped file, or drawn as they are needed.
///
/// The readers (`IDXFile`, `CIFARFile`) check everything before they make one, so whoever holds a data set may rely on it.
/// Pixels are reached only through `withImages` and `ImageReader`, so that where they lie can change without its users.
public struct ImageDataset: Sendable {
  /// What logs and errors call the data set.
  public let name: String
  /// The shape of every image.
  public let shape: ImageShape
  /// Number of images, at least one; of an endless set those of an epoch.
  public let count: Int
  let storage: Storage

  enum Storage: Sendable {
    case stored(PixelMemory)
    /// Image `first` + i, or of an endless set `first` + visit·count + i.
    case drawn(any ProceduralImages, first: Int, isEndless: Bool)
  }

  /// A data set over pixels that are already in order.
  ///
  /// - Parameters:
  ///   - name: What logs and errors call it.
  ///   - shape: The shape of every image.
  ///   - pixels: [count][C][H][W], 0 (black) ... 255.
  /// - Precondition: `pixels` holds one or more whole images.
  public init(name: String, shape: ImageShape, pixels: [UInt8]) {
    precondition(
      !pixels.isEmpty && pixels.count.isMultiple(of: shape.elements), "A data set is one or more whole images.")
    self.name = name
    self.shape = shape
    self.count = pixels.count / shape.elements
    storage = .stored(PixelMemory(copying: pixels))
  }

  /// A data set over pixels in shared memory.
  ///
  /// - Parameters:
  ///   - count: Number of images.
  ///   - memory: Has their pixels, [count][C][H][W], from `offset` on.
  public init(name: String, shape: ImageShape, count: Int, memory: MappedMemory, offset: Int) {
    precondition(
      count > 0 && offset >= 0 && offset + count * shape.elements <= memory.bytes.count,
      "A data set is one or more whole images.")
    self.name = name
    self.shape = shape
    self.count = count
    storage = .stored(PixelMemory(memory, offset: offset))
  }

  /// Says that images of a mapped file will be asked for soon, so that they can be read meanwhile.
  public func willNeed(_ images: Range<Int>) {
    guard case .stored(let memory) = storage else { return }
    memory.advise(.soon, images.lowerBound * shape.elements..<images.upperBound * shape.elements)
  }

  /// Says that images of a mapped file will be asked for in no order.
  func willBeScattered() {
    guard case .stored(let memory) = storage else { return }
    memory.advise(.scattered, 0..<count * shape.elements)
  }

  /// A data set of images that are drawn whenever they are asked for.
  ///
  /// - Parameters:
  ///   - count: Number of images, or of an endless set those of an epoch.
  ///   - first: Number of the first image: what its random numbers are keyed by.
  ///   - isEndless: Whether every visit finds other images.
  init(name: String, shape: ImageShape, count: Int, drawnBy images: any ProceduralImages, first: Int, isEndless: Bool) {
    self.name = name
    self.shape = shape
    self.count = count
    storage = .drawn(images, first: first, isEndless: isEndless)
  }

  /// Whether images are drawn as they are needed.
  public var isDrawn: Bool { if case .drawn = storage { true } else { false } }

  /// Calls `body` with some images' pixels, [images][C][H][W]; the pointer is valid only inside.
  ///
  /// Of an endless set these are the first visit's. They are drawn into memory here: ask for a few at a time.
  public func withImages<Result, Failure: Error>(
    _ images: Range<Int>, _ body: (UnsafeBufferPointer<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(images.lowerBound >= 0 && images.upperBound <= count, "There are no images of these numbers.")
    let range = images.lowerBound * shape.elements..<images.upperBound * shape.elements
    switch storage {
    case .stored(let memory):
      memory.advise(.soon, range)
      return try withExtendedLifetime(memory) { () throws(Failure) in
        try body(UnsafeBufferPointer(start: memory.start + range.lowerBound, count: range.count))
      }
    case .drawn:
      let reader = ImageReader(self, capacity: images.count)
      for (place, index) in images.enumerated() { _ = reader.image(at: index, visit: 0, place: place) }
      return try withExtendedLifetime(reader) { () throws(Failure) in try body(reader.drawnImages) }
    }
  }

  /// Calls `body` with all images in their order, block by block.
  ///
  /// - Parameter block: Most images of a block.
  public func forEachBlock(of block: Int = 256, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
    for first in stride(from: 0, to: count, by: block) { withImages(first..<min(first + block, count), body) }
  }

  /// A copy of one image, [C][H][W].
  public func image(at index: Int) -> [UInt8] { withImages(index..<index + 1) { Array($0) } }

  /// A digest of the shape and of every pixel, but not of the name (`Digest`).
  ///
  /// Computed at every call, about 0.1 s for 150 MB. Of a set that is drawn, the first 64 images have to do.
  public func digest() -> String {
    var digest = Digest()
    let sizes = [shape.colors, shape.height, shape.width].flatMap { size in
      (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
    }
    sizes.withUnsafeBytes { digest.add($0) }
    if isDrawn {
      withImages(0..<min(64, count)) { digest.add(UnsafeRawBufferPointer($0)) }
    } else {
      forEachBlock { digest.add(UnsafeRawBufferPointer($0)) }
    }
    return digest.hexadecimal
  }
}

/// Memory with pixels, the process's own or shared with others, that does not move as long as this lives.
final class PixelMemory: @unchecked Sendable {
  /// The first pixel of the first image; nobody writes here any more.
  let start: UnsafePointer<UInt8>
  /// What the pixels are part of, if other processes have it too.
  private let mapping: MappedMemory?
  private let offset: Int

  /// A copy of some pixels.
  init(copying pixels: [UInt8]) {
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: pixels.count)
    _ = copy.initialize(from: pixels)
    guard let first = copy.baseAddress else { preconditionFailure("a data set has pixels") }
    start = UnsafePointer(first)
    mapping = nil
    offset = 0
  }

  /// Bytes of shared memory, from an offset on.
  init(_ memory: MappedMemory, offset: Int) {
    guard let first = memory.bytes.baseAddress else { preconditionFailure("a data set has pixels") }
    start = UnsafePointer((first + offset).assumingMemoryBound(to: UInt8.self))
    mapping = memory
    self.offset = offset
  }

  /// Tells the system how pixels will be read.
  func advise(_ access: MappedMemory.Access, _ range: Range<Int>) {
    mapping?.advise(access, offset + range.lowerBound..<offset + range.upperBound)
  }

  deinit { if mapping == nil { start.deallocate() } }
}
