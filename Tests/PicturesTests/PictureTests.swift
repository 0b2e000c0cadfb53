import Foundation
import Tensors
import TestSupport
import Testing

@testable import Pictures

@Suite struct PictureTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: SamplePicture.path(name))))
  }

  @Test("every kind of file has the mean colours that another decoder finds", arguments: SamplePicture.all)
  func meanColors(sample: SamplePicture) throws {
    let picture = try Picture(contentsOf: sample.path)
    let size = [picture.width, picture.height]
    #expect(size.sorted() == sample.size.sorted())
    for channel in 0..<3 {
      var sum = 0
      for pixel in 0..<picture.width * picture.height { sum += Int(picture.rgb[3 * pixel + channel]) }
      let mean = Double(sum) / Double(picture.width * picture.height)
      #expect(abs(mean - sample.means[channel]) < 0.01, "channel \(channel): \(mean)")
    }
  }

  @Test("a picture that was taken on its side is turned upright")
  func orientation() throws {
    let picture = try Picture(contentsOf: SamplePicture.path("exif6_chelsea.jpg"))
    #expect(picture.width == 200 && picture.height == 133)
  }

  @Test(
    "grey files have equal colours, and grey is what they were",
    arguments: ["bilevel_camera.png", "greyalpha_camera.png"])
  func grey(name: String) throws {
    let picture = try Picture(contentsOf: SamplePicture.path(name))
    let (grey, rgb) = (picture.elements(colors: 1), picture.elements(colors: 3))
    #expect(rgb == grey + grey + grey)
  }

  @Test(
    "a file that is cut short anywhere is refused: baseline and progressive JPEG, PNG, interlaced PNG",
    arguments: ["tiny_17x31.jpg", "chelsea_tall.jpg", "exif6_chelsea.jpg", "tiny_1x1.png", "interlaced_chelsea.png"])
  func cutShort(name: String) throws {
    let whole = try bytes(name)
    for length in Array(stride(from: 0, to: whole.count - 1, by: max(1, whole.count / 150))) + [whole.count - 1] {
      let path = try folder.write(Array(whole.prefix(length)), as: "cut")
      let error = #expect(throws: InputError.self, "\(length) bytes") { try Picture(contentsOf: path) }
      #expect(error?.subject == path)
    }
    // Bytes behind the end are in nobody's way.
    _ = try Picture(contentsOf: folder.write(whole + [1, 2, 3], as: "longer"))
  }

  @Test("flipped bytes give a picture or an error, never a crash", arguments: ["tiny_17x31.jpg", "tiny_1x1.png"])
  func flipped(name: String) throws {
    let whole = try bytes(name)
    for index in 0..<whole.count {
      var damaged = whole
      damaged[index] ^= 0xFF
      let path = try folder.write(damaged, as: "damaged")
      do { _ = try Picture(contentsOf: path) } catch { #expect(error.subject == path) }
    }
  }

  @Test("a small file that claims a huge picture is refused before it is decoded")
  func huge() throws {
    // A PNG of 30000 × 30000 grey pixels, of which 16 are there; made by another program.
    let bytes: [UInt8] = [
      0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x75,
      0x30, 0x00, 0x00, 0x75, 0x30, 0x08, 0x00, 0x00, 0x00, 0x00, 0x43, 0x4C, 0xA7, 0x66, 0x00, 0x00, 0x00, 0x0B, 0x49,
      0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0x60, 0x40, 0x05, 0x00, 0x00, 0x10, 0x00, 0x01, 0x39, 0xBD, 0x8F, 0x65, 0x00,
      0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
    ]
    let path = try folder.write(bytes, as: "huge.png")
    let error = #expect(throws: InputError.self) { try Picture(contentsOf: path) }
    #expect(error?.found == "no picture that can be decoded (30000 x 30000 pixels, more than 2^27)")
  }

  @Test("what is no picture's file is named", arguments: ["", "text"])
  func noPicture(content: String) throws {
    let path = try folder.write(content, as: "a.jpg")
    #expect(throws: InputError.self) { try Picture(contentsOf: path) }
    #expect(throws: InputError.self) { try Picture(contentsOf: folder.path) }
    let missing = #expect(throws: InputError.self) { try Picture(contentsOf: folder.file("none.png")) }
    #expect(missing?.found == "no such file or directory")
  }
}

