#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Dead leaves: discs that fall on one another, each of one colour, until the ground is covered.
///
/// A disc's radius has the density r⁻³ between the two radii below: the one power law under which an image looks the same at any
/// scale, and which gives natural images' statistics (Lee, Mumford & Huang, "Occlusion models for natural images", IJCV 41,
/// 2001). Sohl-Dickstein et al. 2015 train on such images. Centres and colours are uniform; a pixel is of one disc, that which
/// covers its centre.
struct DeadLeaves: ProceduralImages {
  static let name = "dead-leaves"
  static let defaultWidth = 32

  /// The smallest radius, in pixels; smaller leaves would mostly lie between pixels' centres.
  static let smallestRadius = 1.0
  private let shape: ImageShape
  private let width: Double
  /// The largest radius: the image's width, so that few images are of one leaf.
  private let largestRadius: Double
  /// Of the three densities below.
  private let weights: (cubic: Double, square: Double, inverse: Double)

  init(shape: ImageShape) {
    self.shape = shape
    width = Double(shape.width)
    largestRadius = max(width, 2 * Self.smallestRadius)
    let (low, high) = (Self.smallestRadius, largestRadius)
    // Only discs whose bounding box meets the image matter: of radius r they are as many as their centres have room,
    // (W + 2r)². So r is drawn from r⁻³·(W + 2r)² = W²·r⁻³ + 4W·r⁻² + 4·r⁻¹, whose integrals these are.
    weights = (
      cubic: width * width * (1 / (low * low) - 1 / (high * high)) / 2, square: 4 * width * (1 / low - 1 / high),
      inverse: 4 * log(high / low)
    )
  }

  func draw(_ random: inout ImageRandom, into pixels: UnsafeMutableBufferPointer<UInt8>) {
    let (side, plane) = (shape.width, shape.width * shape.width)
    // The first leaf drawn is the last to have fallen: what it covers no later one can change.
    withUnsafeTemporaryAllocation(of: Bool.self, capacity: plane) { isCovered in
      isCovered.initialize(repeating: false)
      var bare = plane
      while bare > 0 {
        let radius = radius(&random)
        let x = random.uniform() * (width + 2 * radius) - radius
        let y = random.uniform() * (width + 2 * radius) - radius
        let color = random.word()
        for row in centers(around: y, within: radius, side) {
          let height = Double(row) + 0.5 - y
          let half = max(0, radius * radius - height * height).squareRoot()
          for column in centers(around: x, within: half, side) where !isCovered[row * side + column] {
            isCovered[row * side + column] = true
            bare -= 1
            for plane in 0..<shape.colors {
              pixels[(plane * side + row) * side + column] = UInt8(truncatingIfNeeded: color >> UInt32(8 * plane))
            }
          }
        }
      }
    }
  }

  /// A radius from the mixture of the three densities, each by its inverse distribution function.
  func radius(_ random: inout ImageRandom) -> Double {
    let (low, high) = (Self.smallestRadius, largestRadius)
    let choice = random.uniform() * (weights.cubic + weights.square + weights.inverse)
    let share = random.uniform()
    if choice < weights.cubic {
      return 1 / (1 / (low * low) - share * (1 / (low * low) - 1 / (high * high))).squareRoot()
    }
    return choice < weights.cubic + weights.square
      ? 1 / (1 / low - share * (1 / low - 1 / high)) : low * pow(high / low, share)
  }

  /// The pixels of a row or column whose centres lie within `distance` of a place.
  private func centers(around place: Double, within distance: Double, _ side: Int) -> Range<Int> {
    let first = max(0, Int((place - distance - 0.5).rounded(.up)))
    return first..<max(first, min(side, Int((place + distance - 0.5).rounded(.down)) + 1))
  }
}
