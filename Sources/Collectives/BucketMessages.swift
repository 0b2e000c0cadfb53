internal import CMPI
import Foundation

/// The messages of buckets that are under way: at most two of each bucket, or one of MPI's own collectives.
///
/// No memory is allocated after `init`.
final class BucketMessages {
  /// Bytes that this rank has sent since then; of MPI's own collectives what a ring would send.
  private(set) var bytesSent = 0
  /// Whether none is under way.
  var isEmpty: Bool { count == 0 }

  private let communicator: Communicator
  /// Two slots per bucket: receive (or a collective) and send.
  private let requests: UnsafeMutableBufferPointer<cmpi_request>
  private let completedIndices: UnsafeMutableBufferPointer<Int32>
  private let statuses: UnsafeMutableBufferPointer<MPI_Status>
  /// Messages under way: of each bucket, and of all.
  private var counts: [Int]
  private var count = 0

  init(_ communicator: Communicator, buckets: Int) {
    self.communicator = communicator
    requests = .allocate(capacity: max(1, 2 * buckets))
    requests.initialize(repeating: cmpi_no_request())
    completedIndices = .allocate(capacity: requests.count)
    completedIndices.initialize(repeating: 0)
    statuses = .allocate(capacity: requests.count)
    statuses.initialize(repeating: MPI_Status())
    counts = Array(repeating: 0, count: buckets)
  }

  deinit {
    requests.deallocate()
    completedIndices.deallocate()
    statuses.deallocate()
  }

  /// Starts two messages, to and from one peer.
  ///
  /// A bucket's messages to one peer are in the same order on both sides, so its number is tag enough.
  func exchange<Element>(
    bucket: Int, peer: Int, receiving: UnsafeMutablePointer<Element>, _ receivedCount: Int,
    sending: UnsafePointer<Element>, _ sentCount: Int
  ) throws(CollectiveError) {
    let size = MemoryLayout<Element>.size
    note(bucket, messages: 2, bytes: size * sentCount)
    try communicator.perform(.gradientReduction, waitingFor: peer) { world in
      let code = cmpi_begin_receive(
        world, receiving, size, Int32(receivedCount), Int32(peer), Int32(bucket), &requests[2 * bucket])
      guard code == cmpi_success else { return code }
      return cmpi_begin_send(
        world, sending, size, Int32(sentCount), Int32(peer), Int32(bucket), &requests[2 * bucket + 1])
    }
  }

  /// Starts MPI's own sum of a bucket, in place.
  func sum(bucket: Int, _ values: UnsafeMutablePointer<Float>, _ count: Int) throws(CollectiveError) {
    note(bucket, messages: 1, bytes: 8 * count * (communicator.rankCount - 1) / communicator.rankCount)
    try communicator.perform(.gradientReduction) { world in
      cmpi_begin_reduce_floats(world, values, Int32(count), &requests[2 * bucket])
    }
  }

  /// Starts MPI's own gather of a bucket, in place.
  ///
  /// - Parameter shares: Counts of all ranks' parts, then their offsets; read until the gather is complete.
  func gather(
    bucket: Int, _ values: UnsafeMutablePointer<Float>, shares: UnsafePointer<Int32>
  ) throws(CollectiveError) {
    note(bucket, messages: 1, bytes: 4 * Int(shares[communicator.rank]) * (communicator.rankCount - 1))
    try communicator.perform(.gradientReduction) { world in
      cmpi_begin_gather_floats(world, values, shares, shares + communicator.rankCount, &requests[2 * bucket])
    }
  }

  private func note(_ bucket: Int, messages: Int, bytes: Int) {
    counts[bucket] = messages
    count += messages
    bytesSent += bytes
  }

  /// Handles messages that have come and gone, of which there is at least one.
  ///
  /// - Parameters:
  ///   - peer: The rank that is waited for, where it is one.
  ///   - isWaiting: Whether to wait for one.
  ///   - advance: Called with each bucket whose messages are all complete; may start new ones.
  /// - Returns: Whether there were any.
  func complete(
    waitingFor peer: @autoclosure () -> Int?, isWaiting: Bool, advance: (Int) throws(CollectiveError) -> Void
  ) throws(CollectiveError) -> Bool {
    guard !isEmpty else { return false }
    var completed: Int32 = 0
    func call(_: cmpi_communicator) -> Int32 {
      cmpi_complete_some(
        isWaiting ? 1 : 0, requests.baseAddress, Int32(requests.count), &completed, completedIndices.baseAddress,
        statuses.baseAddress)
    }
    if isWaiting {
      try communicator.perform(.gradientReduction, waitingFor: peer(), call)
    } else {
      try communicator.performAtOnce(.gradientReduction, call)
    }
    for index in 0..<Int(completed) {
      let bucket = Int(completedIndices[index]) / 2
      counts[bucket] -= 1
      count -= 1
      if counts[bucket] == 0 { try advance(bucket) }
    }
    return completed > 0
  }
}
