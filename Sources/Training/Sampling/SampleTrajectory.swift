internal import Collectives
internal import Datasets
internal import Diffusion
internal import Figures
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
    /// Grey levels, 0 for black to 255 for white: [samples][C][H][W].
    var levels: [UInt8]
  }

  /// Samples that are drawn in one way, from noise 0, 1, 2, … of the seed.
  struct Portion {
    var count: Int
    /// Makes r(x) for samples of these numbers; nil for plain samples.
    var factor: (([Int]) -> any PosteriorFactor)?
  }

  /// The figures' seed: the reference's.
  static let seed: UInt64 = 12345
  /// Moments between noise and image.
  private static let intermediateCount = 4

  private let standardization: Standardization
  private let makeTeam: (FloatBuffer) -> SampleTeam
  private let wanted: [Int]

  /// - Parameter threads: Of each rank.
  init(
    standardization: Standardization, schedule: NoiseSchedule, architecture: Architecture, layout: ParameterLayout,
    communicator: Communicator, threads: Int = 1, kernels: any KernelSet
  ) {
    self.standardization = standardization
    wanted = Self.times(trajectoryLength: architecture.trajectoryLength)
    let process = ForwardProcess(
      schedule: schedule, scale: standardization.scale, shift: standardization.shift,
      elements: architecture.imageElements, seed: Self.seed, kernels: kernels)
    makeTeam = { parameters in
      SampleTeam(
        architecture: architecture, layout: layout, process: process, parameters: parameters, kernels: kernels,
        communicator: communicator, threads: threads)
    }
  }

  /// The times whose images are shown: the start, four evenly spread, and the end of the trajectory.
  static func times(trajectoryLength: Int) -> [Int] {
    // A trajectory of few steps has fewer moments.
    let spread = (0...intermediateCount).map { $0 * trajectoryLength / (intermediateCount + 1) }
    return Set(spread + [trajectoryLength - 1]).sorted(by: >)
  }

  /// One sample to draw.
  private struct Lane {
    let portion: Int
    let number: Int
  }

  /// Draws all portions as one batch, so that few of a kind fill whole lane groups; collective.
  ///
  /// - Parameter progress: Told after each step of the trajectory what fraction of it is done, on the calling thread of all
  ///   ranks, also of those without a sample; what it throws ends the work.
  /// - Returns: Each portion's moments, from the noisiest to the image, on all ranks.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their images.
  func draw(
    _ parameters: FloatBuffer, _ portions: [Portion], progress: (Double) throws -> Void = { _ in }
  ) throws -> [[Moment]] {
    let lanes = portions.indices.flatMap { portion in
      (0..<portions[portion].count).map { Lane(portion: portion, number: $0) }
    }
    let team = makeTeam(parameters)
    let levels = try team.draw(
      lanes.count, seed: Self.seed, from: wanted[0], keeping: wanted,
      share: { samples in
        let own = Array(lanes[samples])
        return .init(numbers: own.map(\.number), factor: factor(own, of: portions))
      },
      value: { ImageGrid.level(of: standardization.greyLevel(of: $0)) }, progress: progress)
    let elements = team.architecture.imageElements
    var first = 0
    return portions.map { portion in
      defer { first += portion.count * elements }
      return zip(wanted, levels).map { Moment(time: $0, levels: Array($1[first..<first + portion.count * elements])) }
    }
  }

  /// r(x) of these samples, each its portion's.
  private func factor(_ lanes: [Lane], of portions: [Portion]) -> MixedFactor {
    var factors: [any PosteriorFactor] = []
    var choices = [Int?](repeating: nil, count: lanes.count)
    for (index, portion) in portions.enumerated() where lanes.contains(where: { $0.portion == index }) {
      // A factor has values in the lanes of others too, which nobody uses.
      guard let factor = portion.factor?(lanes.map { $0.portion == index ? $0.number : 0 }) else { continue }
      for lane in lanes.indices where lanes[lane].portion == index { choices[lane] = factors.count }
      factors.append(factor)
    }
    return MixedFactor(factors, choices: choices)
  }
}
