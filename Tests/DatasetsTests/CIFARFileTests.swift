import Tensors
import Testing

@testable import Datasets

@Suite struct CIFARFileTests {
  let folder: TemporaryFolder
  let images = [Array(ramp(3072)), Array(ramp(3072).reversed())]
  var bytes: [UInt8] { [9] + images[0] + [0] + images[1] }

  init() throws { folder = try TemporaryFolder() }

  @discardableResult
  func fault(of bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) throws -> InputError? {
    let path = try folder.write(bytes, as: "batch.bin")
    let error = #expect(throws: InputError.self, sourceLocation: sourceLocation) {
      try CIFARFile.readImages([path], name: "pictures")
    }
    #expect(error?.subject == path, sourceLocation: sourceLocation)
    return error
  }

  @Test("records of several files follow each other without their labels, raw or gzipped")
  func content() throws {
    let paths = [
      try folder.write(bytes, as: "first"), try folder.write(folder.gzipped([3] + images[1]), as: "second"),
    ]
    let dataset = try CIFARFile.readImages(paths, name: "pictures")
    #expect(dataset.shape == ImageShape(colors: 3, height: 32, width: 32))
    #expect(dataset.count == 3)
    #expect((0..<3).map(dataset.image) == [images[0], images[1], images[1]])
  }

  @Test("anything but whole records is refused", arguments: [0, 1, 3072, 3074, 6145])
  func truncation(length: Int) throws {
    let error = try fault(of: Array(bytes[..<length]))
    #expect(error?.found == "\(length) bytes")
    #expect(error?.expected == "one or more records of 3073 bytes each")
  }

  @Test("a gzipped file cut off anywhere is refused")
  func compressedTruncation() throws {
    let whole = try folder.gzipped(bytes)
    for length in 0..<whole.count { try fault(of: Array(whole[..<length])) }
  }

  @Test("a byte that is no label shows that the records are none", arguments: [10, 255] as [UInt8])
  func label(_ label: UInt8) throws {
    var wrong = bytes
    wrong[3073] = label
    try #expect(fault(of: wrong)?.description.contains("label \(label) of image 1, expected 0 ... 9") == true)
  }

  @Test("a file is not inflated beyond the largest number of images", arguments: [(2, true), (1, false)])
  func bound(largestCount: Int, isAllowed: Bool) throws {
    let path = try folder.write(folder.gzipped(bytes), as: "batch.bin.gz")
    var pixels: [UInt8] = []
    if isAllowed {
      try CIFARFile.appendImages(of: path, atMost: largestCount, to: &pixels)
      #expect(pixels == images[0] + images[1])
    } else {
      let error = #expect(throws: InputError.self) {
        try CIFARFile.appendImages(of: path, atMost: largestCount, to: &pixels)
      }
      #expect(error?.found == "more than 1 images")
      #expect(pixels.isEmpty)
    }
  }
}
