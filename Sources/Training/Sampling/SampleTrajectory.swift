internal import Collectives
internal import Datasets
internal import Diffusion
internal import Figures
internal import KernelInterface
internal import Network
internal import Synchronization
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
    let wanted = Self.times(trajectoryLength: sampler.architecture.trajectoryLength)
    let lanes = portions.indices.flatMap { portion in
      (0..<portions[portion].count).map { Lane(portion: portion, number: $0) }
    }
    let workers = communicator.rankCount * threads
    // By thread and moment.
    var parts = [[[UInt8]]](repeating: [], count: threads)
    var failure: (any Error)?
    let isOver = Atomic(false)
    parts.withUnsafeMutableBufferPointer { parts in
      ThreadTeam(count: threads).run { thread in
        let worker = communicator.rank * threads + thread
        let share = worker * lanes.count / workers..<(worker + 1) * lanes.count / workers
        do {
          parts[thread] = try drawn(Array(lanes[share]), of: portions, parameters, at: wanted) { fraction in
            if isOver.load(ordering: .relaxed) { throw CancellationError() }
            if thread == 0 { try progress(fraction) }
          }
        } catch {
          isOver.store(true, ordering: .relaxed)
          if thread == 0 { failure = error }
        }
      }
    }
    if let failure { throw failure }
    let own = wanted.indices.flatMap { moment in parts.flatMap { $0.isEmpty ? [] : $0[moment] } }
    let gathered = try communicator.gather(own)
    let elements = sampler.architecture.imageElements
    let levels = wanted.indices.map { moment in
      gathered.flatMap { part -> ArraySlice<UInt8> in
        let count = part.count / wanted.count
        return part[moment * count..<(moment + 1) * count]
      }
    }
    var first = 0
    return portions.map { portion in
      defer { first += portion.count * elements }
      return zip(wanted, levels).map { Moment(time: $0, levels: Array($1[first..<first + portion.count * elements])) }
    }
  }

  /// What one thread draws: the levels of its samples at each of the times.
  private func drawn(
    _ lanes: [Lane], of portions: [Portion], _ parameters: FloatBuffer, at times: [Int],
    progress: (Double) throws -> Void
  ) throws -> [[UInt8]] {
    func report(_ time: Int) throws { try progress(1 - Double(time) / Double(max(1, times[0]))) }
    guard !lanes.isEmpty else {
      for time in (0...times[0]).reversed() { try report(time) }
      return []
    }
    // Their memory is needed for seconds every few epochs only.
    let architecture = sampler.architecture
    let model = ReverseModel(
      architecture, layout: layout, kernels: sampler.kernels,
      groupCapacity: (lanes.count + laneCount - 1) / laneCount, partCapacity: 1, forTraining: false)
    let trajectory = Sampler(
      forwardProcess: sampler.process, network: SamplingNetwork(model, parameters: parameters),
      colors: architecture.colorCount, width: architecture.spatialWidth, capacity: lanes.count,
      kernels: sampler.kernels)
    var levels: [[UInt8]] = []
    try trajectory.sample(
      lanes.map(\.number), seed: Self.seed, factor: factor(lanes, of: portions),
      wants: { time in
        try report(time)
        return times.contains(time)
      }
    ) { _, images in levels.append(images.map { ImageGrid.level(of: standardization.greyLevel(of: $0)) }) }
    return levels
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
