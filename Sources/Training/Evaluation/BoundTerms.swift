internal import Collectives
internal import Datasets
internal import Diffusion
internal import KernelInterface
internal import Network
internal import Tensors

/// The terms of the bound: every image's KL divergence at a time t, on all ranks.
///
/// Noise depends on seed, step and image alone, and a lane's arithmetic on nothing but that lane: any number of ranks, each
/// computing a contiguous share, finds the same bits.
final class BoundTerms {
  /// Of every image, summed over its C·H·W elements, in nats.
  struct Terms {
    /// KL(q(x_{t-1}|x_t, x_0) ‖ p(x_{t-1}|x_t)).
    var divergence: [Double]
    /// The differential entropy of p(x_{t-1}|x_t); empty unless asked for.
    var modelEntropy: [Double]
  }

  /// Images, the first of the data set.
  let count: Int
  let schedule: NoiseSchedule
  private let communicator: Communicator
  private let team: ThreadTeam
  /// Those of this rank's threads.
  private let workers: [BoundWorker]

  /// - Parameters:
  ///   - count: How many images; the first of the data set.
  ///   - threads: Of each rank.
  init(
    dataset: ImageDataset, count: Int, standardization: Standardization, schedule: NoiseSchedule,
    architecture: Architecture, layout: ParameterLayout, parameters: FloatBuffer, seed: UInt64,
    communicator: Communicator, threads: Int = 1, kernels: any KernelSet
  ) {
    self.count = count
    self.schedule = schedule
    self.communicator = communicator
    team = ThreadTeam(count: threads)
    workers = (0..<threads).map { _ in
      BoundWorker(
        dataset: dataset, count: count, standardization: standardization, schedule: schedule,
        architecture: architecture, layout: layout, parameters: parameters, seed: seed, kernels: kernels)
    }
  }

  /// Computes the terms of all images; collective.
  ///
  /// - Parameters:
  ///   - step: What the noise is keyed by beside seed and image.
  ///   - time: t of each image.
  ///   - withEntropy: Whether the model's entropy is wanted too.
  ///   - progress: Told every now and then which fraction of the images is done, equally often on all ranks; what it throws
  ///     ends the work.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their terms.
  func terms(
    step: Int, time: (Int) -> Int, withEntropy: Bool = false, progress: (Double) throws -> Void = { _ in }
  ) throws -> Terms {
    var terms = Terms(
      divergence: [Double](repeating: 0, count: count),
      modelEntropy: [Double](repeating: 0, count: withEntropy ? count : 0))
    let groupCount = (count + laneCount - 1) / laneCount
    let all = communicator.rankCount * workers.count
    for first in stride(from: 0, to: groupCount, by: all * BoundWorker.groupsAtOnce) {
      let groups = min(groupCount - first, all * BoundWorker.groupsAtOnce)
      terms.divergence.withUnsafeMutableBufferPointer { divergence in
        terms.modelEntropy.withUnsafeMutableBufferPointer { entropy in
          // Each thread writes what belongs to its images.
          team.run { thread in
            let number = communicator.rank * workers.count + thread
            workers[thread].compute(
              first + number * groups / all..<first + (number + 1) * groups / all, step: step, time: time,
              divergence: divergence, entropy: entropy)
          }
        }
      }
      try progress(Double(first + groups) / Double(groupCount))
    }
    // Every image has a value on one rank and zeros elsewhere, so these sums are exact.
    guard communicator.rankCount > 1 else { return terms }
    return Terms(
      divergence: try communicator.sum(terms.divergence),
      modelEntropy: withEntropy ? try communicator.sum(terms.modelEntropy) : [])
  }
}

/// What one thread computes of the terms, with the memory that it needs.
private final class BoundWorker {
  private let count: Int
  private let reader: ImageReader
  private let schedule: NoiseSchedule
  private let parameters: FloatBuffer
  private let forwardProcess: ForwardProcess
  private let model: ReverseModel
  private let batch: DiffusedBatch
  private let readouts: FloatBuffer
  private let images = LaneImages()
  private let kernels: any KernelSet
  /// Lane groups that are computed together: enough for the dense branch's weights to be read seldom.
  static let groupsAtOnce = 8

