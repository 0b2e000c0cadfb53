internal import CMPI
import Foundation
import Tensors

/// What all ranks do with small and large values outside the step.
extension Communicator {
  /// Elements per MPI call: MPI counts in 32 bits.
  static let largestCount = 1 << 30

  /// Returns when all ranks have called it.
  public func barrier() throws(CollectiveError) {
    try perform(.barrier) { cmpi_barrier($0) }
  }

  /// Overwrites `bytes` on all ranks with those of rank `root`; the count must be the same on all.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CollectiveError) {
    guard rankCount > 1, let start = bytes.baseAddress else { return }
    for offset in stride(from: 0, to: bytes.count, by: Self.largestCount) {
      let count = Int32(min(Self.largestCount, bytes.count - offset))
      try perform(.broadcast) { cmpi_broadcast_bytes($0, start + offset, count, Int32(root)) }
    }
  }

  /// Overwrites `values` on all ranks with those of rank `root`; the count must be the same on all.
  public func broadcast(_ values: UnsafeMutableBufferPointer<Float>, from root: Int) throws(CollectiveError) {
    try broadcast(UnsafeMutableRawBufferPointer(values), from: root)
  }

  /// The bytes of rank `root`, on all ranks; what the others pass is ignored.
  public func broadcast(_ bytes: [UInt8], from root: Int) throws(CollectiveError) -> [UInt8] {
    guard rankCount > 1 else { return bytes }
    var count = Int64(bytes.count)
    try withUnsafeMutableBytes(of: &count) { (raw) throws(CollectiveError) in try broadcast(raw, from: root) }
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Int(count))
    try result.withUnsafeMutableBufferPointer { (elements) throws(CollectiveError) in
      try broadcast(UnsafeMutableRawBufferPointer(elements), from: root)
    }
    return result
  }

  /// Sums `values` over all ranks, in place, in an order that MPI chooses (for gradients: `GradientReducer`).
  public func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(CollectiveError) {
    guard rankCount > 1, let start = values.baseAddress else { return }
    for offset in stride(from: 0, to: values.count, by: Self.largestCount) {
      let count = Int32(min(Self.largestCount, values.count - offset))
      try perform(.sum) { cmpi_reduce_floats($0, start + offset, count) }
    }
  }

  /// The sums of `values` over all ranks, element by element.
  public func sum(_ values: [Double]) throws(CollectiveError) -> [Double] {
    try reduce(values, .sum, cmpi_sum)
  }

  /// The largest of all ranks' values.
  public func maximum(of value: Int) throws(CollectiveError) -> Int {
    try reduce([value], .maximum, cmpi_maximum)[0]
  }

  /// The largest of all ranks' values.
  public func maximum(of value: Double) throws(CollectiveError) -> Double {
    try reduce([value], .maximum, cmpi_maximum)[0]
  }

  /// The largest of all ranks' values, element by element.
  public func maximum(of values: [Double]) throws(CollectiveError) -> [Double] {
    try reduce(values, .maximum, cmpi_maximum)
  }

  /// The smallest of all ranks' values.
  public func minimum(of value: Int) throws(CollectiveError) -> Int {
    try reduce([value], .minimum, cmpi_minimum)[0]
  }

  /// The smallest of all ranks' values.
  public func minimum(of value: Double) throws(CollectiveError) -> Double {
    try reduce([value], .minimum, cmpi_minimum)[0]
  }

  /// Every rank's value, in the order of ranks, on all ranks.
  public func gather(_ value: Int) throws(CollectiveError) -> [Int] {
    guard rankCount > 1 else { return [value] }
    var values = [Int64](repeating: 0, count: rankCount)
    try perform(.gather) { cmpi_gather_integers($0, Int64(value), &values) }
    return values.map(Int.init)
  }

  /// What each rank's memory is mapped by, in the order of ranks, on all ranks; nil of ranks without.
  func gather(_ offer: MappedMemory.Offer?) throws(CollectiveError) -> [MappedMemory.Offer?] {
    try gather(offer.flatMap { try? Array(JSONEncoder().encode($0)) } ?? []).map {
      try? JSONDecoder().decode(MappedMemory.Offer.self, from: Data($0))
    }
  }

  /// Every rank's bytes, of any lengths, in the order of ranks, on all ranks.
  public func gather(_ bytes: [UInt8]) throws(CollectiveError) -> [[UInt8]] {
    guard rankCount > 1 else { return [bytes] }
    let counts = try gather(bytes.count)
    let total = counts.reduce(0, +)
    guard total < Self.largestCount else {
      var all: [[UInt8]] = []
      for root in 0..<rankCount { all.append(try broadcast(bytes, from: root)) }
      return all
    }
    let counts32 = counts.map(Int32.init)
    var offsets: [Int32] = []
    var offset: Int32 = 0
    for count in counts32 {
      offsets.append(offset)
      offset += count
    }
    var all = [UInt8](repeating: 0, count: total)
    try perform(.gather) { cmpi_gather_bytes($0, bytes, Int32(bytes.count), &all, counts32, offsets) }
    return zip(offsets, counts32).map { Array(all[Int($0)..<Int($0 + $1)]) }
  }

  /// Reduces whole numbers element by element.
  func reduce(
    _ values: [Int], _ operation: Operation, _ reduction: cmpi_operation
  ) throws(CollectiveError) -> [Int] {
    guard rankCount > 1 else { return values }
    var result = values.map(Int64.init)
    try perform(operation) { cmpi_reduce_integers($0, &result, Int32(values.count), reduction) }
    return result.map(Int.init)
  }

  private func reduce(
    _ values: [Double], _ operation: Operation, _ reduction: cmpi_operation
  ) throws(CollectiveError) -> [Double] {
    guard rankCount > 1 else { return values }
    var result = values
    try perform(operation) { cmpi_reduce_doubles($0, &result, Int32(values.count), reduction) }
    return result
  }
}
