import KernelInterface
public import Tensors

/// A function r(x) that every reverse step is multiplied by, so that the trajectory ends in samples of p(x)·r(x).
///
/// Paper section 2.5; MODEL.md, "Sampling". An implementation sees lane groups: `count` elements [C·H·W] of 16 images each,
/// where sample i of the sampler's range is lane i % 16 of group i / 16.
public protocol PosteriorFactor {
  /// Changes the starting noise x_{T-1} of a group.
  func start(_ image: UnsafeMutableBufferPointer<Float>, group: Int)
  /// Changes the moments μ_θ and σ_θ of one reverse step of a group.
  func modify(
    mean: UnsafeMutableBufferPointer<Float>, deviation: UnsafeMutableBufferPointer<Float>, group: Int)
  /// Which of the C·H·W elements `modify` leaves without deviation in every lane, so that no noise is drawn for them; empty
  /// where there are none.
  var isFixed: [Bool] { get }
}

extension PosteriorFactor {
  /// No element is fixed.
  public var isFixed: [Bool] { [] }
}

/// Denoising: r is a Gaussian of standard deviation d around the noisy image y = x + d·ε.
public struct DenoisingFactor: PosteriorFactor {
  /// The true images x in lanes, [group][C·H·W][16]; y where they are noisy already.
  public let images: FloatBuffer
  /// d, in units of the standardized data.
  public let deviation: Float
  private let noisy: FloatBuffer
  /// What ε is multiplied by.
  private let added: Float

  /// Keeps images; the sampler's starting noise becomes their ε.
  ///
  /// - Parameter areNoisy: Whether the images have their noise already.
  public init(images: FloatBuffer, deviation: Float = 1, areNoisy: Bool = false) {
    self.images = images
    self.deviation = deviation
    added = areNoisy ? 0 : deviation
    noisy = FloatBuffer(count: images.count)
  }

  /// y = x + d·ε: where the trajectory starts.
  public func start(_ image: UnsafeMutableBufferPointer<Float>, group: Int) {
    let first = group * image.count
    for index in image.indices {
      image[index] = images.pointer[first + index] + added * image[index]
      noisy.pointer[first + index] = image[index]
    }
  }

  /// σ'² = (σ⁻² + d⁻²)⁻¹ and μ' = μ·σ'²/σ² + y·σ'²/d².
  public func modify(
    mean: UnsafeMutableBufferPointer<Float>, deviation sigma: UnsafeMutableBufferPointer<Float>, group: Int
  ) {
    let first = group * mean.count
    let noiseVariance = deviation * deviation
    for index in mean.indices {
      let variance = sigma[index] * sigma[index]
      let total = variance + noiseVariance
      mean[index] = (mean[index] * noiseVariance + noisy.pointer[first + index] * variance) / total
      sigma[index] = (variance * noiseVariance / total).squareRoot()
    }
  }
}

/// Inpainting: r is 1 where the known pixels have their values and 0 elsewhere.
public struct InpaintingFactor: PosteriorFactor {
  /// The true images in lanes, [group][C·H·W][16].
  public let images: FloatBuffer
  /// Which of the C·H·W elements are known.
  public let isKnown: [Bool]

  /// Keeps what is known.
  public init(images: FloatBuffer, isKnown: [Bool]) {
    self.images = images
    self.isKnown = isKnown
  }

  /// What is known needs no noise.
  public var isFixed: [Bool] { isKnown }

  /// The reference's mask: the right half of the columns (x ≥ W/2) is known.
  public static func rightHalf(colors: Int, width: Int) -> [Bool] {
    (0..<colors * width * width).map { $0 % width >= width / 2 }
  }

  /// The known pixels take their values.
  public func start(_ image: UnsafeMutableBufferPointer<Float>, group: Int) { setKnown(image, group) }

  /// The known pixels keep their values: μ = the value, σ = 0.
  public func modify(
    mean: UnsafeMutableBufferPointer<Float>, deviation: UnsafeMutableBufferPointer<Float>, group: Int
  ) {
    setKnown(mean, group)
    for element in isKnown.indices where isKnown[element] {
      for lane in 0..<laneCount { deviation[element * laneCount + lane] = 0 }
    }
  }

  private func setKnown(_ values: UnsafeMutableBufferPointer<Float>, _ group: Int) {
    let first = group * values.count
    for element in isKnown.indices where isKnown[element] {
      for lane in 0..<laneCount {
        values[element * laneCount + lane] = images.pointer[first + element * laneCount + lane]
      }
    }
  }
}

/// Reconstruction: a real image diffused to a time t, from where the trajectory runs back; nothing else is asked of it.
public struct ReconstructionFactor: PosteriorFactor {
  /// The true images x_0 in lanes, [group][C·H·W][16].
  public let images: FloatBuffer
  private let signal: Float
  private let noise: Float

  /// Keeps true images; the sampler's starting noise becomes their ε.
  ///
  /// - Parameter time: t, what the sampler starts from.
  public init(images: FloatBuffer, schedule: NoiseSchedule, time: Int) {
    self.images = images
    signal = Float(schedule.cumulativeAlpha[time].squareRoot())
    noise = Float((1 - schedule.cumulativeAlpha[time]).squareRoot())
  }

  /// x_t = √ᾱ_t·x_0 + √(1 - ᾱ_t)·ε.
  public func start(_ image: UnsafeMutableBufferPointer<Float>, group: Int) {
    let first = group * image.count
    for index in image.indices { image[index] = signal * images.pointer[first + index] + noise * image[index] }
  }

  /// Leaves every step as it is.
  public func modify(
    mean: UnsafeMutableBufferPointer<Float>, deviation: UnsafeMutableBufferPointer<Float>, group: Int
  ) {}
}