  init(
    dataset: ImageDataset, count: Int, standardization: Standardization, schedule: NoiseSchedule,
    architecture: Architecture, layout: ParameterLayout, parameters: FloatBuffer, seed: UInt64,
    kernels: any KernelSet
  ) {
    reader = ImageReader(dataset, capacity: laneCount)
    self.count = count
    self.schedule = schedule
    self.parameters = parameters
    self.kernels = kernels
    forwardProcess = ForwardProcess(
      schedule: schedule, scale: standardization.scale, shift: standardization.shift,
      elements: dataset.shape.elements, seed: seed, isEvaluation: true, kernels: kernels)
    model = ReverseModel(
      architecture, layout: layout, kernels: kernels, groupCapacity: Self.groupsAtOnce, partCapacity: 1,
      forTraining: false)
    model.prepare(parameters)
    batch = DiffusedBatch(
      colors: architecture.colorCount, width: architecture.spatialWidth, basisCount: architecture.temporalBasisCount,
      groupCapacity: Self.groupsAtOnce)
    readouts = FloatBuffer(count: Self.groupsAtOnce * 2 * batch.targetStride)
  }

  /// Computes the terms of up to `groupsAtOnce` lane groups of images.
  ///
  /// - Parameters:
  ///   - divergence: Of all images.
  ///   - entropy: Of all images; empty where it is not wanted.
  func compute(
    _ groups: Range<Int>, step: Int, time: (Int) -> Int, divergence: UnsafeMutableBufferPointer<Double>,
    entropy: UnsafeMutableBufferPointer<Double>
  ) {
    guard !groups.isEmpty else { return }
    diffuse(groups, step: step, time: time)
    model.readouts(parameters, batch: batch, groups: groups.count, into: readouts)
    for (place, group) in groups.enumerated() {
      for index in entropy.isEmpty ? 0..<0 : indices(group) {
        entropy[index] = modelEntropy(place, lane: index - group * laneCount, beta: schedule.beta[time(index)])
      }
      let lanes = divergences(place)
      for index in indices(group) { divergence[index] = lanes[index - group * laneCount] }
    }
  }

  private func indices(_ group: Int) -> Range<Int> { group * laneCount..<min((group + 1) * laneCount, count) }

  private func diffuse(_ groups: Range<Int>, step: Int, time: (Int) -> Int) {
    for group in groups {
      images.count = 0
      for (lane, index) in indices(group).enumerated() {
        images.append(pixels: reader.image(at: index, visit: 0, place: lane), index: index, time: time(index))
      }
      forwardProcess.diffuse(images, step: step, gradientWeight: 0, into: batch, group: group - groups.lowerBound)
    }
  }

  /// KL of 16 images; their readouts are overwritten.
  private func divergences(_ place: Int) -> SIMD16<Double> {
    let pixels = batch.width * batch.width
    let inverseRootLength = 1 / Float(schedule.trajectoryLength).squareRoot()
    var lanes = SIMD16<Double>()
    withUnsafeTemporaryAllocation(of: Float.self, capacity: laneCount) { divergence in
      guard let sums = divergence.baseAddress else { return }
      for row in 0..<batch.colors * batch.width {
        let (color, y) = row.quotientAndRemainder(dividingBy: batch.width)
        let offset = y * batch.width * laneCount
        let mean = readouts.pointer + (2 * place * batch.colors + 2 * color) * pixels * laneCount + offset
        sums.update(repeating: 0, count: laneCount)
        kernels.objective(
          mean: mean, logit: mean + pixels * laneCount,
          target: batch.target(place) + color * pixels * laneCount + offset, columns: batch.width,
          inverseRootLength: inverseRootLength, coefficients: batch.coefficients(place), divergence: sums)
        for lane in 0..<laneCount { lanes[lane] += Double(sums[lane]) }
      }
    }
    return lanes
  }

  /// Σ ½·ln(2πe·σ_θ²) over an image's elements, σ_θ² = sigmoid(g/√T + logit β).
  private func modelEntropy(_ place: Int, lane: Int, beta: Double) -> Double {
    let pixels = batch.width * batch.width
    let rootLength = Double(schedule.trajectoryLength).squareRoot()
    var sum = 0.0
    for color in 0..<batch.colors {
      let logits = readouts.pointer + (2 * place * batch.colors + 2 * color + 1) * pixels * laneCount + lane
      for pixel in 0..<pixels {
        sum += NoiseSchedule.entropy(
          ofLogVariance: NoiseSchedule.logSigmoid(Double(logits[pixel * laneCount]) / rootLength, offsetBy: beta))
      }
    }
    return sum
  }
}
