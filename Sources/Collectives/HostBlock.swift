public import Tensors

/// Ranks that follow one another, see each other's memory, and are a whole subtree of the fixed order of sums: what they
/// exchange need not travel.
///
/// A host's ranks, where launchers place them so and their number is a power of two; else the largest such groups that there
/// are of one size.
public final class HostBlock {
  /// A power of two of ranks, from a multiple of their number on.
  public let ranks: Range<Int>
  let communicator: Communicator

  /// Finds this rank's block; nil, on all ranks, where ranks would be alone in theirs or do not see each other's memory.
  ///
  /// Collective.
  ///
  /// - Parameters:
  ///   - reduction: Only sums in the fixed order have subtrees.
  ///   - wirePrecision: Only whole floats are exchanged through memory: 16-bit sums would have other bits than those that travel.
  ///   - limit: Most ranks of a block.
  /// - Throws: `CollectiveError` where ranks fail.
  public init?(
    _ communicator: Communicator, reduction: Reduction, wirePrecision: WirePrecision, atMost limit: Int = .max
  ) throws(CollectiveError) {
    let size = communicator.topology.blockSize(atMost: limit)
    guard
      size > 1, reduction.available(rankCount: communicator.rankCount) == .fixedOrder, wirePrecision == .float32
    else { return nil }
    let first = communicator.rank / size * size
    ranks = first..<first + size
    self.communicator = communicator
    guard try seesAllMemory() else { return nil }
  }

  /// Whether all ranks see the memory of their blocks' others.
  ///
  /// Containers, and systems that hide processes from each other, show only on trying; where processes and files are numbered
  /// anew, what is seen may be another's: so each rank writes a number into its memory that only it knows.
  private func seesAllMemory() throws(CollectiveError) -> Bool {
    let memory = try exchange(bytes: MemoryLayout<Int>.size, isMaker: true)
    let number = Int.random(in: 1...Int.max)
    memory[place]?.bytes.storeBytes(of: number, as: Int.self)
    let numbers = try communicator.gather(number)
    let isVisible = zip(ranks, memory).allSatisfy { rank, memory in
      memory?.bytes.load(as: Int.self) == numbers[rank]
    }
    // Others look at it until here.
    defer { withExtendedLifetime(memory) {} }
    return try communicator.minimum(of: isVisible ? 1 : 0) == 1
  }

  /// Number of this rank within the block, from 0.
  public var place: Int { communicator.rank - ranks.lowerBound }

  /// Zeroed memory of each rank of the block, in their order, seen by all of them; collective.
  ///
  /// - Parameter bytes: The same on all ranks.
  /// - Throws: `CollectiveError` where ranks fail or have no memory.
  func memoryOfEachRank(bytes: Int) throws(CollectiveError) -> [MappedMemory] {
    let memory = try exchange(bytes: bytes, isMaker: true).compactMap { $0 }
    try require(memory.count == ranks.count, bytes: bytes)
    return memory
  }

  /// A zeroed buffer that all ranks of the block read and write; collective.
  ///
  /// - Throws: `CollectiveError` where ranks fail or have no memory.
  public func sharedBuffer(count: Int) throws(CollectiveError) -> FloatBuffer {
    let bytes = count * MemoryLayout<Float>.stride
    let memory = try exchange(bytes: bytes, isMaker: place == 0)[0]
    try require(memory != nil, bytes: bytes)
    guard let memory else { preconditionFailure("no rank lacks memory, this one neither") }
    return FloatBuffer(count: count, in: memory)
  }

  private func require(_ hasMemory: Bool, bytes: Int) throws(CollectiveError) {
    guard let rank = try communicator.gather(hasMemory ? 1 : 0).firstIndex(of: 0) else { return }
    throw .taskFailed(
      task: "share memory", rank: rank, host: communicator.topology.hosts[rank],
      text: "\(bytes) bytes are not to be had")
  }

  /// Makes memory, where this rank is to, and maps that of the block's other ranks.
  ///
  /// - Returns: Of each rank; nil where it made none or cannot be seen.
  private func exchange(bytes: Int, isMaker: Bool) throws(CollectiveError) -> [MappedMemory?] {
    let own = isMaker ? MappedMemory(count: bytes) : nil
    own?.useHugePages()
    let offers = try communicator.gather(own?.offer)
    return ranks.map { rank in
      rank == communicator.rank ? own : offers[rank].flatMap { MappedMemory($0, count: bytes, isWritten: true) }
    }
  }
}

extension Topology {
  /// Ranks of the largest blocks: the largest power of two for which every so many ranks, in order, are on one host.
  func blockSize(atMost limit: Int) -> Int {
    var size = 1
    while 2 * size <= limit, rankCount.isMultiple(of: 2 * size),
      hostLeaders.indices.allSatisfy({ hostLeaders[$0] == hostLeaders[$0 / (2 * size) * (2 * size)] })
    { size *= 2 }
    return size
  }
}
