import Tensors

/// Images in the binary version of CIFAR-10, raw or gzipped.
///
/// Records without a header: a label byte, 0 ... 9, then 32×32 red, green and blue bytes, each plane row by row.
public enum CIFARFile {
  private static let shape = ImageShape(colors: 3, height: 32, width: 32)
  private static let recordBytes = 1 + shape.elements
  private static let labels: ClosedRange<UInt8> = 0...9
  /// Ten times what a published file holds; the format itself says nothing about how much is to come.
  private static let largestCount = 100_000

  /// Reads all images of several files, in their order; the labels are checked and dropped.
  ///
  /// - Parameters:
  ///   - paths: The files, at least one, each of one or more whole records.
  ///   - name: What the data set is to be called.
  /// - Throws: `InputError` that names the file: not readable, damaged, empty, too long, not a whole number of records,
  ///   or with a label that is none.
  public static func readImages(_ paths: [String], name: String) throws(InputError) -> ImageDataset {
    var pixels: [UInt8] = []
    for path in paths { try appendImages(of: path, atMost: largestCount, to: &pixels) }
    return ImageDataset(name: name, shape: shape, pixels: pixels)
  }

  /// Appends the images of one file, refusing to inflate more than `largestCount`.
  static func appendImages(of path: String, atMost largestCount: Int, to pixels: inout [UInt8]) throws(InputError) {
    var file = try GzipFile.open(path)
    let records = try file.bytes(upTo: largestCount * recordBytes + 1)
    guard records.count <= largestCount * recordBytes else {
      throw InputError(path, found: "more than \(largestCount) images", expected: "at most that many in a file")
    }
    guard !records.isEmpty, records.count.isMultiple(of: recordBytes) else {
      throw InputError(
        path, found: "\(records.count) bytes", expected: "one or more records of \(recordBytes) bytes each")
    }
    for start in stride(from: 0, to: records.count, by: recordBytes) {
      guard labels.contains(records[start]) else {
        throw InputError(
          path, found: "label \(records[start]) of image \(start / recordBytes)",
          expected: "\(labels.lowerBound) ... \(labels.upperBound)")
      }
      pixels.append(contentsOf: records[start + 1..<start + recordBytes])
    }
  }
}
