import KernelInterface

/// Another function r for some lanes than for others: samples of several kinds, drawn together.
///
/// Every lane has the bits that its own factor alone would give it.
public struct MixedFactor: PosteriorFactor {
  private let factors: [any PosteriorFactor]
  private let choices: [Int?]

  /// Mixes factors.
  ///
  /// - Parameters:
  ///   - factors: The functions, each made for all lanes of the batch.
  ///   - choices: For each sample which of them is its own; nil for plain samples.
  public init(_ factors: [any PosteriorFactor], choices: [Int?]) {
    precondition(choices.allSatisfy { $0.map(factors.indices.contains) ?? true }, "a choice among the factors")
    self.factors = factors
    self.choices = choices
  }

  /// Every lane's start is its own factor's.
  public func start(_ image: UnsafeMutableBufferPointer<Float>, group: Int) {
    for (index, factor) in factors.enumerated() {
      changing(lanes(of: index, in: group), of: image) { factor.start($0, group: group) }
    }
  }

  /// Every lane's moments are its own factor's.
  public func modify(
    mean: UnsafeMutableBufferPointer<Float>, deviation: UnsafeMutableBufferPointer<Float>, group: Int
  ) {
    for (index, factor) in factors.enumerated() {
      let lanes = lanes(of: index, in: group)
      changing(lanes, of: mean) { mean in
        changing(lanes, of: deviation) { factor.modify(mean: mean, deviation: $0, group: group) }
      }
    }
  }

  /// The lanes of a group whose factor this is.
  private func lanes(of factor: Int, in group: Int) -> [Int] {
    (0..<laneCount).filter { lane in
      // Lanes behind the last sample repeat it.
      choices.isEmpty ? false : choices[min(group * laneCount + lane, choices.count - 1)] == factor
    }
  }

  /// Lets `change` see all of a group's values, and keeps what it makes of some lanes.
  private func changing(
    _ lanes: [Int], of values: UnsafeMutableBufferPointer<Float>,
    _ change: (UnsafeMutableBufferPointer<Float>) -> Void
  ) {
    if lanes.isEmpty { return }
    if lanes.count == laneCount { return change(values) }
    var copy = Array(values)
    copy.withUnsafeMutableBufferPointer { copy in
      change(copy)
      for first in stride(from: 0, to: values.count, by: laneCount) {
        for lane in lanes { values[first + lane] = copy[first + lane] }
      }
    }
  }
}
