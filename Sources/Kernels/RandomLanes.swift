import KernelInterface

// Philox4x32-10 for 16 images at once; CounterRandom (Tensors) is the scalar definition of the same numbers.

private typealias Words = SIMD16<UInt32>
/// Philox multiplies 32 × 32 → 64 bits: words are kept in 64-bit lanes, where that is one instruction.
private typealias WideWords = SIMD8<UInt64>

@inline(__always)
private func widened(_ words: SIMD8<UInt32>) -> WideWords { WideWords(truncatingIfNeeded: words) }

@inline(__always)
private func philox(block: UInt32, indices: SIMD8<UInt32>, step: UInt32, key: SIMD2<UInt32>)
  -> (WideWords, WideWords, WideWords, WideWords)
{
  let low = WideWords(repeating: 0xFFFF_FFFF)
  var a = WideWords(repeating: UInt64(block))
  var b = widened(indices)
  var c = WideWords()
  var d = WideWords(repeating: UInt64(step))
  var key0 = key[0]
  var key1 = key[1]
  for _ in 0..<10 {
    let first = a &* WideWords(repeating: 0xD251_1F53)
    let second = c &* WideWords(repeating: 0xCD9E_8D57)
    let newA = (second &>> 32) ^ b ^ WideWords(repeating: UInt64(key0))
    let newC = (first &>> 32) ^ d ^ WideWords(repeating: UInt64(key1))
    a = newA & low
    b = second & low
    c = newC & low
    d = first & low
    key0 = key0 &+ 0x9E37_79B9
    key1 = key1 &+ 0xBB67_AE85
  }
  return (a, b, c, d)
}

/// 23 random bits as (bits + ½)/2²³ in (0, 1), for 16 lanes stored at `pointer`.
@inline(__always)
private func storeUniforms(_ low: WideWords, _ high: WideWords, to pointer: UnsafeMutablePointer<Float>) {
  let words = Words(
    lowHalf: SIMD8<UInt32>(truncatingIfNeeded: low), highHalf: SIMD8<UInt32>(truncatingIfNeeded: high))
  let bits = (words &>> 9) | Words(repeating: 0x3F80_0000)
  let uniform = (unsafeBitCast(bits, to: SIMD16<Float>.self) - 1) + 0x1p-24
  UnsafeMutableRawPointer(pointer).storeBytes(of: uniform, as: SIMD16<Float>.self)
}

extension VectorKernels {
  /// Fills numbers[element][lane] with uniforms in (0, 1) for 16 images, from element `first` on, a multiple of 4.
  ///
  /// `numbers` has room for `first + count` rounded up to a multiple of 4 elements.
  public func uniforms(
    _ numbers: UnsafeMutablePointer<Float>, from first: Int, count: Int, indices: UnsafePointer<UInt32>, step: UInt32,
    key: SIMD2<UInt32>
  ) {
    let lowIndices = UnsafeRawPointer(indices).loadUnaligned(as: SIMD8<UInt32>.self)
    let highIndices = UnsafeRawPointer(indices + 8).loadUnaligned(as: SIMD8<UInt32>.self)
    var element = first
    while element < first + count {
      let low = philox(block: UInt32(truncatingIfNeeded: element &>> 2), indices: lowIndices, step: step, key: key)
      let high = philox(block: UInt32(truncatingIfNeeded: element &>> 2), indices: highIndices, step: step, key: key)
      let pointer = numbers + element * laneCount
      storeUniforms(low.0, high.0, to: pointer)
      storeUniforms(low.1, high.1, to: pointer + laneCount)
      storeUniforms(low.2, high.2, to: pointer + 2 * laneCount)
      storeUniforms(low.3, high.3, to: pointer + 3 * laneCount)
      element += 4
    }
  }

  /// Fills numbers[element][lane] with standard normals for 16 images, as `uniforms` does: Box–Muller on pairs of uniforms.
  public func normals(
    _ numbers: UnsafeMutablePointer<Float>, from first: Int, count: Int, indices: UnsafePointer<UInt32>, step: UInt32,
    key: SIMD2<UInt32>
  ) {
    uniforms(numbers, from: first, count: count, indices: indices, step: step, key: key)
    var element = first
    while element < first + count {
      var lane = 0
      while lane < laneCount {
        let first = numbers + element * laneCount + lane
        let second = first + laneCount
        let radius = squareRoot(logarithm(load(first)) * Vector(repeating: -2))
        let angle = cosineAndSine(ofTurns: load(second))
        store(radius * angle.cosine, to: first)
        store(radius * angle.sine, to: second)
        lane += Vector.scalarCount
      }
      element += 2
    }
  }
}
