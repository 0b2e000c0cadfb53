import Datasets
import Tensors
import Testing

@Suite struct StandardizationTests {
  func dataset(_ pixels: [UInt8]) -> ImageDataset {
    ImageDataset(name: "levels", shape: ImageShape(colors: 1, height: 1, width: 1), pixels: pixels)
  }

  @Test("black and white in equal parts become −1 and 1")
  func halves() throws {
    let standardization = try Standardization(of: dataset([0, 255, 255, 0]))
    #expect(standardization == Standardization(scale: 2, shift: -1))
    #expect(standardization.value(ofPixel: 0) == -1)
    #expect(standardization.value(ofPixel: 255) == 1)
    #expect(standardization.greyLevelWidth == 2.0 / 255)
  }

  @Test("standardized values have mean 0 and variance 1", arguments: [2, 255, 1000, 4099])
  func moments(count: Int) throws {
    let pixels = ramp(count)
    let standardization = try Standardization(of: dataset(pixels))
    let values = pixels.map { standardization.scale * Double($0) / 255 + standardization.shift }
    let mean = values.reduce(0, +) / Double(count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    #expect(abs(mean) < 1e-12)
    #expect(abs(variance - 1) < 1e-12)
  }

  @Test("one different pixel among many equal ones still counts")
  func smallestSpread() throws {
    let standardization = try Standardization(of: dataset([254] + Array(repeating: 255, count: 99_999)))
    let mean = 255 - 1e-5
    let deviation = (1e-5 * (1 - 1e-5)).squareRoot()
    #expect(abs(standardization.scale * deviation / 255 - 1) < 1e-10)
    #expect(abs(standardization.shift * deviation / mean + 1) < 1e-10)
  }

  @Test("every grey level comes back from its standardized value")
  func inverse() throws {
    let standardization = try Standardization(of: dataset([0, 1, 2, 250]))
    for pixel in UInt8.min...UInt8.max {
      let level = standardization.greyLevel(of: standardization.value(ofPixel: pixel))
      #expect(abs(level * 255 - Float(pixel)) < 1e-3)
    }
  }

  @Test("images without any difference are refused")
  func constant() {
    let error = #expect(throws: InputError.self) { try Standardization(of: dataset([17, 17, 17])) }
    #expect(
      error?.description == "levels: all pixels of its 3 images are 17, expected images that differ somewhere")
  }
}
