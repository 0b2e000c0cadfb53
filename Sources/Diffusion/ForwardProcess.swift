import KernelInterface
public import Tensors

/// Sixteen images on their way into lanes, with their times and the numbers that their noise is drawn by.
///
/// A buffer that the caller fills again and again: nothing is allocated in a step.
public final class LaneImages {
  /// Images in use; the other lanes repeat the first one with a gradient weight of zero.
  public var count = 0
  /// First pixel of each lane's image, [C][H][W] bytes.
  public let pixels = AlignedBuffer<UnsafePointer<UInt8>>(count: laneCount)
  /// What each lane's random numbers are keyed by: the image's number in its data set.
  public let indices = AlignedBuffer<UInt32>(count: laneCount)
  /// t of each lane.
  public let times = AlignedBuffer<Int>(count: laneCount)

  /// Makes an empty group.
  public init() {}

  /// Sets a lane; lanes are set in order.
  public func append(pixels image: UnsafePointer<UInt8>, index: Int, time: Int) {
    pixels[count] = image
    indices[count] = UInt32(truncatingIfNeeded: index)
    times[count] = time
    count += 1
  }

  /// Repeats the first image in the lanes that are left.
  func pad() {
    for lane in count..<laneCount {
      pixels[lane] = pixels[0]
      indices[lane] = indices[0]
      times[lane] = times[0]
    }
  }
}

/// The forward trajectory for lane groups: data to x_t with the posterior's moments (MODEL.md, "Forward process").
public final class ForwardProcess {
  /// The schedule it follows.
  public let schedule: NoiseSchedule
  private let kernels: any KernelSet
  private let scale: Float
  private let shift: Float
  private let dequantizationWidth: Float
  private let clean: FloatBuffer
  private let seed: UInt64
  private let dequantizationPurpose: RandomPurpose
  private let noisePurpose: RandomPurpose

  /// Prepares the process for one data set.
  ///
  /// - Parameters:
  ///   - scale, shift: Of the standardization x ← x·scale + shift for pixels in [0, 1].
  ///   - elements: C·H·W.
  ///   - seed: Of the run.
  ///   - isEvaluation: Draws from the streams of evaluations instead of training's.
  public init(
    schedule: NoiseSchedule, scale: Double, shift: Double, elements: Int, seed: UInt64, isEvaluation: Bool = false,
    kernels: any KernelSet
  ) {
    self.schedule = schedule
    self.kernels = kernels
    self.scale = Float(scale / 255)
    self.shift = Float(shift)
    dequantizationWidth = Float(scale / 255)
    clean = FloatBuffer(count: (elements + 3) / 4 * 4 * laneCount)
    self.seed = seed
    dequantizationPurpose = isEvaluation ? .evaluationDequantization : .dequantization
    noisePurpose = isEvaluation ? .evaluationDiffusion : .diffusion
  }

  /// Diffuses a group of images into a batch.
  ///
  /// - Parameters:
  ///   - images: Up to 16 images with their times.
  ///   - step: What the noise is keyed by beside seed and image.
  ///   - gradientWeight: ∂objective/∂KL of an element of these images.
  public func diffuse(
    _ images: LaneImages, step: Int, gradientWeight: Float, into batch: DiffusedBatch, group: Int
  ) {
    precondition(images.count > 0 && group < batch.groupCapacity, "an empty lane group or a batch too small")
    images.pad()
    setTimes(images.times, imageCount: images.count, gradientWeight: gradientWeight, in: batch, group: group)
    for lane in 0..<laneCount { batch.indices[group * laneCount + lane] = images.indices[lane] }
    let elements = batch.colors * batch.width * batch.width
    let dequantization = CounterRandom(seed: seed, purpose: dequantizationPurpose, step: step)
    kernels.uniforms(
      clean.pointer, from: 0, count: elements, indices: images.indices.pointer, step: dequantization.step,
      key: dequantization.key)
    kernels.gatherLanes(
      images.pixels.pointer, elements: elements, scale: scale, shift: shift, width: dequantizationWidth,
      clean: clean.pointer)
    let noise = CounterRandom(seed: seed, purpose: noisePurpose, step: step)
    kernels.normals(
      batch.target(group), from: 0, count: elements, indices: images.indices.pointer, step: noise.step, key: noise.key)
    kernels.diffuse(
      clean: clean.pointer, noise: batch.target(group), noisy: batch.noisyInterior(group), colors: batch.colors,
      height: batch.width, width: batch.width, coefficients: batch.coefficients(group))
  }

  /// Fills a group's tables of what depends on t.
  ///
  /// - Parameters:
  ///   - times: t of each lane, 1 ..< T.
  ///   - imageCount: Lanes that hold an image: the others get a gradient weight of zero.
  public func setTimes(
    _ times: AlignedBuffer<Int>, imageCount: Int, gradientWeight: Float, in batch: DiffusedBatch, group: Int
  ) {
    batch.imageCounts[group] = imageCount
    let table = batch.coefficients(group)
    let basis = batch.basis(group)
    for lane in 0..<laneCount {
      let t = times[lane]
      precondition(t >= 1 && t < schedule.trajectoryLength, "t = \(t) has no reverse step that is learned")
      let beta = schedule.beta[t]
      let ratio = schedule.varianceRatio(at: t)
      let cumulative = schedule.cumulativeAlpha[t]
      func set(_ coefficient: LaneCoefficient, _ value: Double) {
        table[coefficient.rawValue * laneCount + lane] = Float(value)
      }
      set(.signal, cumulative.squareRoot())
      set(.noise, (1 - cumulative).squareRoot())
      set(.targetScale, (beta / (1 - beta)).squareRoot())
      set(.targetNoise, 1 / (1 - cumulative).squareRoot())
      set(.beta, beta)
      set(.varianceRatio, ratio)
      set(.logVarianceRatio, schedule.logVarianceRatio(at: t))
      set(.sqrtAlpha, (1 - beta).squareRoot())
      set(.sqrtBeta, beta.squareRoot())
      set(.gradientWeight, lane < imageCount ? Double(gradientWeight) : 0)
      for b in 0..<batch.basisCount { basis[b * laneCount + lane] = Float(schedule.basis[b, t]) }
    }
  }
}
