internal import Foundation

/// Round numbers along an axis.
public struct Axis: Equatable, Sendable {
  /// What the axis spans; never empty.
  public let range: ClosedRange<Double>
  /// Round numbers inside `range`, ascending: multiples of 1, 2 or 5 times a power of ten.
  public let ticks: [Double]
  private let step: Double

  /// An axis over `values`, with about `count` ticks.
  ///
  /// - Parameter margin: The share of the span that is left free at either end.
  public init(covering values: ClosedRange<Double>, count: Int = 6, margin: Double = 0.04) {
    var (lower, upper) = (values.lowerBound, values.upperBound)
    if upper - lower <= 1e-12 * max(1, abs(lower)) {
      let half = max(0.5, abs(lower) * 0.1)
      (lower, upper) = (lower - half, upper + half)
    }
    let free = (upper - lower) * margin
    (lower, upper) = (lower - free, upper + free)
    let rough = (upper - lower) / Double(max(1, count))
    let power = pow(10, floor(log10(rough)))
    let factor = [1.0, 2, 5, 10].first { $0 * power >= rough } ?? 10
    let step = factor * power
    let first = Int((lower / step).rounded(.up))
    let last = Int((upper / step).rounded(.down))
    range = lower...upper
    ticks = first <= last ? (first...last).map { Double($0) * step } : []
    self.step = step
  }

  /// A tick as text, with as many digits as the ticks differ in.
  public func label(_ tick: Double) -> String {
    let magnitude = max(abs(range.lowerBound), abs(range.upperBound))
    if magnitude >= 1e6 || step < 1e-4 { return String(format: "%.6g", tick) }
    let digits = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
    let text = String(format: "%.\(digits)f", tick)
    return text.hasPrefix("-") ? "−" + text.dropFirst() : text
  }
}
