internal import Collectives
internal import Network
internal import Tensors

/// From every rank's gradient to the same new parameters on all ranks.
///
///     buckets summed and scattered → finite? → each rank updates what it owns → parameters gathered
///
/// Each rank updates, and keeps moments of, 1/n of the parameters: no byte more travels than in a sum, and the optimizer's
/// work is divided by the number of ranks. Between the two exchanges the ranks must agree which tensors have finite
/// gradients, as no rank has seen all of one; what else is summed over the ranks travels with that message.
final class GradientExchange {
  /// Rank-wise numbers that are summed over all ranks.
  struct Sums {
    /// J of the minibatch.
    var objective: Double
    /// Ranks that were asked to stop.
    var stopRequests: Int
    /// Ranks that want a checkpoint.
    var checkpointRequests: Int
    /// Tensors whose gradient was not finite.
    var badTensors: Int
  }

  /// This rank's gradient: with a block the sums that it owns, else all of it, spoilt by `finish`.
  private let gradient: FloatBuffer
  /// The ranges of the parameters whose moments this rank keeps.
  var ownedRanges: [Range<Int>] { reducer.ownedRanges }
  /// Seconds spent here so far.
  var time: CommunicationTime { reducer.time }

  /// Bytes that this rank has sent so far.
  var bytesSent: Int { reducer.bytesSent }
  /// Numbers of each bucket, in the order in which they are begun.
  var bucketCounts: [Int] { reducer.buckets.map(\.count) }
  /// Seconds from each bucket's completion to the last one's, added up over the steps so far.
  var leadSeconds: [Double] { reducer.leadSeconds }

  private let parameters: FloatBuffer
  /// What the optimizer updates: the parameters, or the exact ones of this rank where rounded updates travel.
  private let exactParameters: FloatBuffer
  private let optimizer: Optimizer
  private let reducer: GradientReducer
  private let communicator: Communicator
  /// One number a tensor, then `Extra`.
  private let message: FloatBuffer
  private let tensorCount: Int
  private let communication: SectionProfile
  private let update: SectionProfile

  /// Numbers behind the tensors': the objective in pieces, and requests.
  private enum Extra {
    /// Units of the objective's pieces, 2⁻⁸, 2⁻²⁴ and 2⁻⁴⁰.
    ///
    /// Each piece is a small multiple of its unit, so that sums of them in single precision are exact, in whatever order MPI
    /// takes them: the objective that is printed does not depend on the number of ranks either.
    static let objectiveUnits = [0x1p-8, 0x1p-24, 0x1p-40]
    static let stopRequests = objectiveUnits.count
    static let checkpointRequests = objectiveUnits.count + 1
    static let count = objectiveUnits.count + 2
  }

  /// Collective.
  ///
  /// - Parameters:
  ///   - ranges: Of the layout, each one bucket, in the order in which the backward pass completes them.
  ///   - places: Where a block's ranks compute them.
  ///   - block: Ranks that have one copy of `parameters`; nil for none.
  /// - Throws: `CollectiveError` where a block's ranks cannot share memory.
  init(
    layout: ParameterLayout, ranges: [Range<Int>], places: BucketPlaces, parameters: FloatBuffer, optimizer: Optimizer,
    reduction: Reduction, wirePrecision: WirePrecision, communicator: Communicator, block: HostBlock?,
    profile: StepProfile?
  ) throws(CollectiveError) {
    communication = SectionProfile(profile, "communication")
    update = SectionProfile(profile, "optimizer")
    self.communicator = communicator
    self.parameters = parameters
    self.optimizer = optimizer
    tensorCount = layout.entries.count
    gradient = layout.parameterBuffer()
    reducer = try GradientReducer(
      communicator: communicator, gradient: gradient, buckets: ranges, reduction: reduction,
      wirePrecision: wirePrecision, block: block, places: places)
    if wirePrecision == .float32 || communicator.rankCount == 1 {
      exactParameters = parameters
    } else {
      exactParameters = layout.parameterBuffer()
      exactParameters.pointer.update(from: parameters.pointer, count: layout.count)
    }
    message = FloatBuffer(count: layout.entries.count + Extra.count)
  }

  /// Where a bucket's gradient is to be computed.
  func place(of bucket: Int) -> UnsafeMutablePointer<Float> { reducer.place(of: bucket) }

  /// Waits until no other rank reads what was there before.
  func waitForPlace(of bucket: Int) throws(CollectiveError) {
    communication.begin()
    try reducer.waitForPlace(of: bucket)
  }

  /// Waits for what other ranks compute for this one, which counts as exposed communication.
  func wait(_ body: () throws(CollectiveError) -> Void) throws(CollectiveError) {
    communication.begin()
    try reducer.time.addExposed(body)
  }

  /// Starts the exchange of a bucket that is complete.
  func begin(bucket: Int) throws(CollectiveError) {
    communication.begin()
    try reducer.begin(bucket: bucket)
  }

  /// Moves on the exchanges under way.
  func poll() throws(CollectiveError) {
    communication.begin()
    try reducer.poll()
  }

  /// Waits for the sums and updates the parameters.
  ///
  /// - Parameters:
  ///   - objective: This rank's part of J.
  ///   - isStopRequested: Whether this rank was asked to stop.
  ///   - isCheckpointDue: Whether this rank wants a checkpoint.
  ///   - observer: Is shown this rank's part of the update.
  func finish(
    objective: Double, isStopRequested: Bool, isCheckpointDue: Bool, learningRate: Double,
    observer: StepObserver? = nil
  ) throws(CollectiveError) -> Sums {
    communication.begin()
    try reducer.finish()
    update.begin()
    message.fill(0)
    optimizer.markBadTensors(of: gradient, in: ownedRanges, into: message.pointer)
    let extra = message.pointer + tensorCount
    var rest = objective
    for (piece, unit) in Extra.objectiveUnits.enumerated() {
      let part = (rest / unit).rounded() * unit
      extra[piece] = Float(part)
      rest -= part
    }
    extra[Extra.stopRequests] = isStopRequested ? 1 : 0
    extra[Extra.checkpointRequests] = isCheckpointDue ? 1 : 0
    communication.begin()
    try communicator.sum(message.elements)
    update.begin()
    optimizer.update(
      exactParameters, gradient: gradient, in: ownedRanges, badTensors: message.pointer, learningRate: learningRate,
      observer: observer)
    communication.begin()
    try reducer.allGatherUpdates(exact: exactParameters, into: parameters, largestUpdate: learningRate)
    return Sums(
      objective: Extra.objectiveUnits.indices.reduce(0) { $0 + Double(extra[$1]) },
      stopRequests: Int(extra[Extra.stopRequests]), checkpointRequests: Int(extra[Extra.checkpointRequests]),
      badTensors: (0..<tensorCount).reduce(0) { $0 + (message.pointer[$1] > 0 ? 1 : 0) })
  }

  /// Brings what each rank keeps of a buffer of the training state to all ranks.
  func gather(_ buffer: FloatBuffer) throws(CollectiveError) { try reducer.allGather(buffer) }
}
