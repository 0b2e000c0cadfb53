import Tensors
import Testing

@testable import Datasets

@Suite struct DeadLeavesTests {
  func draw(_ image: Int, _ shape: ImageShape, over old: UInt8 = 0) -> [UInt8] {
    var random = ImageRandom(image: image)
    var pixels = [UInt8](repeating: old, count: shape.elements)
    pixels.withUnsafeMutableBufferPointer { DeadLeaves(shape: shape).draw(&random, into: $0) }
    return pixels
  }

  @Test("an image depends on its number alone, not on what lay in memory before", arguments: [1, 3], [1, 2, 7, 32])
  func isReproducible(colors: Int, width: Int) {
    let shape = ImageShape(colors: colors, height: width, width: width)
    #expect(draw(5, shape) == draw(5, shape, over: 255))
    #expect(draw(5, shape) != draw(6, shape))
  }

  @Test("the images are what they have always been")
  func isStable() {
    // A change of the drawing would change the data of every model that was trained on it.
    let shape = ImageShape(colors: 3, height: 16, width: 16)
    let images = ImageDataset(name: "leaves", shape: shape, pixels: (0..<20).flatMap { draw($0, shape) })
    #expect(images.digest() == "e3ed9e0e88de1096")
  }

  @Test("radii follow the power law r⁻³ between one pixel and the image's width")
  func radii() {
    let width = 32.0
    let leaves = DeadLeaves(shape: ImageShape(colors: 1, height: 32, width: 32))
    var random = ImageRandom(image: 0)
    // Leaves are drawn by what they meet, (W + 2r)² times as often as they fall: the weights take that back.
    var (total, below) = (0.0, [2.0: 0.0, 4: 0, 16: 0])
    for _ in 0..<200_000 {
      let radius = leaves.radius(&random)
      #expect(radius >= 1 && radius <= width)
      let weight = 1 / ((width + 2 * radius) * (width + 2 * radius))
      total += weight
      for limit in below.keys where radius < limit { below[limit, default: 0] += weight }
    }
    for (limit, weight) in below {
      let expected = (1 - 1 / (limit * limit)) / (1 - 1 / (width * width))
      #expect(abs(weight / total - expected) < 0.005, "below \(limit)")
    }
  }

  @Test("colours are uniform, and neighbours mostly of one leaf")
  func statistics() {
    let shape = ImageShape(colors: 1, height: 32, width: 32)
    var (sum, same) = (0, 0)
    let images = 400
    for image in 0..<images {
      let pixels = draw(image, shape)
      sum += pixels.reduce(0) { $0 + Int($1) }
      for index in pixels.indices where index % 32 > 0 && pixels[index] == pixels[index - 1] { same += 1 }
    }
    #expect(abs(Double(sum) / Double(images * 1024) - 127.5) < 5)
    let share = Double(same) / Double(images * 32 * 31)
    #expect(share > 0.5 && share < 0.95, "\(share)")
  }
}

@Suite struct ProceduralSetTests {
  let data: TrainingData

  init() throws { data = try ProceduralSet.all[0].data(ImageShape(colors: 3, height: 8, width: 8)) }

  func image(_ index: Int, visit: Int, _ dataset: ImageDataset) -> [UInt8] {
    let reader = ImageReader(dataset, capacity: 2)
    return Array(UnsafeBufferPointer(start: reader.image(at: index, visit: visit, place: 1), count: 192))
  }

  @Test("every visit finds other images to train on, and the same to test with")
  func visits() {
    #expect(image(3, visit: 0, data.train) == data.train.image(at: 3))
    #expect(image(3, visit: 0, data.train) != image(3, visit: 1, data.train))
    #expect(image(3, visit: 1, data.train) != image(4, visit: 0, data.train))
    #expect(image(3, visit: 0, data.test) == image(3, visit: 1, data.test))
    #expect(image(3, visit: 0, data.test) != image(3, visit: 0, data.train))
  }

  @Test("images in use at a time lie apart, and blocks hold what single images do")
  func places() {
    let reader = ImageReader(data.train, capacity: 2)
    let (first, second) = (reader.image(at: 0, visit: 0, place: 0), reader.image(at: 1, visit: 0, place: 1))
    #expect(Array(UnsafeBufferPointer(start: first, count: 192)) == data.train.image(at: 0))
    #expect(Array(UnsafeBufferPointer(start: second, count: 192)) == data.train.image(at: 1))
    #expect(data.train.withImages(0..<2) { Array($0) } == data.train.image(at: 0) + data.train.image(at: 1))
  }

  @Test("names lead to sets, sets have the shape that is wanted")
  func names() throws {
    for set in ProceduralSet.all {
      let name = try DatasetName(set.name)
      #expect(name == .procedural(set))
      #expect(
        try name.shape(width: nil, colors: nil)
          == ImageShape(colors: 3, height: set.defaultWidth, width: set.defaultWidth))
      #expect(try name.shape(width: 5, colors: 1) == ImageShape(colors: 1, height: 5, width: 5))
    }
    let error = #expect(throws: InputError.self) { try DatasetName("dead-leaves").shape(width: 5, colors: 2) }
    #expect(
      error?.description
        == "model.n_colors: 2, expected 1 (grey) or 3 (red, green, blue), which DEAD-LEAVES can be had in")
  }

  @Test("their standardization comes from a sample, their digest from fewer")
  func sample() throws {
    let standardization = try Standardization(of: data.train)
    // Uniform grey levels have a deviation of 1/√12.
    #expect(abs(standardization.scale - 12.0.squareRoot()) < 0.1)
    #expect(data.train.digest() == data.train.digest() && data.train.digest() != data.test.digest())
  }
}
