import Foundation
public import Tensors

/// Sums a gradient over all ranks bucket by bucket, while the rest of it is still being computed.
///
/// A bucket is begun when its range of the gradient is complete; `poll`, called every now and then, moves all begun
/// buckets on (MPI progresses only inside of its calls); `finish` waits for what is left. Then each rank has the sums of the
/// ranges that it owns, to update the parameters of, and `allGatherUpdates` brings all parameters to all ranks. Each bucket is a
/// small state machine over the rounds of `HalvingPlan`, or one of MPI's own collectives. All ranks begin the buckets in the
/// same order. No memory is allocated after `init`; with one rank nothing is done.
///
/// Ranks of a `HostBlock` need no messages for the first rounds: they sum where their buckets lie (`HostSum`), and have the
/// parameters once.
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
  public var bytesSent: Int { messages.bytesSent }

  /// Where a bucket is, with the round of its plan.
  private enum Stage {
    case idle
    /// Within the block.
    case summing
    case reducing(Int)
    case gathering(Gathered, Int)
    case done

    var isIdle: Bool { if case .idle = self { true } else { false } }
  }

  /// What a gather brings to all ranks.
  private enum Gathered {
    /// A buffer as long as the gradient, of this rank's own.
    case floats(UnsafeMutablePointer<Float>)
    /// One of the block's, in which its ranks need nothing from each other.
    case sharedFloats(UnsafeMutablePointer<Float>)
    /// Rounded updates.
    case updates(HalfWire)
  }

  private let communicator: Communicator
  private let gradient: FloatBuffer
  private let plans: [HalvingPlan]
  /// What takes the place of the plans' first rounds; nil for none.
  private let hostSum: HostSum?
  /// The first round with messages.
  private let firstRound: Int
  private let scratch: [FloatBuffer]
  /// Of 16-bit messages; nil where float32 travels or nothing does.
  private let halfWire: HalfWire?
  /// Of MPI's own gathers; it reads these until one is complete, so they have a fixed place.
  private let shares: [AlignedBuffer<Int32>]
  private let messages: BucketMessages
  private var stages: [Stage]
  private var unfinished = 0
  private var beginning = 0.0
  /// When each bucket was begun in this step.
  private var beginnings: [Double]

  /// Prepares the reduction of `gradient`.
  ///
  /// - Parameters:
  ///   - communicator: The ranks.
  ///   - gradient: Same count on all ranks; summed in place. With a block it takes memory for what the rank owns alone.
  ///   - buckets: Disjoint ranges of it, each below 2³¹ floats, the same on all ranks.
  ///   - reduction: How to sum; replaced by `.mpi` where the rank count does not allow it.
  ///   - wirePrecision: In which format sums and updates travel; 16 bits need the fixed order.
  ///   - block: Ranks that sum in shared memory; nil where all send messages. With it buckets are computed where `place(of:)` says,
  ///     and begun in their order.
  ///   - places: Where they lie; needed with a block.
  /// - Throws: `CollectiveError` where ranks of a block cannot share memory.
  public init(
    communicator: Communicator, gradient: FloatBuffer, buckets: [Range<Int>], reduction: Reduction = .fixedOrder,
    wirePrecision: WirePrecision = .float32, block: HostBlock? = nil, places: BucketPlaces? = nil
  ) throws(CollectiveError) {
    // 32767 is the largest tag that every MPI has.
    precondition(buckets.count <= 32_768, "a bucket's number is its messages' tag")
    precondition(
      buckets.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= gradient.count && $0.count <= Int32.max },
      "buckets are ranges of the gradient that MPI can count")
    let rankCount = communicator.rankCount
    self.communicator = communicator
    self.gradient = gradient
    self.buckets = buckets
    self.wirePrecision = wirePrecision
    self.reduction = reduction.available(rankCount: rankCount)
    if self.reduction == .fixedOrder {
      let plans = buckets.map { HalvingPlan($0, rank: communicator.rank, rankCount: rankCount) }
      self.plans = plans
      let isHalf = wirePrecision != .float32 && rankCount > 1
      let firstRound = block?.ranks.count.trailingZeroBitCount ?? 0
      self.firstRound = firstRound
      hostSum =
        if let block {
          try HostSum(
            block, buckets: buckets, parts: plans.map { $0.rounds[firstRound - 1].kept },
            places: places ?? BucketPlaces(buckets, isReused: false), gradient: gradient)
        } else {
          nil
        }
      scratch = plans.map { FloatBuffer(count: isHalf ? 0 : $0.rounds.dropFirst(firstRound).first?.kept.count ?? 0) }
      halfWire =
        isHalf ? HalfWire(wirePrecision, buckets: buckets, plans: plans, count: gradient.count) : nil
      shares = []
      ownedRanges = plans.map(\.owned)
    } else {
      let ranges = buckets.map { EvenShares($0, rankCount: rankCount).ranges }
      precondition(wirePrecision == .float32 && block == nil, "MPI has no sum of 16-bit floats, nor of blocks")
      plans = []
      hostSum = nil
      firstRound = 0
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
    messages = BucketMessages(communicator, buckets: buckets.count)
    stages = Array(repeating: .idle, count: buckets.count)
    beginnings = Array(repeating: 0, count: buckets.count)
    leadSeconds = beginnings
    if hostSum != nil { gradient.release(outside: plans.map { $0.rounds[firstRound - 1].kept }) }
  }

  /// Where a bucket's gradient is to be computed.
  public func place(of bucket: Int) -> UnsafeMutablePointer<Float> {
    hostSum?.place(of: bucket) ?? gradient.pointer + buckets[bucket].lowerBound
  }

  /// Waits until the block's other ranks have summed what was in a bucket's place before.
  public func waitForPlace(of bucket: Int) throws(CollectiveError) {
    guard let hostSum, hostSum.rankThatKeeps(bucket) != nil else { return }
    let start = monotonicSeconds()
    if unfinished == 0 { beginning = start }
    try communicator.wait(
      .gradientReduction, for: hostSum.rankThatKeeps(bucket), until: { hostSum.rankThatKeeps(bucket) == nil },
      looking: { () throws(CollectiveError) in try moveOn() })
    time.exposed += elapsed(since: start)
  }

  /// Starts the exchange of a bucket whose gradient is complete on this rank.
  public func begin(bucket: Int) throws(CollectiveError) {
    precondition(stages[bucket].isIdle, "a bucket is begun once per step")
    let start = monotonicSeconds()
    if unfinished == 0 { beginning = start }
    beginnings[bucket] = start
    unfinished += 1
    if let hostSum {
      stages[bucket] = .summing
      hostSum.complete()
      _ = try moveOn()
    } else if communicator.rankCount == 1 || buckets[bucket].isEmpty {
      complete(bucket)
    } else if reduction == .fixedOrder {
      try reduce(bucket, round: 0)
    } else {
      let range = buckets[bucket]
      stages[bucket] = .reducing(0)
      try messages.sum(bucket: bucket, gradient.pointer + range.lowerBound, range.count)
    }
    time.polling += elapsed(since: start)
  }

  /// Moves all begun buckets on, without waiting.
  public func poll() throws(CollectiveError) {
    guard unfinished > 0 else { return }
    let start = monotonicSeconds()
    while unfinished > 0, try moveOn() {}
    time.polling += elapsed(since: start)
  }

  /// Does what can be done without waiting; returns whether there was anything.
  private func moveOn() throws(CollectiveError) -> Bool {
    if let bucket = hostSum?.sumNext() {
      if firstRound < plans[bucket].rounds.count, !buckets[bucket].isEmpty {
        try reduce(bucket, round: firstRound)
      } else {
        complete(bucket)
      }
      return true
    }
    return try completeSome(isWaiting: false)
  }

  /// Waits until all buckets are complete; the next step may begin them again.
  ///
  /// - Precondition: All have been begun.
  public func finish() throws(CollectiveError) {
    precondition(!stages.contains(where: \.isIdle), "every bucket is begun in every step, on every rank")
    let now = monotonicSeconds()
    for bucket in buckets.indices { leadSeconds[bucket] += now - beginnings[bucket] }
    if unfinished > 0 {
      let start = monotonicSeconds()
      try drain()
      time.exposed += elapsed(since: start)
    }
    for bucket in stages.indices { stages[bucket] = .idle }
    hostSum?.endStep()
  }

  /// Brings every rank's ranges of `buffer` (the gradient, the parameters, an optimizer's state) to all ranks.
  ///
  /// - Precondition: No bucket is under way; `buffer` is as long as the gradient.
  public func allGather(_ buffer: FloatBuffer) throws(CollectiveError) {
    precondition(buffer.count == gradient.count, "gathers a whole buffer")
    try gather(.floats(buffer.pointer))
  }

  /// Brings every rank's updates to all ranks, rounded where 16 bits travel.
  ///
  /// - Parameters:
  ///   - exact: Updated parameters; of each rank its own ranges count. May be `parameters` where float32 travels.
  ///   - parameters: The same on all ranks, before and after; with a block one buffer for all of its ranks.
  ///   - largestUpdate: About the size of the largest update; float16's range is laid around it.
  public func allGatherUpdates(
    exact: FloatBuffer, into parameters: FloatBuffer, largestUpdate: Double
  ) throws(CollectiveError) {
    guard let halfWire else {
      precondition(exact === parameters, "float32 is updated in place")
      return try gather(hostSum == nil ? .floats(parameters.pointer) : .sharedFloats(parameters.pointer))
    }
    precondition(exact !== parameters && exact.count == gradient.count, "rounded updates need exact parameters")
    // At most 2⁸ leaves room for Adam's and RMSProp's largest steps, and 2⁻²² of it is still a half.
    let exponent = 8 - Int(largestUpdate.exponent)
    let factor = wirePrecision == .float16 ? Float(sign: .plus, exponent: exponent, significand: 1) : 1
    for bucket in buckets.indices {
      halfWire.round(
        bucket: bucket, ownedRanges[bucket], exact: exact.pointer, shared: parameters.pointer, factor: factor)
    }
    try gather(.updates(halfWire))
    for bucket in buckets.indices { halfWire.apply(bucket: bucket, to: parameters.pointer, factor: factor) }
  }

  private func gather(_ gathered: Gathered) throws(CollectiveError) {
    precondition(isIdle, "gathers between two steps")
    guard communicator.rankCount > 1 else { return }
    let start = monotonicSeconds()
    beginning = start
    for bucket in buckets.indices where !buckets[bucket].isEmpty {
      unfinished += 1
      try begin(gathered, bucket: bucket)
    }
    try drain()
    try leaveTogether()
    time.exposed += elapsed(since: start)
    for bucket in stages.indices { stages[bucket] = .idle }
  }

  /// Waits until every rank has all it waits for.
  ///
  /// A rank that has it may still owe another a message of MPI's own (Open MPI: the notice that memory was read) that was
  /// put off, and is sent at its next call of MPI: half a step later. A notice owed to a rank that is in MPI too goes out at once.
  private func leaveTogether() throws(CollectiveError) { try communicator.barrier() }

  private func drain() throws(CollectiveError) {
    if let hostSum {
      try communicator.wait(
        .gradientReduction, for: hostSum.rankThatLacks, until: { hostSum.isIdle },
        looking: { () throws(CollectiveError) in try moveOn() })
    }
    while unfinished > 0, try completeSome(isWaiting: true) {}
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
  private func completeSome(isWaiting: Bool) throws(CollectiveError) -> Bool {
    try messages.complete(waitingFor: peerOfFirstUnfinished(), isWaiting: isWaiting) {
      bucket throws(CollectiveError) in try advance(bucket)
    }
  }

  private func peerOfFirstUnfinished() -> Int? {
    guard reduction == .fixedOrder else { return nil }
    for bucket in stages.indices {
      switch stages[bucket] {
      case .reducing(let round), .gathering(_, let round): return plans[bucket].rounds[round].peer
      case .idle, .summing, .done: continue
      }
    }
    return nil
  }

  /// All messages of the bucket's stage have come: on to the next stage.
  private func advance(_ bucket: Int) throws(CollectiveError) {
    switch stages[bucket] {
    case .reducing(let round):
      guard reduction == .fixedOrder else { return complete(bucket) }
      let kept = plans[bucket].rounds[round].kept
      if let halfWire {
        halfWire.addIncoming(bucket: bucket, to: kept, of: gradient.pointer)
      } else {
        add(scratch[bucket].pointer, to: gradient.pointer + kept.lowerBound, count: kept.count)
      }
      if round + 1 < plans[bucket].rounds.count {
        try reduce(bucket, round: round + 1)
      } else {
        complete(bucket)
      }
    case .gathering(let gathered, let round):
      if reduction == .fixedOrder, round > lastRound(gathered) {
        try gather(gathered, bucket: bucket, round: round - 1)
      } else {
        complete(bucket)
      }
    case .idle, .summing, .done:
      preconditionFailure("a message came for a bucket that waits for none")
    }
  }

  private func complete(_ bucket: Int) {
    stages[bucket] = .done
    unfinished -= 1
  }

  private func reduce(_ bucket: Int, round: Int) throws(CollectiveError) {
    stages[bucket] = .reducing(round)
    let halves = plans[bucket].rounds[round]
    if let halfWire {
      return try messages.exchange(
        bucket: bucket, peer: halves.peer, receiving: halfWire.incoming(bucket: bucket),
        halfWire.messageCount(halves.kept.count),
        sending: halfWire.outgoing(bucket: bucket, halves.sent, of: gradient.pointer),
        halfWire.messageCount(halves.sent.count))
    }
    try messages.exchange(
      bucket: bucket, peer: halves.peer, receiving: scratch[bucket].pointer, halves.kept.count,
      sending: gradient.pointer + halves.sent.lowerBound, halves.sent.count)
  }

  private func begin(_ gathered: Gathered, bucket: Int) throws(CollectiveError) {
    guard reduction == .mpi else {
      let round = plans[bucket].rounds.count - 1
      guard round >= lastRound(gathered) else { return complete(bucket) }
      return try gather(gathered, bucket: bucket, round: round)
    }
    guard case .floats(let buffer) = gathered else { preconditionFailure("MPI's own sum is in float32") }
    stages[bucket] = .gathering(gathered, 0)
    try messages.gather(
      bucket: bucket, buffer + buckets[bucket].lowerBound, shares: shares[bucket].pointer)
  }

  /// The last round of a gather, which goes through the plan in reverse.
  private func lastRound(_ gathered: Gathered) -> Int {
    if case .sharedFloats = gathered { firstRound } else { 0 }
  }

  private func gather(_ gathered: Gathered, bucket: Int, round: Int) throws(CollectiveError) {
    stages[bucket] = .gathering(gathered, round)
    let halves = plans[bucket].rounds[round]
    switch gathered {
    case .floats(let buffer), .sharedFloats(let buffer):
      try messages.exchange(
        bucket: bucket, peer: halves.peer, receiving: buffer + halves.sent.lowerBound, halves.sent.count,
        sending: buffer + halves.kept.lowerBound, halves.kept.count)
    case .updates(let halfWire):
      try messages.exchange(
        bucket: bucket, peer: halves.peer, receiving: halfWire.updates(bucket: bucket, halves.sent), halves.sent.count,
        sending: halfWire.updates(bucket: bucket, halves.kept), halves.kept.count)
    }
  }
}
