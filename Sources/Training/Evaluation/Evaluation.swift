public import Collectives
public import Datasets
public import Diffusion
public import KernelInterface
public import Network
public import Tensors

/// The bound on a whole data set during training: J of every image at a t of its own, stratified over the set.
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
  private let times: [Int32]

  /// Draws the times.
  ///
  /// - Parameter threads: Of each rank.
  public init(
    dataset: ImageDataset, standardization: Standardization, schedule: NoiseSchedule, architecture: Architecture,
    layout: ParameterLayout, seed: UInt64, communicator: Communicator, threads: Int = 1, kernels: any KernelSet
  ) {
    shape = dataset.shape
    times = Self.times(count: dataset.count, schedule: schedule, seed: seed, round: 0)
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
    let divergences = try terms.terms(step: 0, time: { Int(times[$0]) }, progress: progress).divergence
    let objectives = divergences.map {
      terms.schedule.objective(divergence: $0, colors: shape.colors, pixels: shape.height * shape.width)
    }
    return Bound(
      objective: objectives.reduce(0, +) / Double(objectives.count),
      standardError: Self.standardError(objectives, times: times), images: objectives.count)
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

  /// The standard error of a mean over stratified times.
  ///
  /// Stratified by t, the mean does not vary as t does. What is left shows in the differences between images whose
  /// times are neighbours: error² = Σ(J_i - J_{i+1})²/(2n(n-1)), i in the order of t (the successive-difference estimator,
  /// Wolter, "Introduction to variance estimation", section 8.2).
  static func standardError(_ objectives: [Double], times: [Int32]) -> Double {
    guard objectives.count > 1 else { return .infinity }
    let ordered = objectives.indices.sorted { (times[$0], $0) < (times[$1], $1) }.map { objectives[$0] }
    let squares = zip(ordered, ordered.dropFirst()).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let count = Double(objectives.count)
    return (squares / (2 * count * (count - 1))).squareRoot()
  }
}
