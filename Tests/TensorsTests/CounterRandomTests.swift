import Tensors
import Testing

@Suite struct CounterRandomTests {
  @Test(
    "Philox4x32-10 gives its authors' known answers",
    arguments: [
      (SIMD4<UInt32>(), SIMD2<UInt32>(), SIMD4<UInt32>(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)),
      (
        SIMD4(repeating: UInt32.max), SIMD2(repeating: UInt32.max),
        SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)
      ),
      (
        SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), SIMD2(0xA409_3822, 0x299F_31D0),
        SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)
      ),
    ])
  func knownAnswers(_ counter: SIMD4<UInt32>, _ key: SIMD2<UInt32>, _ expected: SIMD4<UInt32>) {
    #expect(CounterRandom.philox(counter: counter, key: key) == expected)
  }

  @Test("streams of other seeds, purposes and steps differ, the same ones agree")
  func streams() {
    let streams = [
      CounterRandom(seed: 1, purpose: .time, step: 0), CounterRandom(seed: 2, purpose: .time, step: 0),
      CounterRandom(seed: 1, purpose: .diffusion, step: 0), CounterRandom(seed: 1, purpose: .time, step: 1),
    ]
    #expect(Set(streams.map { $0.words(index: 5, block: 7) }).count == 4)
    #expect(
      CounterRandom(seed: 1, purpose: .time, step: 0).words(index: 5, block: 7) == streams[0].words(index: 5, block: 7))
  }

  @Test("whole numbers below a bound are spread evenly over it")
  func integers() {
    let random = CounterRandom(seed: 3, purpose: .permutation, step: 0)
    var counts = [Int](repeating: 0, count: 7)
    for index in 0..<70_000 { counts[random.integer(below: 7, index: index)] += 1 }
    // Six standard deviations of a count of 10,000.
    for count in counts { #expect(abs(count - 10_000) < 560) }
  }
}