@Suite struct FittedPictureTests {
  /// Red grows to the right, green downwards.
  func ramp(_ width: Int, _ height: Int) -> Picture {
    var rgb: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width { rgb += [UInt8(255 * x / width), UInt8(255 * y / height), 200] }
    }
    return Picture(width: width, height: height, rgb: rgb)
  }

  @Test(
    "a picture lies whole in the middle of a black square, its edges sharp",
    arguments: [(64, 32), (32, 64), (100, 33), (7, 5), (640, 427), (5000, 1250), (1, 1), (2000, 3)])
  func placed(width: Int, height: Int) {
    let side = 16
    let fitted = ramp(width, height).fitted(toSquare: side)
    let columns = max(1, Int((Double(side * width) / Double(max(width, height))).rounded()))
    let rows = max(1, Int((Double(side * height) / Double(max(width, height))).rounded()))
    for y in 0..<side {
      for x in 0..<side {
        let isInside =
          (side - columns) / 2..<(side - columns) / 2 + columns ~= x
          && (side - rows) / 2..<(side - rows) / 2 + rows ~= y
        // Blue is the same everywhere, so that it tells where the picture is.
        #expect(fitted.rgb[3 * (y * side + x) + 2] == (isInside ? 200 : 0), "\(x), \(y)")
      }
    }
  }

  @Test("much smaller pictures have their parts' mean colours", arguments: [36, 64, 100, 1000])
  func reduced(width: Int) {
    let fitted = ramp(width, width).fitted(toSquare: 4)
    for x in 0..<4 {
      let part = (0..<width).filter { $0 * 4 / width == x }.map { Double(255 * $0 / width) }
      let mean = part.reduce(0, +) / Double(part.count)
      #expect(abs(Double(fitted.rgb[3 * x]) - mean) < 12, "column \(x)")
    }
    let detail = (0..<width * width).flatMap { [UInt8](repeating: ($0 + $0 / width) % 2 == 0 ? 0 : 255, count: 3) }
    let grey = Picture(width: width, height: width, rgb: detail).fitted(toSquare: 4)
    #expect(grey.rgb.allSatisfy { abs(Int($0) - 127) < 12 }, "\(grey.rgb)")
  }

  @Test("a picture that fits stays as it is")
  func same() {
    let picture = ramp(16, 16)
    #expect(picture.fitted(toSquare: 16).rgb == picture.rgb)
  }

  @Test("transparency is dropped, and told")
  func transparency() throws {
    let folder = try TemporaryFolder()
    // Black, nothing, and half a red: three pixels of a PNG.
    let png =
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAABCAYAAAAb4BS0AAAAE0lEQVR4nGNgYGD4D8QMJxgYGgAMpAJI6EVD1AAAAABJRU5ErkJg"
      + "gg=="
    let picture = try Picture(
      contentsOf: folder.write([UInt8](try #require(Data(base64Encoded: png))), as: "clear.png"))
    #expect(picture.rgb == [0, 0, 0, 0, 0, 0, 200, 0, 0] && picture.isTransparent)
  }

  @Test("a coloured animation's greys are grey")
  func greys() throws {
    let folder = try TemporaryFolder()
    var animation = GIFAnimation(width: 3, height: 1, isGrey: false)
    animation.append([96, 96, 96, 250, 10, 10, 255, 255, 255], hundredths: 6)
    try animation.write(to: folder.file("a.gif"))
    let picture = try Picture(contentsOf: folder.file("a.gif"))
    let grey = Int(picture.rgb[0])
    #expect(abs(grey - 96) < 4)
    #expect(picture.rgb.map(Int.init) == [grey, grey, grey, 255, 0, 0, 255, 255, 255])
  }
}
