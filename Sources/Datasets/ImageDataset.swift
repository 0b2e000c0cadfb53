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

/// Images of one shape, 8 bits a value, in memory.
///
/// The readers (`IDXFile`, `CIFARFile`) check everything before they make one, so whoever holds a data set may rely on it.
/// Pixels are reached only through `withPixels`, so that where they lie can change without its users.
public struct ImageDataset: Sendable {
  /// What logs and errors call the data set.
  public let name: String
  /// The shape of every image.
  public let shape: ImageShape
  /// Number of images, at least one.
  public let count: Int
  private let storage: Storage

  private enum Storage: Sendable {
    case own([UInt8])
    /// Bytes from an offset on, in memory that the processes of a host share.
    case shared(MappedMemory, offset: Int)
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
    self.storage = .own(pixels)
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
    storage = .shared(memory, offset: offset)
  }

  /// Calls `body` with all pixels, [count][C][H][W]; the pointer is valid only inside.
  public func withPixels<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    switch storage {
    case .own(let pixels): return try pixels.withUnsafeBufferPointer(body)
    case .shared(let memory, let offset):
      let bytes = UnsafeRawBufferPointer(rebasing: memory.bytes[offset..<offset + count * shape.elements])
      return try withExtendedLifetime(memory) { () throws(Failure) in
        try body(bytes.assumingMemoryBound(to: UInt8.self))
      }
    }
  }

  /// A copy of one image, [C][H][W].
  public func image(at index: Int) -> [UInt8] {
    precondition((0..<count).contains(index), "There is no image of that index.")
    return withPixels { Array($0[index * shape.elements..<(index + 1) * shape.elements]) }
  }

  /// A digest of the shape and of every pixel, but not of the name (`Digest`).
  ///
  /// Computed at every call, about 0.1 s for 150 MB.
  public func digest() -> String {
    let sizes = [shape.colors, shape.height, shape.width].flatMap { size in
      (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
    }
    return withPixels { Digest.hexadecimal(of: UnsafeRawBufferPointer($0), after: sizes) }
  }
}
