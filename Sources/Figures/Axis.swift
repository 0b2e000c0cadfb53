internal import Foundation

/// Round numbers along an axis.
public struct Axis: Equatable, Sendable {
  /// What the axis spans; never empty.
  public let range: ClosedRange<Double>
  /// Round numbers inside `range`, ascending: multiples of 1, 2 or 5 times a power of ten; a single value is its own tick.
  public let ticks: [Double]
  /// Whether equal ratios, not equal differences, have equal lengths.
  public let isLogarithmic: Bool
  /// Between ticks; 0 where they are told by themselves.
  private let step: Double

  /// An axis over `values`, with about `count` ticks.
  ///
  /// - Parameters:
  ///   - margin: The share of the span that is left free at either end.
  ///   - isWhole: Whether there are whole numbers only, as of epochs.
  public init(covering values: ClosedRange<Double>, count: Int = 6, margin: Double = 0.04, isWhole: Bool = false) {
    var (lower, upper) = (values.lowerBound, values.upperBound)
    guard upper - lower > 1e-12 * max(abs(lower), abs(upper)) else {
      let half = lower == 0 ? 0.5 : abs(lower) * 0.1
      range = lower - half...lower + half
      (ticks, isLogarithmic, step) = ([lower], false, 0)
      return
    }
    let free = (upper - lower) * margin
    (lower, upper) = (lower - free, upper + free)
    let rough = (upper - lower) / Double(max(1, count))
    let power = pow(10, floor(log10(rough)))
    let factor = [1.0, 2, 5, 10].first { $0 * power >= rough } ?? 10
    let step = max(factor * power, isWhole ? 1 : 0)
    let first = Int((lower / step).rounded(.up))
    let last = Int((upper / step).rounded(.down))
    range = lower...upper
    ticks = first <= last ? (first...last).map { Double($0) * step } : []
    isLogarithmic = false
    self.step = step
  }

  /// A logarithmic axis over positive values, with about `count` ticks.
  public init(logarithmicCovering values: ClosedRange<Double>, count: Int = 6) {
    precondition(values.lowerBound > 0, "zero has no logarithm")
    // Never less than a factor of three, or there might be a single tick.
    let free = pow(max(3, values.upperBound / values.lowerBound), 0.05)
    let middle = (values.lowerBound * values.upperBound).squareRoot()
    let (lower, upper) = (min(values.lowerBound, middle / 1.75) / free, max(values.upperBound, middle * 1.75) * free)
    range = lower...upper
    let powers = Int(floor(log10(lower)))...Int(ceil(log10(upper)))
    func candidates(_ factors: [Double], every: Int = 1) -> [Double] {
      powers.filter { $0.isMultiple(of: every) }.flatMap { power in factors.map { $0 * pow(10, Double(power)) } }
        .filter { (lower...upper).contains($0) }
    }
    let choices = [
      candidates(Array(stride(from: 1, to: 10, by: 1))), candidates([1, 2, 3, 5, 7]), candidates([1, 2, 5]),
      candidates([1, 3]), candidates([1]),
    ]
    // The finest that leaves room for the labels.
    let sparse = (2...64).lazy.map { candidates([1], every: $0) }
    let most = max(3, count)
    ticks = choices.first { $0.count <= most } ?? sparse.first { $0.count <= most } ?? []
    isLogarithmic = true
    step = 0
  }

  /// Where a value lies on the axis: 0 at its lower end, 1 at its upper end.
  public func fraction(_ value: Double) -> Double {
    isLogarithmic
      ? log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
      : (value - range.lowerBound) / (range.upperBound - range.lowerBound)
  }

  /// A tick as text, with as many digits as the ticks differ in.
  public func label(_ tick: Double) -> String {
    if isLogarithmic { return String(format: "%.3g", tick) }
    let magnitude = max(abs(range.lowerBound), abs(range.upperBound))
    let digits = step > 0 ? max(0, Int((-log10(step) - 1e-9).rounded(.up))) : 0
    let isGeneral = magnitude >= 1e6 || step < 1e-5
    let text = isGeneral ? String(format: "%.6g", tick) : String(format: "%.\(digits)f", tick)
    return text.hasPrefix("-") ? "−" + text.dropFirst() : text
  }
}
