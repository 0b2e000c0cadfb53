import Tensors

/// Images in the IDX format of MNIST, raw or gzipped.
///
/// Big-endian: the magic 0x00000803 (unsigned bytes, three dimensions), the counts of images, rows and columns, 32 bits
/// each; then the pixels, row by row.
public enum IDXFile {
  private static let magic = 0x0803
  private static let headerBytes = 16
  private static let largestSide = 1024
  /// 2 GiB: three times the largest of the published sets in this format, with all of EMNIST's letters.
  private static let largestPixelBytes = 1 << 31

  /// Reads all images of a file.
  ///
  /// The header is checked first; then no more is inflated than the pixels it promises and one byte.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - name: What the data set is to be called.
  /// - Throws: `InputError` that names the file: not readable, damaged, not IDX images, sizes of zero or out of bounds,
  ///   or not exactly as long as its header says.
  public static func readImages(_ path: String, name: String) throws(InputError) -> ImageDataset {
    var file = try GzipFile.open(path)
    let header = try file.bytes(upTo: headerBytes)
    guard header.count == headerBytes else {
      throw InputError(path, found: "\(header.count) bytes", expected: "an IDX header of \(headerBytes) bytes")
    }
    let fields = (0..<4).map { field in header[4 * field..<4 * field + 4].reduce(0) { $0 << 8 | Int($1) } }
    guard fields[0] == magic else {
      throw InputError(path, found: "magic \(hexadecimal(fields[0]))", expected: "\(hexadecimal(magic)) (IDX images)")
    }
    let (count, height, width) = (fields[1], fields[2], fields[3])
    guard (1...largestSide).contains(height), (1...largestSide).contains(width) else {
      throw InputError(path, found: "images of \(height)×\(width)", expected: "1 ... \(largestSide) rows and columns")
    }
    let shape = ImageShape(colors: 1, height: height, width: width)
    let largestCount = largestPixelBytes / shape.elements
    guard (1...largestCount).contains(count) else {
      throw InputError(path, found: "\(count) images of \(height)×\(width)", expected: "1 ... \(largestCount) images")
    }

    let promised = count * shape.elements
    let pixels = try file.bytes(upTo: promised + 1)
    guard pixels.count == promised else {
      let found = pixels.count > promised ? "more than \(promised)" : "\(pixels.count)"
      throw InputError(
        path, found: "\(found) bytes of pixels",
        expected: "\(promised) for the \(count) images of \(height)×\(width) in its header")
    }
    return ImageDataset(name: name, shape: shape, pixels: pixels)
  }

  /// A 32-bit word as 0x and eight digits.
  private static func hexadecimal(_ word: Int) -> String {
    let digits = String(word, radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}
