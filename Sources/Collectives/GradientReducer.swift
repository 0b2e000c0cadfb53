internal import CMPI
import Foundation
public import Tensors

/// How gradients are summed.
public enum Reduction: String, Sendable, CaseIterable {
  /// A fixed binary tree over the ranks, bit for bit the same on every run (`FixedOrderSum`).
  case fixedOrder
  /// MPI's own sum, for any number of ranks, in an order that is its own.
  case mpi

  /// What is used with this many ranks: only powers of two can keep the order.
  public func available(rankCount: Int) -> Reduction { rankCount.nonzeroBitCount == 1 ? self : .mpi }
}

/// What follows when a bucket is summed.
public enum AfterReduction {
  /// All ranks receive the summed gradient.
  case gatherGradient
  /// Each rank updates its ranges of the parameters from its ranges of the gradient, with the closure; then all ranks
  /// receive all parameters. The closure runs inside `begin`, `poll` and `finish`.
  case update(parameters: FloatBuffer, (Range<Int>) -> Void)
  /// Nothing: each rank has its ranges. `allGather` is called later, when every rank has looked at all of them.
  case leaveScattered
}

/// Where the time of reductions went, in seconds.
public struct CommunicationTime: Equatable, Sendable {
  /// From the first bucket's beginning to the last one's completion.
  public var total = 0.0
  /// Of that, inside `begin` and `poll`: the computation pays it.
  public var polling = 0.0
  /// Of that, inside `finish`: what the step waited.
  public var exposed = 0.0

  /// No time at all.
  public init() {}
}

/// Sums a gradient over all ranks bucket by bucket, while the rest of it is still being computed.
///
/// A bucket is begun when its range of the gradient is complete; `poll`, called every now and then, moves all begun
/// buckets on (MPI progresses only inside of its calls); `finish` waits for what is left. Each bucket is a small state
/// machine over the rounds of `HalvingPlan`, or one MPI_Iallreduce. All ranks begin the buckets in the same order. No
/// memory is allocated after `init`; with one rank nothing is done but the update.
public final class GradientReducer {
  /// How sums are made, after the rank count was considered.
  public let reduction: Reduction
  /// The buckets' ranges of the gradient, in the order of their numbers.
  public let buckets: [Range<Int>]
  /// For every bucket the range that this rank owns: fully summed, and its to update.
  ///
  /// Borders lie at multiples of 16 floats from the bucket's start.
  public let ownedRanges: [Range<Int>]
  /// In which format sums and updates travel.
  public let wirePrecision: WirePrecision
  /// Time spent since the reducer was made, or since the caller last reset it.
  public var time = CommunicationTime()
  /// For every bucket, seconds from its beginning to `finish`, added up: what its reduction could hide behind.
  public private(set) var leadSeconds: [Double]
  /// Whether nothing that was begun is under way.
  public var isIdle: Bool { unfinished == 0 }
  /// Bytes that this rank has sent since then; of MPI's own collectives what a ring would send.
  public private(set) var bytesSent = 0

  private enum Stage: Equatable { case idle, reducing(Int), gathering(Int), done }

  private let communicator: Communicator
  private let gradient: FloatBuffer
  private let after: AfterReduction
  private let plans: [HalvingPlan]
  private let scratch: [FloatBuffer]
  /// Of 16-bit messages; nil where float32 travels or nothing does.
  private let halfWire: HalfWire?
  /// MPI reads these until the gather is complete, so they have a fixed place: rankCount counts, then as many offsets.
  private let shares: [AlignedBuffer<Int32>]
  /// Two slots per bucket: receive (or a collective) and send.
  private let requests: UnsafeMutableBufferPointer<cmpi_request>
  private let completedIndices: UnsafeMutableBufferPointer<Int32>
  private let statuses: UnsafeMutableBufferPointer<MPI_Status>
  private var stages: [Stage]
  private var outstanding: [Int]
  private var unfinished = 0
  private var gathered: UnsafeMutablePointer<Float>
  /// What the updates that are being gathered were multiplied by; nil while float32 is gathered.
  private var updateFactor: Float?
  private var beginning = 0.0
  /// When each bucket was begun in this step.
  private var beginnings: [Double]

