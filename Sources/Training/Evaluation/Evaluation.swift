public import Collectives
public import Datasets
public import Diffusion
public import KernelInterface
public import Network
public import Tensors

/// The bound on a whole data set during training: J of every image at times of its own (`StratifiedMean`).
///
/// The draws depend on the seed and the image alone: evaluations of a run can be compared with one another, and any number
/// of ranks finds the same value.
public final class Evaluation {
  /// J = -(K - L_null) in bits/pixel.
  public struct Bound: Equatable, Sendable {
    /// The mean over the images.
    public var objective: Double
    /// Its standard error.
    public var standardError: Double
    /// Images that were evaluated.
    public var images: Int
  }

  private let makeTerms: (FloatBuffer) -> BoundTerms
  private let shape: ImageShape
  /// t of every image, by round.
  private let times: [[Int32]]

  /// Draws the times.
  ///
  /// - Parameter threads: Of each rank.
  public init(
    dataset: ImageDataset, standardization: Standardization, schedule: NoiseSchedule, architecture: Architecture,
    layout: ParameterLayout, seed: UInt64, communicator: Communicator, threads: Int = 1, kernels: any KernelSet
  ) {
    shape = dataset.shape
    let rounds = StratifiedMean.rounds(imageCount: dataset.count, trajectoryLength: schedule.trajectoryLength)
    times = (0..<rounds).map { Self.times(count: dataset.count, schedule: schedule, seed: seed, round: $0) }
    // Its memory is needed for seconds every few epochs only.
    makeTerms = { parameters in
      BoundTerms(
        dataset: dataset, count: dataset.count, standardization: standardization, schedule: schedule,
        architecture: architecture, layout: layout, parameters: parameters, seed: seed, communicator: communicator,
        threads: threads, kernels: kernels)
    }
  }

  /// Evaluates parameters on all images; all ranks call it and get the same bound.
  ///
  /// - Parameter progress: Told every now and then which fraction of the images is done, equally often on all ranks; what it
  ///   throws ends the work.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their sums.
  public func bound(_ parameters: FloatBuffer, progress: (Double) throws -> Void = { _ in }) throws -> Bound {
    let terms = makeTerms(parameters)
    var mean = StratifiedMean(imageCount: terms.count)
    for (round, times) in times.enumerated() {
      let divergences = try terms.terms(step: round, time: { Int(times[$0]) }) { fraction in
        try progress((Double(round) + fraction) / Double(self.times.count))
      }.divergence
      mean.add(
        divergences.map {
          terms.schedule.objective(divergence: $0, colors: shape.colors, pixels: shape.height * shape.width)
        }, times: times)
    }
    return Bound(objective: mean.mean, standardError: mean.standardError, images: terms.count)
  }

  /// Times of all images, stratified, for one of any number of rounds.
  static func times(count: Int, schedule: NoiseSchedule, seed: UInt64, round: Int) -> [Int32] {
    var times = [Int32](repeating: 0, count: count)
    times.withUnsafeMutableBufferPointer {
      TimeSampling.perImage.draw(
        count: count, trajectoryLength: schedule.trajectoryLength, seed: seed, step: round, purpose: .evaluationTime,
        into: $0)
    }
    return times
  }
}
