public import Tensors

/// How the times t ∈ {1, …, T-1} of a minibatch are drawn (MODEL.md, "Objective").
public enum TimeSampling: String, Equatable, Sendable, CaseIterable {
  /// One t for the whole minibatch: the reference's recipe.
  case shared
  /// One t for each image, stratified over the minibatch: the same objective with far less noise.
  case perImage = "per_image"

  /// Draws the times of a global minibatch; every rank draws the same.
  ///
  /// Stratified: t_i = 1 + ⌊(i + u_i)/N·(T-1)⌋, the strata in a random order of images.
  ///
  /// - Parameters:
  ///   - count: Images of the global minibatch, N.
  ///   - step: What the draw is keyed by beside the seed.
  ///   - purpose: The stream: training's or an evaluation's.
  ///   - times: Receives t of every image; at least `count` long.
  public func draw(
    count: Int, trajectoryLength: Int, seed: UInt64, step: Int, purpose: RandomPurpose = .time,
    into times: UnsafeMutableBufferPointer<Int32>
  ) {
    precondition(times.count >= count, "no room for every image's time")
    let random = CounterRandom(seed: seed, purpose: purpose, step: step)
    let steps = trajectoryLength - 1
    switch self {
    case .shared:
      let time = Int32(1 + random.integer(below: steps, index: 0))
      for position in 0..<count { times[position] = time }
    case .perImage:
      for stratum in 0..<count {
        let position = (Double(stratum) + random.uniform(index: stratum, element: 0)) / Double(count)
        times[stratum] = Int32(1 + min(steps - 1, Int(position * Double(steps))))
      }
      // Fisher–Yates; the second block of an index is not used above.
      for last in stride(from: count - 1, to: 0, by: -1) {
        times.swapAt(last, random.integer(below: last + 1, index: last, element: 1))
      }
    }
  }
}
