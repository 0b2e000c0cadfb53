import Datasets
import Testing

@Suite struct ImageDatasetTests {
  func dataset(height: Int = 3, width: Int = 2, name: String = "a", changing index: Int? = nil) -> ImageDataset {
    var pixels = ramp(12)
    if let index { pixels[index] ^= 1 }
    return ImageDataset(
      name: name, shape: ImageShape(colors: 1, height: height, width: width), pixels: pixels)
  }

  // The expected digits: CRC-32 and Adler-32 of 1, 3, 2 (32 bits, little-endian) and the pixels, from another library.
  @Test("the digest is the same wherever it is computed")
  func digestIsStable() {
    #expect(dataset().digest() == dataset().digest())
    #expect(dataset().digest() == "b829e35c094801f9")
  }

  @Test("the digest depends on the shape and on every pixel, and not on the name")
  func digestTellsApart() {
    let others = [dataset(height: 2, width: 3)] + (0..<12).map { dataset(changing: $0) }
    #expect(Set((others + [dataset()]).map { $0.digest() }).count == 14)
    #expect(dataset(name: "b").digest() == dataset().digest())
  }
}
