import Tensors

/// Sums buckets over the ranks of a block where they lie: each rank reads its part of all ranks' buckets and adds it up.
///
///     rank 0  ▐ bucket ▌ ─┐
///     rank 1  ▐ bucket ▌ ─┼─→ rank r: ((0 + 1) + (2 + 3)) + … of its part, into its gradient
///     rank 2  ▐ bucket ▌ ─┤
///     rank 3  ▐ bucket ▌ ─┘
///
/// What `HalvingPlan`'s first rounds would do with messages, bit for bit. A bucket is summed when all ranks have completed it;
/// its place is used again when all have summed it.
final class HostSum {
  private let block: HostBlock
  /// Keeps the memory of all ranks of the block.
  private let memory: [MappedMemory]
  /// How many buckets each rank has completed, and how many it has summed, since the run began.
  private let completedBy: HostProgress
  private let summedBy: HostProgress
  /// Each rank's memory for buckets.
  private let buckets: [UnsafeMutablePointer<Float>]
  private let places: BucketPlaces
  /// This rank's part of each bucket, in the gradient and from the bucket's beginning.
  private let parts: [(range: Range<Int>, offset: Int)]
  private let gradient: FloatBuffer
  /// Sums of subtrees, one for each level.
  private let scratch: FloatBuffer
  /// Buckets of the steps before this one.
  private var stepBase = 0
  private var completed = 0
  private var summed = 0

  /// Shares the memory; collective.
  ///
  /// - Parameters:
  ///   - parts: Of each bucket what this rank sums.
  ///   - gradient: Receives the sums.
  /// - Throws: `CollectiveError` where ranks fail or have no memory.
  init(
    _ block: HostBlock, buckets ranges: [Range<Int>], parts: [Range<Int>], places: BucketPlaces, gradient: FloatBuffer
  ) throws(CollectiveError) {
    self.block = block
    self.places = places
    self.gradient = gradient
    self.parts = zip(ranges, parts).map { ($1, $1.lowerBound - $0.lowerBound) }
    memory = try block.memoryOfEachRank(bytes: places.count * MemoryLayout<Float>.stride)
    buckets = memory.compactMap { [count = places.count] in
      $0.bytes.baseAddress?.bindMemory(to: Float.self, capacity: count)
    }
    completedBy = try HostProgress(block)
    summedBy = try HostProgress(block)
    scratch = FloatBuffer(count: Self.chunk * memory.count.trailingZeroBitCount)
  }

  /// Where this rank computes a bucket, once no rank keeps its place.
  func place(of bucket: Int) -> UnsafeMutablePointer<Float> { buckets[block.place] + places.offsets[bucket] }

  /// A rank that has yet to sum what was in a bucket's place before.
  func rankThatKeeps(_ bucket: Int) -> Int? { summedBy.rankBehind(stepBase + places.predecessors[bucket]) }

  /// A rank that has yet to complete the bucket that is next to be summed.
  var rankThatLacks: Int? { completedBy.rankBehind(summed + 1) }

  /// Whether all that this rank has completed is summed.
  var isIdle: Bool { summed == completed }

  /// Tells the other ranks that this one has computed the next bucket.
  func complete() {
    completed += 1
    completedBy.store(completed)
  }

  /// Sums a bucket, the next in order, if all ranks have completed it.
  ///
  /// - Returns: The bucket; nil where there is none to be summed.
  func sumNext() -> Int? {
    guard summed < completed, rankThatLacks == nil else { return nil }
    let bucket = summed - stepBase
    let (range, offset) = parts[bucket]
    let start = places.offsets[bucket] + offset
    for first in stride(from: 0, to: range.count, by: Self.chunk) {
      sum(
        0..<buckets.count, start + first, count: min(Self.chunk, range.count - first),
        into: gradient.pointer + range.lowerBound + first)
    }
    summed += 1
    summedBy.store(summed)
    return bucket
  }

  /// Begins a new step; all buckets have been summed.
  func endStep() { stepBase = summed }

  /// Floats that are summed at a time: subtrees' sums stay in the L1 cache.
  private static let chunk = 1024

  /// The sum over some ranks, a power of two of them, by the tree of neighbours.
  private func sum(_ ranks: Range<Int>, _ start: Int, count: Int, into result: UnsafeMutablePointer<Float>) {
    let middle = ranks.lowerBound + ranks.count / 2
    guard ranks.count > 2 else {
      let (left, right) = (buckets[ranks.lowerBound] + start, buckets[middle] + start)
      for index in 0..<count { result[index] = left[index] + right[index] }
      return
    }
    let rest = scratch.pointer + Self.chunk * (ranks.count.trailingZeroBitCount - 1)
    sum(ranks.lowerBound..<middle, start, count: count, into: result)
    sum(middle..<ranks.upperBound, start, count: count, into: rest)
    add(rest, to: result, count: count)
  }
}
