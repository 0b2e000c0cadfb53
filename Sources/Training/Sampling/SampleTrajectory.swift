internal import Collectives
internal import Datasets
internal import Diffusion
internal import KernelInterface
internal import Network
internal import Tensors

/// Samples from noise to image, at a few times of the reverse trajectory, drawn by all ranks together.
///
/// From a fixed seed, whatever the run's: figures of different epochs and runs show the same noise on its way.
final class SampleTrajectory {
  /// One moment of the trajectory.
  struct Moment {
    /// t of x_t.
    var time: Int
    /// Grey levels, 0 for black to 1 for white: [samples][C][H][W].
    var images: [Float]
  }

  /// Samples of a figure: 7 × 7.
  static let sampleCount = 49
  /// The figures' seed: the reference's.
  static let seed: UInt64 = 12345
  /// Moments between noise and image.
  private static let intermediateCount = 4

  private let layout: ParameterLayout
  private let standardization: Standardization
  private let sampler: SamplerParts
  private let communicator: Communicator
  private let threads: Int

  private struct SamplerParts {
    let process: ForwardProcess
    let architecture: Architecture
    let kernels: any KernelSet
  }

  /// - Parameter threads: Of each rank.
  init(
    standardization: Standardization, schedule: NoiseSchedule, architecture: Architecture, layout: ParameterLayout,
    communicator: Communicator, threads: Int = 1, kernels: any KernelSet
  ) {
    self.standardization = standardization
    self.communicator = communicator
    self.threads = threads
    self.layout = layout
    sampler = SamplerParts(
      process: ForwardProcess(
        schedule: schedule, scale: standardization.scale, shift: standardization.shift,
        elements: architecture.imageElements, seed: Self.seed, kernels: kernels),
      architecture: architecture, kernels: kernels)
  }

  /// The times whose images are shown: the start, four evenly spread, and the end of the trajectory.
  static func times(trajectoryLength: Int) -> [Int] {
    // A trajectory of few steps has fewer moments.
    let spread = (0...intermediateCount).map { $0 * trajectoryLength / (intermediateCount + 1) }
    return Set(spread + [trajectoryLength - 1]).sorted(by: >)
  }

  /// Draws all samples; collective.
  ///
  /// - Parameters:
  ///   - count: How many.
  ///   - factor: Makes r(x) for some of them.
  /// - Returns: The moments, from the noisiest to the image, on all ranks.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their images.
  func draw(
    _ parameters: FloatBuffer, count: Int = SampleTrajectory.sampleCount,
    factor: (Range<Int>) -> (any PosteriorFactor)? = { _ in nil }
  ) throws -> [Moment] {
    let wanted = Self.times(trajectoryLength: sampler.architecture.trajectoryLength)
    let workers = communicator.rankCount * threads
    // By thread and moment.
    var parts = [[[Float]]](repeating: [], count: threads)
    parts.withUnsafeMutableBufferPointer { parts in
      ThreadTeam(count: threads).run { thread in
        let worker = communicator.rank * threads + thread
        parts[thread] = images(
          worker * count / workers..<(worker + 1) * count / workers, of: parameters, at: wanted, factor: factor)
      }
    }
    let own = wanted.indices.flatMap { moment in parts.flatMap { $0.isEmpty ? [] : $0[moment] } }
    let gathered = try communicator.gather(own.withUnsafeBytes { Array($0) })
    let elements = sampler.architecture.imageElements
    return wanted.enumerated().map { index, time in
      var images: [Float] = []
      for bytes in gathered {
        let floats = bytes.withUnsafeBytes { raw in
          (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
        let count = floats.count / wanted.count / elements * elements
        images += floats[index * count..<(index + 1) * count].map(standardization.greyLevel(of:))
      }
      return Moment(time: time, images: images)
    }
  }

  /// What one thread draws: the images of its samples at each of the times.
  private func images(
    _ share: Range<Int>, of parameters: FloatBuffer, at times: [Int],
    factor: (Range<Int>) -> (any PosteriorFactor)?
  ) -> [[Float]] {
    guard !share.isEmpty else { return [] }
    // Their memory is needed for seconds every few epochs only.
    let architecture = sampler.architecture
    let model = ReverseModel(
      architecture, layout: layout, kernels: sampler.kernels,
      groupCapacity: (share.count + laneCount - 1) / laneCount, partCapacity: 1, forTraining: false)
    let trajectory = Sampler(
      forwardProcess: sampler.process, network: SamplingNetwork(model, parameters: parameters),
      colors: architecture.colorCount, width: architecture.spatialWidth, capacity: share.count,
      kernels: sampler.kernels)
    var images: [[Float]] = []
    trajectory.sample(share, seed: Self.seed, factor: factor(share), wants: times.contains) { _, moment in
      images.append(moment)
    }
    return images
  }
}
