/// What random numbers are drawn for.
///
/// Every purpose has its own stream, so that adding one never changes another.
public enum RandomPurpose: UInt32, CaseIterable, Sendable {
  /// Initial parameters.
  case initialization = 1
  /// The order of the images in an epoch.
  case permutation = 2
  /// The times t of a minibatch.
  case time = 3
  /// Dequantization, u ~ U(-½, ½).
  case dequantization = 4
  /// ε of the forward process.
  case diffusion = 5
  /// The start of a reverse trajectory.
  case samplingStart = 6
  /// The noise of reverse steps.
  case samplingStep = 7
  /// Dropout's masks.
  case dropout = 8
  /// Times, dequantization and noise of an evaluation.
  case evaluationTime = 9, evaluationDequantization = 10, evaluationDiffusion = 11
  /// Which pixels a random mask knows.
  case samplingMask = 12
  /// Images that are drawn.
  case drawing = 13
  /// Which pictures of a folder are tested with.
  case split = 14
}

/// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// A number is a pure function of (seed, purpose, step, index, element): there is no state to save, and nothing depends
/// on the rank that asks. `index` is the global image index wherever images are concerned. Kernels fill whole microbatches
/// from the same function (Kernels/RandomLanes.swift); this type is the scalar definition of it.
public struct CounterRandom: Sendable {
  /// The generator's key, from the seed and the purpose.
  public let key: SIMD2<UInt32>
  /// The step's share of the counter.
  public let step: UInt32

  /// A stream for one purpose at one step.
  ///
  /// - Parameters:
  ///   - seed: The run's seed; its 64 bits are mixed into the key together with the purpose.
  ///   - purpose: What the numbers are for.
  ///   - step: Training step, epoch, or reverse step: whatever the purpose counts.
  public init(seed: UInt64, purpose: RandomPurpose, step: Int) {
    // One Philox round of its own per seed would do; a multiply-xorshift mix keeps neighbouring seeds and purposes apart.
    var mixed = seed &+ UInt64(purpose.rawValue) &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    key = SIMD2(UInt32(truncatingIfNeeded: mixed), UInt32(truncatingIfNeeded: mixed >> 32))
    self.step = UInt32(truncatingIfNeeded: step)
  }

  /// Four words for a block of four elements: elements 4·block … 4·block + 3 of `index`.
  public func words(index: Int, block: Int) -> SIMD4<UInt32> {
    Self.philox(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
        step),
      key: key)
  }

  /// One word.
  public func word(index: Int, element: Int) -> UInt32 { words(index: index, block: element >> 2)[element & 3] }

  /// A number in (0, 1), from the upper 23 bits of the word (what a float holds): (word/2⁹ + ½)/2²³.
  public func uniform(index: Int, element: Int) -> Double {
    Self.uniform(word(index: index, element: element))
  }

  /// A whole number in 0 ..< bound, without noticeable bias for bounds below 2³².
  public func integer(below bound: Int, index: Int, element: Int = 0) -> Int {
    let pair = words(index: index, block: element)
    let wide = UInt64(pair[0]) << 32 | UInt64(pair[1])
    return Int(wide.multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// Two independent standard normals (Box–Muller) for elements 2·pair and 2·pair + 1 of `index`.
  public func normals(index: Int, pair: Int) -> SIMD2<Double> {
    let block = words(index: index, block: pair >> 1)
    let first = block[(pair & 1) * 2]
    let second = block[(pair & 1) * 2 + 1]
    return Self.boxMuller(first, second)
  }

  /// The ten rounds of Philox4x32.
  public static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var counter = counter
    var key = key
    for round in 0..<10 {
      if round > 0 { key = key &+ SIMD2(0x9E37_79B9, 0xBB67_AE85) }
      let first = UInt64(0xD251_1F53) * UInt64(counter[0])
      let second = UInt64(0xCD9E_8D57) * UInt64(counter[2])
      counter = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ counter[1] ^ key[0], UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ counter[3] ^ key[1], UInt32(truncatingIfNeeded: first))
    }
    return counter
  }
}