  /// Prepares the reduction of `gradient`.
  ///
  /// - Parameters:
  ///   - communicator: The ranks.
  ///   - gradient: Same count on all ranks; summed in place.
  ///   - buckets: Disjoint ranges of it, each below 2³¹ floats, the same on all ranks. Half of each is allocated.
  ///   - reduction: How to sum; replaced by `.mpi` where the rank count does not allow it.
  ///   - wirePrecision: In which format sums travel; 16 bits need the fixed order.
  ///   - after: What follows a bucket's sum.
  public init(
    communicator: Communicator, gradient: FloatBuffer, buckets: [Range<Int>], reduction: Reduction = .fixedOrder,
    wirePrecision: WirePrecision = .float32, after: AfterReduction = .gatherGradient
  ) {
    // 32767 is the largest tag that every MPI has.
    precondition(buckets.count < 32_767, "a bucket's number is its messages' tag")
    precondition(
      buckets.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= gradient.count && $0.count <= Int32.max },
      "buckets are ranges of the gradient that MPI can count")
    let rankCount = communicator.rankCount
    self.communicator = communicator
    self.gradient = gradient
    self.buckets = buckets
    self.after = after
    self.wirePrecision = wirePrecision
    self.reduction = reduction.available(rankCount: rankCount)
    if self.reduction == .fixedOrder {
      let plans = buckets.map { HalvingPlan($0, rank: communicator.rank, rankCount: rankCount) }
      self.plans = plans
      let isHalf = wirePrecision != .float32 && rankCount > 1
      scratch = plans.map { FloatBuffer(count: isHalf ? 0 : $0.rounds.first?.kept.count ?? 0) }
      halfWire =
        isHalf ? HalfWire(wirePrecision, buckets: buckets, plans: plans, count: gradient.count) : nil
      shares = []
      ownedRanges = plans.map(\.owned)
    } else {
      let ranges = buckets.map { EvenShares($0, rankCount: rankCount).ranges }
      precondition(wirePrecision == .float32, "MPI has no sum of 16-bit floats")
      plans = []
      scratch = []
      halfWire = nil
      shares = zip(buckets, ranges).map { bucket, ranges in
        let numbers = AlignedBuffer<Int32>(count: 2 * rankCount)
        for (rank, range) in ranges.enumerated() {
          numbers[rank] = Int32(range.count)
          numbers[rankCount + rank] = Int32(range.lowerBound - bucket.lowerBound)
        }
        return numbers
      }
      ownedRanges = ranges.map { $0[communicator.rank] }
    }
    requests = .allocate(capacity: max(1, 2 * buckets.count))
    requests.initialize(repeating: cmpi_no_request())
    completedIndices = .allocate(capacity: requests.count)
    completedIndices.initialize(repeating: 0)
    statuses = .allocate(capacity: requests.count)
    statuses.initialize(repeating: MPI_Status())
    stages = Array(repeating: .idle, count: buckets.count)
    outstanding = Array(repeating: 0, count: buckets.count)
    beginnings = Array(repeating: 0, count: buckets.count)
    leadSeconds = beginnings
    if case .update(let parameters, _) = after {
      precondition(parameters.count == gradient.count, "one parameter per gradient element")
      gathered = parameters.pointer
    } else {
      gathered = gradient.pointer
    }
  }

  deinit {
    requests.deallocate()
    completedIndices.deallocate()
    statuses.deallocate()
  }

  /// Cuts `range` into buckets of at most `largest` floats, the borders on multiples of 16.
  public static func buckets(of range: Range<Int>, largest: Int) -> [Range<Int>] {
    let size = max(HalvingPlan.alignment, largest / HalvingPlan.alignment * HalvingPlan.alignment)
    return stride(from: 0, to: range.count, by: size).map { range.piece(at: $0, count: size) }
  }

  /// Starts the exchange of a bucket whose gradient is complete on this rank.
  public func begin(bucket: Int) throws(CollectiveError) {
    precondition(stages[bucket] == .idle, "a bucket is begun once per step")
    let start = monotonicSeconds()
    if unfinished == 0 { beginning = start }
    beginnings[bucket] = start
    unfinished += 1
    if communicator.rankCount == 1 || buckets[bucket].isEmpty {
      try advanceFromReduced(bucket)
    } else if reduction == .fixedOrder {
      try reduce(bucket, round: 0)
    } else {
      let range = buckets[bucket]
      stages[bucket] = .reducing(0)
      outstanding[bucket] = 1
      bytesSent += 8 * range.count * (communicator.rankCount - 1) / communicator.rankCount
      try communicator.perform(.gradientReduction) { [gradient] world in
        cmpi_begin_reduce_floats(
          world, gradient.pointer + range.lowerBound, Int32(range.count), &requests[2 * bucket])
      }
    }
    time.polling += elapsed(since: start)
  }

  /// Moves all begun buckets on, without waiting.
  public func poll() throws(CollectiveError) {
    guard unfinished > 0 else { return }
    let start = monotonicSeconds()
    while unfinished > 0, try completeSome(waiting: false) {}
    time.polling += elapsed(since: start)
  }

  /// Waits until all buckets are complete; the next step may begin them again.
  ///
  /// - Precondition: All have been begun.
  public func finish() throws(CollectiveError) {
    precondition(!stages.contains(.idle), "every bucket is begun in every step, on every rank")
    let now = monotonicSeconds()
    for bucket in buckets.indices { leadSeconds[bucket] += now - beginnings[bucket] }
    // Also where nothing is left to wait for here: all ranks must leave together, or none.
    if unfinished > 0 || isGathered {
      let start = monotonicSeconds()
      if beginning == 0 { beginning = start }
      try drain()
      if gathersAtEnd {
        try gatherAll()
      } else if isGathered {
        try leaveTogether()
      }
      time.exposed += elapsed(since: start)
    }
    for bucket in stages.indices { stages[bucket] = .idle }
  }

  /// Brings every rank's ranges of `buffer` (the gradient, the parameters, an optimizer's state) to all ranks.
  ///
  /// - Precondition: No bucket is under way; `buffer` is as long as the gradient.
  public func allGather(_ buffer: FloatBuffer) throws(CollectiveError) {
    precondition(unfinished == 0 && buffer.count == gradient.count, "gathers a whole buffer between two steps")
    guard communicator.rankCount > 1 else { return }
    let start = monotonicSeconds()
    let target = gathered
    gathered = buffer.pointer
    try gatherAll()
    gathered = target
    time.exposed += elapsed(since: start)
    for bucket in stages.indices { stages[bucket] = .idle }
  }

  /// Brings every rank's updates to all ranks, rounded where 16 bits travel.
  ///
  /// - Parameters:
  ///   - exact: Updated parameters; of each rank its own ranges count. May be `parameters` where float32 travels.
  ///   - parameters: The same on all ranks, before and after.
  ///   - largestUpdate: About the size of the largest update; float16's range is laid around it.
  public func allGatherUpdates(
    exact: FloatBuffer, into parameters: FloatBuffer, largestUpdate: Double
  ) throws(CollectiveError) {
    guard let halfWire else {
      precondition(exact === parameters, "float32 is updated in place")
      return try allGather(parameters)
    }
    precondition(exact !== parameters && exact.count == gradient.count, "rounded updates need exact parameters")
    // At most 2⁸ leaves room for Adam's and RMSProp's largest steps, and 2⁻²² of it is still a half.
    let exponent = 8 - Int(largestUpdate.exponent)
    let factor = wirePrecision == .float16 ? Float(sign: .plus, exponent: exponent, significand: 1) : 1
    for bucket in buckets.indices {
      halfWire.round(
        bucket: bucket, ownedRanges[bucket], exact: exact.pointer, shared: parameters.pointer, factor: factor)
    }
    updateFactor = factor
    try allGather(parameters)
    updateFactor = nil
    for bucket in buckets.indices { halfWire.apply(bucket: bucket, to: parameters.pointer, factor: factor) }
  }

  /// Whether updated parameters are gathered after all sums, not bucket by bucket.
  ///
  /// MPI's collectives must begin in the same order on all ranks, and buckets do not complete in the same order.
  private var gathersAtEnd: Bool {
    if case .update = after { reduction == .mpi && communicator.rankCount > 1 } else { false }
  }

  /// Whether `finish` leaves all ranks with the same numbers, of which each received some from others.
  private var isGathered: Bool {
    if case .leaveScattered = after { false } else { communicator.rankCount > 1 }
  }

  private func gatherAll() throws(CollectiveError) {
    if beginning == 0 { beginning = monotonicSeconds() }
    for bucket in buckets.indices where !buckets[bucket].isEmpty {
      unfinished += 1
      try beginGather(bucket)
    }
    try drain()
    try leaveTogether()
  }

  /// Waits until every rank has all it waits for.
  ///
  /// A rank that has it may still owe another a message of MPI's own (Open MPI: the notice that memory was read) that was
  /// put off, and is sent at its next call of MPI: half a step later. A notice owed to a rank that is in MPI too goes out at once.
  private func leaveTogether() throws(CollectiveError) { try communicator.barrier() }

  private func drain() throws(CollectiveError) {
    while unfinished > 0, try completeSome(waiting: true) {}
    precondition(unfinished == 0, "a bucket without messages under way is complete")
  }

  /// Seconds since `start`; where the last bucket has completed, the total is added up too.
  private func elapsed(since start: Double) -> Double {
    let end = monotonicSeconds()
    if unfinished == 0, beginning > 0 {
      time.total += end - beginning
      beginning = 0
    }
    return end - start
  }

  /// Handles completed messages; returns whether there were any.
  private func completeSome(waiting: Bool) throws(CollectiveError) -> Bool {
    var count: Int32 = 0
    let peer = waiting ? peerOfFirstUnfinished() : nil
    try communicator.perform(.gradientReduction, waitingFor: peer) { _ in
      cmpi_complete_some(
        waiting ? 1 : 0, requests.baseAddress, Int32(requests.count), &count, completedIndices.baseAddress,
        statuses.baseAddress)
    }
    for index in 0..<Int(count) {
      let bucket = Int(completedIndices[index]) / 2
      outstanding[bucket] -= 1
      if outstanding[bucket] == 0 { try advance(bucket) }
    }
    return count > 0
  }

  private func peerOfFirstUnfinished() -> Int? {
    guard reduction == .fixedOrder else { return nil }
    for bucket in stages.indices {
      switch stages[bucket] {
      case .reducing(let round), .gathering(let round): return plans[bucket].rounds[round].peer
      case .idle, .done: continue
      }
    }
    return nil
  }

  /// All messages of the bucket's stage have come: on to the next stage.
  private func advance(_ bucket: Int) throws(CollectiveError) {
    switch stages[bucket] {
    case .reducing(let round):
      guard reduction == .fixedOrder else { return try advanceFromReduced(bucket) }
      let kept = plans[bucket].rounds[round].kept
      if let halfWire {
        halfWire.addIncoming(bucket: bucket, to: kept, of: gradient.pointer)
      } else {
        add(scratch[bucket].pointer, to: gradient.pointer + kept.lowerBound, count: kept.count)
      }
      if round + 1 < plans[bucket].rounds.count {
        try reduce(bucket, round: round + 1)
      } else {
        try advanceFromReduced(bucket)
      }
    case .gathering(let round):
      if reduction == .fixedOrder, round > 0 {
        try gather(bucket, round: round - 1)
      } else {
        complete(bucket)
      }
    case .idle, .done:
      preconditionFailure("a message came for a bucket that waits for none")
    }
  }

  private func advanceFromReduced(_ bucket: Int) throws(CollectiveError) {
    var isGathered = communicator.rankCount > 1 && !buckets[bucket].isEmpty && reduction == .fixedOrder
    switch after {
    case .gatherGradient: break
    case .update(_, let update): update(ownedRanges[bucket])
    case .leaveScattered: isGathered = false
    }
    if isGathered { try beginGather(bucket) } else { complete(bucket) }
  }

  private func complete(_ bucket: Int) {
    stages[bucket] = .done
    unfinished -= 1
  }

  private func reduce(_ bucket: Int, round: Int) throws(CollectiveError) {
    stages[bucket] = .reducing(round)
    let halves = plans[bucket].rounds[round]
    if let halfWire {
      return try post(
        bucket, peer: halves.peer, receiving: halfWire.incoming(bucket: bucket),
        halfWire.messageCount(halves.kept.count),
        sending: halfWire.outgoing(bucket: bucket, halves.sent, of: gradient.pointer),
        halfWire.messageCount(halves.sent.count))
    }
    try post(
      bucket, peer: halves.peer, receiving: scratch[bucket].pointer, halves.kept.count,
      sending: gradient.pointer + halves.sent.lowerBound, halves.sent.count)
  }

  private func beginGather(_ bucket: Int) throws(CollectiveError) {
    guard reduction == .mpi else { return try gather(bucket, round: plans[bucket].rounds.count - 1) }
    stages[bucket] = .gathering(0)
    outstanding[bucket] = 1
    let start = gathered + buckets[bucket].lowerBound
    let numbers = shares[bucket].pointer
    let rankCount = communicator.rankCount
    bytesSent += 4 * ownedRanges[bucket].count * (rankCount - 1)
    try communicator.perform(.gradientReduction) { world in
      cmpi_begin_gather_floats(world, start, numbers, numbers + rankCount, &requests[2 * bucket])
    }
  }

  private func gather(_ bucket: Int, round: Int) throws(CollectiveError) {
    stages[bucket] = .gathering(round)
    let halves = plans[bucket].rounds[round]
    if updateFactor != nil, let halfWire {
      return try post(
        bucket, peer: halves.peer, receiving: halfWire.updates(bucket: bucket, halves.sent), halves.sent.count,
        sending: halfWire.updates(bucket: bucket, halves.kept), halves.kept.count)
    }
    try post(
      bucket, peer: halves.peer, receiving: gathered + halves.sent.lowerBound, halves.sent.count,
      sending: gathered + halves.kept.lowerBound, halves.kept.count)
  }

  /// Starts the two messages of a round.
  ///
  /// A bucket's messages to one peer are in the same order on both sides, so its number is tag enough (0 is
  /// `FixedOrderSum`'s).
  private func post<Element>(
    _ bucket: Int, peer: Int, receiving: UnsafeMutablePointer<Element>, _ receivedCount: Int,
    sending: UnsafePointer<Element>, _ sentCount: Int
  ) throws(CollectiveError) {
    let size = MemoryLayout<Element>.size
    outstanding[bucket] = 2
    bytesSent += size * sentCount
    try communicator.perform(.gradientReduction, waitingFor: peer) { world in
      let code = cmpi_begin_receive(
        world, receiving, size, Int32(receivedCount), Int32(peer), Int32(bucket + 1), &requests[2 * bucket])
      guard code == cmpi_success else { return code }
      return cmpi_begin_send(
        world, sending, size, Int32(sentCount), Int32(peer), Int32(bucket + 1), &requests[2 * bucket + 1])
    }
  }
}

/// Seconds of a clock that nobody sets.
func monotonicSeconds() -> Double {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}
