import Tensors
import Testing

@testable import Datasets

@Suite struct IDXFileTests {
  let folder: TemporaryFolder
  /// Two images of 3×2.
  let pixels = ramp(12)
  var bytes: [UInt8] { idxBytes(count: 2, height: 3, width: 2, pixels: pixels) }

  init() throws { folder = try TemporaryFolder() }

  /// Writes a file, expects reading it to fail, and gives the error, which must name the file.
  @discardableResult
  func fault(of bytes: [UInt8], _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation) throws
    -> InputError?
  {
    let path = try folder.write(bytes, as: "images")
    let error = #expect(throws: InputError.self, "\(what)", sourceLocation: sourceLocation) {
      try IDXFile.readImages(path, name: "digits")
    }
    #expect(error?.subject == path, sourceLocation: sourceLocation)
    return error
  }

  @Test("images are read in their order, raw or gzipped, whatever the file is called", arguments: [false, true])
  func content(isGzipped: Bool) throws {
    for name in ["images", "images.gz"] {
      let path = try folder.write(isGzipped ? folder.gzipped(bytes) : bytes, as: name)
      let dataset = try IDXFile.readImages(path, name: "digits")
      #expect(dataset.name == "digits")
      #expect(dataset.count == 2)
      #expect(dataset.shape == ImageShape(colors: 1, height: 3, width: 2))
      #expect(dataset.image(at: 0) == Array(pixels[..<6]))
      #expect(dataset.image(at: 1) == Array(pixels[6...]))
    }
  }

  @Test("a file cut off anywhere is refused, raw or gzipped", arguments: [false, true])
  func truncation(isGzipped: Bool) throws {
    let whole = isGzipped ? try folder.gzipped(bytes) : bytes
    for length in 0..<whole.count { try fault(of: Array(whole[..<length]), "\(length) bytes") }
  }

  @Test("any flipped bit of the header is noticed")
  func flippedHeader() throws {
    for bit in 0..<128 {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << (bit % 8)
      try fault(of: flipped, "bit \(bit)")
    }
  }

  @Test("a damaged gzip file is refused or reads as it should: wrong pixels never come out")
  func flippedCompressedBytes() throws {
    let whole = try folder.gzipped(bytes)
    for index in whole.indices {
      for mask: UInt8 in [0x01, 0x80, 0xFF] {
        var flipped = whole
        flipped[index] ^= mask
        let path = try folder.write(flipped, as: "images.gz")
        do {
          let dataset = try IDXFile.readImages(path, name: "digits")
          #expect(dataset.withImages(0..<dataset.count) { Array($0) } == pixels, "byte \(index)")
        } catch {
          #expect(error.subject == path)
        }
      }
    }
  }

  @Test("what stands behind the last image is refused", arguments: [[0], [0x1F], [0x1F, 0x8B], ramp(300)])
  func trailingBytes(extra: [UInt8]) throws {
    try #expect(fault(of: bytes + extra)?.found == "more than 12 bytes of pixels")
    try #expect(fault(of: folder.gzipped(bytes + extra))?.found == "more than 12 bytes of pixels")
    try #expect(fault(of: folder.gzipped(bytes) + extra)?.found == "further bytes behind the compressed data")
  }

  @Test("the members of a gzip file are joined")
  func severalMembers() throws {
    let (first, second) = (try folder.gzipped(Array(bytes[..<20])), try folder.gzipped(Array(bytes[20...])))
    let path = try folder.write(first + second, as: "images.gz")
    let dataset = try IDXFile.readImages(path, name: "digits")
    #expect(dataset.withImages(0..<dataset.count) { Array($0) } == pixels)
  }

  @Test("labels and other kinds of IDX files are named as what they are not")
  func wrongMagic() throws {
    let error = try fault(of: idxBytes(magic: 0x0801, count: 12, height: 1, width: 1, pixels: pixels))
    #expect(error?.found == "magic 0x00000801")
    #expect(error?.expected == "0x00000803 (IDX images)")
  }

  @Test(
    "sizes of zero or beyond all bounds are refused before any pixel is read",
    arguments: [
      (0, 3, 2), (2, 0, 2), (2, 3, 0), (2, 1025, 1), (1, 1, 1025), (UInt32.max, 3, 2), (2, .max, .max),
      (.max, .max, .max), (2049, 1024, 1024),
    ])
  func absurdSizes(count: UInt32, height: UInt32, width: UInt32) throws {
    let error = try fault(of: idxBytes(count: count, height: height, width: width, pixels: pixels))
    #expect(error?.found.contains("images of") == true)
  }

  @Test("a header may promise more than there is, or less", arguments: [1, 3, 1000, 100_000_000])
  func lyingCount(count: UInt32) throws {
    let error = try fault(of: idxBytes(count: count, height: 3, width: 2, pixels: pixels))
    #expect(error?.expected == "\(6 * count) for the \(count) images of 3×2 in its header")
  }

  @Test("a small gzip file that inflates to far more than it promises is left at its promise")
  func bomb() throws {
    let bomb = try folder.gzipped(
      idxBytes(count: 1, height: 28, width: 28, pixels: Array(repeating: 0, count: 10_000_000)))
    #expect(bomb.count < 12_000)
    try #expect(fault(of: bomb)?.found == "more than 784 bytes of pixels")
  }
}
