public import Collectives
public import Datasets
public import Diffusion
public import KernelInterface
public import Network
public import Tensors

/// The bound on a whole data set: J of every image at a t of its own, stratified over the set.
///
/// The draws depend on the seed and the image alone: evaluations of a run can be compared with one another, and any number
/// of ranks, each computing a contiguous share, finds the same value.
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

  private let dataset: ImageDataset
  private let forwardProcess: ForwardProcess
  private let architecture: Architecture
  private let layout: ParameterLayout
  private let communicator: Communicator
  private let kernels: any KernelSet
  private let images = LaneImages()
  private let times: AlignedBuffer<Int32>
  /// Lane groups that are computed together: enough for the dense branch's weights to be read seldom.
  private static let groupsAtOnce = 8

  /// What an evaluation computes in; made for each, as its memory is needed for seconds every few epochs only.
  private struct Workspace {
    let model: ReverseModel
    let batch: DiffusedBatch
    let readouts: FloatBuffer
  }

  /// Draws the times.
  public init(
    dataset: ImageDataset, standardization: Standardization, schedule: NoiseSchedule, architecture: Architecture,
    layout: ParameterLayout, seed: UInt64, communicator: Communicator, kernels: any KernelSet
  ) {
    self.dataset = dataset
    self.communicator = communicator
    self.kernels = kernels
    forwardProcess = ForwardProcess(
      schedule: schedule, scale: standardization.scale, shift: standardization.shift,
      elements: dataset.shape.elements, seed: seed, isEvaluation: true, kernels: kernels)
    self.architecture = architecture
    self.layout = layout
    times = AlignedBuffer(count: dataset.count)
    TimeSampling.perImage.draw(
      count: dataset.count, trajectoryLength: architecture.trajectoryLength, seed: seed, step: 0,
      purpose: .evaluationTime, into: times.elements)
  }

  /// Evaluates parameters on all images; all ranks call it and get the same bound.
  ///
  /// - Throws: `CollectiveError` where the ranks cannot exchange their sums.
  public func bound(_ parameters: FloatBuffer) throws -> Bound {
    let batch = DiffusedBatch(
      colors: architecture.colorCount, width: architecture.spatialWidth, basisCount: architecture.temporalBasisCount,
      groupCapacity: Self.groupsAtOnce)
    let workspace = Workspace(
      model: ReverseModel(
        architecture, layout: layout, kernels: kernels, groupCapacity: Self.groupsAtOnce, partCapacity: 1,
        forTraining: false),
      batch: batch, readouts: FloatBuffer(count: Self.groupsAtOnce * 2 * batch.targetStride))
    workspace.model.prepare(parameters)
    var objectives = [Double](repeating: 0, count: dataset.count)
    let groupCount = (dataset.count + laneCount - 1) / laneCount
    let share =
      communicator.rank * groupCount / communicator.rankCount..<(communicator.rank + 1) * groupCount
      / communicator.rankCount
    var first = share.lowerBound
    while first < share.upperBound {
      let next = min(first + Self.groupsAtOnce, share.upperBound)
      evaluate(first..<next, parameters, in: workspace, into: &objectives)
      first = next
    }
    // Every image has a value on one rank and zeros elsewhere, so this sum is exact.
    if communicator.rankCount > 1 { objectives = try communicator.sum(objectives) }
    let count = Double(objectives.count)
    let mean = objectives.reduce(0, +) / count
    return Bound(objective: mean, standardError: standardError(objectives), images: objectives.count)
  }

  /// The standard error of a mean over stratified times.
  ///
  /// Stratified by t, the mean does not vary as t does. What is left shows in the differences between images whose
  /// times are neighbours: error² = Σ(J_i - J_{i+1})²/(2n(n-1)), i in the order of t (the successive-difference estimator,
  /// Wolter, "Introduction to variance estimation", section 8.2).
  private func standardError(_ objectives: [Double]) -> Double {
    guard objectives.count > 1 else { return .infinity }
    let ordered = objectives.indices.sorted { (times[$0], $0) < (times[$1], $1) }.map { objectives[$0] }
    let squares = zip(ordered, ordered.dropFirst()).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let count = Double(objectives.count)
    return (squares / (2 * count * (count - 1))).squareRoot()
  }

  /// Puts J of the images of some lane groups into their places.
  private func evaluate(
    _ groups: Range<Int>, _ parameters: FloatBuffer, in workspace: Workspace, into objectives: inout [Double]
  ) {
    let (model, batch, readouts) = (workspace.model, workspace.batch, workspace.readouts)
    let elements = dataset.shape.elements
    dataset.withPixels { pixels in
      guard let base = pixels.baseAddress else { return }
      for group in groups {
        images.count = 0
        for index in group * laneCount..<min((group + 1) * laneCount, dataset.count) {
          images.append(pixels: base + index * elements, index: index, time: Int(times[index]))
        }
        forwardProcess.diffuse(images, step: 0, gradientWeight: 0, into: batch, group: group - groups.lowerBound)
      }
    }
    model.readouts(parameters, batch: batch, groups: groups.count, into: readouts)
    let pixels = batch.width * batch.width
    let inverseRootLength = 1 / Float(forwardProcess.schedule.trajectoryLength).squareRoot()
    withUnsafeTemporaryAllocation(of: Float.self, capacity: laneCount) { divergence in
      guard let sums = divergence.baseAddress else { return }
      for group in groups {
        let place = group - groups.lowerBound
        var lanes = SIMD16<Double>()
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
        for index in group * laneCount..<min((group + 1) * laneCount, dataset.count) {
          objectives[index] = forwardProcess.schedule.objective(
            divergence: lanes[index - group * laneCount], colors: batch.colors, pixels: pixels)
        }
      }
    }
  }
}
