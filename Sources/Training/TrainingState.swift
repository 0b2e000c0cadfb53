public import Collectives
public import KernelInterface
public import Network
public import Tensors

/// All numbers that a run changes: what a checkpoint holds and a resumed run starts from.
public final class TrainingState {
  /// The parameters.
  public let parameters: FloatBuffer
  /// The optimizer with its moments.
  public let optimizer: Optimizer
  /// Exponentially averaged parameters; nil where the recipe keeps none.
  public let average: FloatBuffer?
  /// Steps taken.
  public var step = 0
  /// Σ J·images and images of the epoch so far, for an epoch that a signal cut in two.
  public var epochObjectiveSum = 0.0
  /// See `epochObjectiveSum`.
  public var epochImages = 0
  private let block: HostBlock?
  private let layout: ParameterLayout
  private let averageDecay: Double
  private let kernels: any KernelSet

  /// Starts from parameters; their average starts as themselves.
  ///
  /// - Parameter block: The ranks whose one copy of the parameters that is; nil where it is this rank's.
  public init(
    parameters: FloatBuffer, layout: ParameterLayout, recipe: Configuration.Training, block: HostBlock? = nil,
    kernels: any KernelSet
  ) {
    self.parameters = parameters
    self.block = block
    self.layout = layout
    self.kernels = kernels
    averageDecay = recipe.averageDecay
    optimizer = Optimizer(
      rule: recipe.optimizer, layout: layout, beta1: recipe.adamBeta1, beta2: recipe.adamBeta2, kernels: kernels)
    average = recipe.averageDecay > 0 ? layout.parameterBuffer() : nil
    average?.pointer.update(from: parameters.pointer, count: layout.count)
  }

  /// The parameters to evaluate and to sample with.
  public var bestParameters: FloatBuffer { average ?? parameters }

  /// Moves the average on, after a step.
  ///
  /// Early averages forget faster, or they would hold on to the start: decay is at most (1 + steps)/(10 + steps).
  ///
  /// - Parameter ranges: Those of the parameters whose average this rank keeps.
  public func updateAverage(in ranges: [Range<Int>]) {
    guard let average else { return }
    let decay = min(averageDecay, (1 + Double(step)) / (10 + Double(step)))
    for range in ranges {
      kernels.updateAverage(
        average.pointer + range.lowerBound, parameters: parameters.pointer + range.lowerBound, count: range.count,
        decay: Float(decay))
    }
  }

  /// Bytes of a checkpoint's tensors.
  static func checkpointBytes(_ configuration: Configuration) -> Int {
    let recipe = configuration.training
    let buffers = 2 + (recipe.optimizer == .adam ? 1 : 0) + (recipe.averageDecay > 0 ? 1 : 0)
    return 4 * ParameterLayout(configuration.model).parameterCount * buffers
  }

  /// The buffers of the state with the prefix of their tensors' names in checkpoints (FORMATS.md, "Checkpoint").
  public var buffers: [(prefix: String, buffer: FloatBuffer)] {
    var buffers = [(prefix: "", buffer: parameters), (prefix: "optimizer.", buffer: optimizer.meanSquare)]
    if optimizer.rule == .adam { buffers.append((prefix: "optimizer.first_moment.", buffer: optimizer.firstMoment)) }
    if let average { buffers.append((prefix: "average.", buffer: average)) }
    return buffers
  }

  /// The buffers of which each rank updates its own ranges only (`TrainingStep.gather`).
  var scatteredBuffers: [FloatBuffer] { buffers.map(\.buffer).filter { $0 !== parameters } }

  /// Gives back the memory of what other ranks keep of the moments and the average.
  func releaseScattered(keeping ranges: [Range<Int>]) {
    for buffer in scatteredBuffers { buffer.release(outside: ranges) }
  }

  /// Gives all ranks what rank 0 has.
  ///
  /// - Throws: `CollectiveError` where the ranks cannot exchange it.
  public func broadcast(_ communicator: Communicator) throws {
    var numbers = [Double(step), Double(optimizer.stepCount), epochObjectiveSum, Double(epochImages)]
    try numbers.withUnsafeMutableBytes { try communicator.broadcast($0, from: 0) }
    step = Int(numbers[0])
    optimizer.stepCount = Int(numbers[1])
    epochObjectiveSum = numbers[2]
    epochImages = Int(numbers[3])
    func broadcast(_ buffer: FloatBuffer) throws {
      try communicator.broadcast(UnsafeMutableBufferPointer(start: buffer.pointer, count: layout.count), from: 0)
    }
    if let block { try broadcastParameters(communicator, to: block) } else { try broadcast(parameters) }
    guard step > 0 else {
      // All else is as it was made: moments that nobody has written take no memory.
      average?.pointer.update(from: parameters.pointer, count: layout.count)
      return
    }
    for buffer in scatteredBuffers { try broadcast(buffer) }
  }

  /// Gives the parameters to the first rank of each block, for all of its ranks.
  private func broadcastParameters(_ communicator: Communicator, to block: HostBlock) throws {
    let piece = FloatBuffer(count: min(layout.count, 1 << 20))
    for first in stride(from: 0, to: layout.count, by: piece.count) {
      let count = min(piece.count, layout.count - first)
      if communicator.isRankZero { piece.pointer.update(from: parameters.pointer + first, count: count) }
      try communicator.broadcast(UnsafeMutableBufferPointer(start: piece.pointer, count: count), from: 0)
      if communicator.rank == block.ranks.lowerBound, !communicator.isRankZero {
        parameters.pointer.advanced(by: first).update(from: piece.pointer, count: count)
      }
    }
    // The others read them from here on.
    try communicator.barrier()
  }

  /// Checks that all ranks have the same parameters, which a faulty network or memory could have spoilt on their way.
  ///
  /// - Throws: `CollectiveError.ranksDiffer` with the ranks and their digests.
  public func requireSameParameters(on communicator: Communicator) throws {
    guard communicator.rankCount > 1 else { return }
    try communicator.requireSameOnAllRanks([("the parameters' digest", parameters.digest())])
  }
}

extension ParameterLayout {
  /// A buffer that begins as the initial parameters, one for all ranks of a block; collective.
  ///
  /// - Parameter initial: Nil on ranks that wait for `TrainingState.broadcast`.
  /// - Throws: `CollectiveError` where the ranks have no memory to share.
  func parameters(_ initial: FloatBuffer?, sharedBy block: HostBlock?) throws(CollectiveError) -> FloatBuffer {
    guard let block else { return initial ?? parameterBuffer() }
    let shared = try block.sharedBuffer(count: bufferCount)
    if let initial { shared.pointer.update(from: initial.pointer, count: count) }
    return shared
  }
}
