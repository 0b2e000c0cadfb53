import Tensors

/// Where a thread finds its images: in place if they are stored, else drawn into room of its own.
///
/// Nothing is allocated once it exists.
public final class ImageReader {
  private let dataset: ImageDataset
  private let elements: Int
  /// Room for images that are drawn.
  private let room: AlignedBuffer<UInt8>

  /// A reader of a data set.
  ///
  /// - Parameter capacity: Images that are in use at a time.
  public init(_ dataset: ImageDataset, capacity: Int) {
    self.dataset = dataset
    elements = dataset.shape.elements
    if case .drawn = dataset.storage {
      room = AlignedBuffer(count: capacity * elements)
    } else {
      room = AlignedBuffer(count: 0)
    }
  }

  /// An image's pixels, [C][H][W]; valid until another one is asked for at the same place.
  ///
  /// - Parameters:
  ///   - index: Of the image, 0 ..< the data set's count.
  ///   - visit: How often the set was gone through before: endless sets have another image each time.
  ///   - place: Which of the images in use it becomes, 0 ..< `capacity`.
  public func image(at index: Int, visit: Int, place: Int) -> UnsafePointer<UInt8> {
    switch dataset.storage {
    case .stored(let memory): return memory.start + index * elements
    case .drawn(let images, let first, let isEndless):
      var random = ImageRandom(image: first + (isEndless ? visit * dataset.count : 0) + index)
      let pixels = room.pointer + place * elements
      images.draw(&random, into: UnsafeMutableBufferPointer(start: pixels, count: elements))
      return UnsafePointer(pixels)
    }
  }

  /// Says that an image will be asked for soon: what lies on a disk is read meanwhile.
  public func willNeed(_ index: Int) { dataset.willNeed(index..<index + 1) }

  /// The images in use, where they are drawn.
  var drawnImages: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: room.pointer, count: room.count) }
}
