import Tensors

/// What 16-bit messages need beside those of float32: conversion, the rounding errors, and buffers for the words.
///
/// Errors are fed back (Seide et al. 2014): what rounding takes from an element of the gradient is added to it in the
/// next step, so that nothing is lost in the long run. Updates of parameters travel as differences; each rank keeps exact
/// copies of the parameters that it owns, so that what rounding takes from one difference is part of the next.
/// All ranks apply the same rounded differences: their parameters stay bit for bit the same.
final class HalfWire {
  /// A message's first words hold the factor that its numbers were multiplied by.
  private static let headerCount = 2

  private let precision: WirePrecision
  /// What rounding has taken from each element of the gradient in the last step.
  private let residual: FloatBuffer
  private let outgoing: [AlignedBuffer<UInt16>]
  private let incoming: [AlignedBuffer<UInt16>]
  /// Rounded differences of a bucket's parameters, all ranks'.
  private let updates: [AlignedBuffer<UInt16>]
  private let buckets: [Range<Int>]

  /// - Parameters:
  ///   - precision: One of the 16-bit formats.
  ///   - plans: Of each bucket; at least two ranks'.
  init(_ precision: WirePrecision, buckets: [Range<Int>], plans: [HalvingPlan], count: Int) {
    self.precision = precision
    self.buckets = buckets
    residual = FloatBuffer(count: count)
    outgoing = plans.map { AlignedBuffer(count: ($0.rounds.first?.sent.count ?? 0) + Self.headerCount) }
    incoming = plans.map { AlignedBuffer(count: ($0.rounds.first?.kept.count ?? 0) + Self.headerCount) }
    updates = buckets.map { AlignedBuffer(count: $0.count) }
  }

  // MARK: Sums

  /// Words of a message of `count` numbers.
  func messageCount(_ count: Int) -> Int { count + Self.headerCount }

  /// Where a bucket's message is received.
  func incoming(bucket: Int) -> UnsafeMutablePointer<UInt16> { incoming[bucket].pointer }

  /// Rounds a range of the gradient, with last step's errors, into a message; keeps the new errors.
  func outgoing(bucket: Int, _ range: Range<Int>, of gradient: UnsafePointer<Float>) -> UnsafePointer<UInt16> {
    let message = outgoing[bucket].pointer
    let words = message + Self.headerCount
    let values = gradient + range.lowerBound
    let errors = residual.pointer + range.lowerBound
    let factor = precision == .float16 ? Self.factor(values, errors, count: range.count) : 1
    message[0] = UInt16(truncatingIfNeeded: factor.bitPattern)
    message[1] = UInt16(truncatingIfNeeded: factor.bitPattern >> 16)
    let inverse = 1 / factor
    // Whatever is not finite is not remembered, or it would spoil every later step.
    if precision == .bfloat16 {
      for index in 0..<range.count {
        let value = values[index] + errors[index]
        words[index] = HalfConversion.bfloat16(value)
        let error = value - HalfConversion.value(bfloat16: words[index])
        errors[index] = error.magnitude < .infinity ? error : 0
      }
    } else {
      for index in 0..<range.count {
        let value = values[index] + errors[index]
        words[index] = HalfConversion.float16(value * factor)
        let error = value - HalfConversion.value(float16: words[index]) * inverse
        errors[index] = error.magnitude < .infinity ? error : 0
      }
    }
    return UnsafePointer(message)
  }

  /// Adds a received message to a range of the gradient.
  func addIncoming(bucket: Int, to range: Range<Int>, of gradient: UnsafeMutablePointer<Float>) {
    let message = incoming[bucket].pointer
    let inverse = 1 / Float(bitPattern: UInt32(message[1]) << 16 | UInt32(message[0]))
    add(message + Self.headerCount, times: inverse, to: gradient + range.lowerBound, count: range.count)
  }

  // MARK: Updates of parameters

  /// Where the differences of a bucket's range lie.
  func updates(bucket: Int, _ range: Range<Int>) -> UnsafeMutablePointer<UInt16> {
    updates[bucket].pointer + (range.lowerBound - buckets[bucket].lowerBound)
  }

  /// Rounds the differences between a range's exact parameters and those that all ranks have.
  ///
  /// - Parameter factor: A power of two that brings an update's size near 2⁸, the same on all ranks.
  func round(
    bucket: Int, _ range: Range<Int>, exact: UnsafePointer<Float>, shared: UnsafePointer<Float>, factor: Float
  ) {
    let words = updates(bucket: bucket, range)
    let (exact, shared) = (exact + range.lowerBound, shared + range.lowerBound)
    if precision == .bfloat16 {
      for index in 0..<range.count { words[index] = HalfConversion.bfloat16(exact[index] - shared[index]) }
    } else {
      for index in 0..<range.count { words[index] = HalfConversion.float16((exact[index] - shared[index]) * factor) }
    }
  }

  /// Adds a bucket's differences, all ranks', to the parameters.
  func apply(bucket: Int, to parameters: UnsafeMutablePointer<Float>, factor: Float) {
    let range = buckets[bucket]
    add(updates[bucket].pointer, times: 1 / factor, to: parameters + range.lowerBound, count: range.count)
  }

  private func add(
    _ words: UnsafePointer<UInt16>, times inverse: Float, to sums: UnsafeMutablePointer<Float>, count: Int
  ) {
    if precision == .bfloat16 {
      for index in 0..<count { sums[index] += HalfConversion.value(bfloat16: words[index]) }
    } else {
      for index in 0..<count { sums[index] += HalfConversion.value(float16: words[index]) * inverse }
    }
  }

  /// The power of two that brings the largest finite sum to float16's upper end, with room for rounding.
  private static func factor(_ values: UnsafePointer<Float>, _ errors: UnsafePointer<Float>, count: Int) -> Float {
    var largest: UInt32 = 0
    for index in 0..<count {
      let magnitude = (values[index] + errors[index]).bitPattern & 0x7FFF_FFFF
      largest = max(largest, magnitude < 0x7F80_0000 ? magnitude : 0)
    }
    let exponent = Int(largest >> 23) - 127
    // Neither the factor nor its inverse may leave float32's normal numbers.
    return Float(sign: .plus, exponent: min(100, max(-100, 14 - exponent)), significand: 1)
  }
}
