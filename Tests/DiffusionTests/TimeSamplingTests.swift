import Diffusion
import Tensors
import Testing

@Suite struct TimeSamplingTests {
  private func draw(_ sampling: TimeSampling, count: Int, length: Int, step: Int) -> [Int] {
    let times = AlignedBuffer<Int32>(count: count)
    sampling.draw(count: count, trajectoryLength: length, seed: 5, step: step, into: times.elements)
    return times.elements.map(Int.init)
  }

  @Test("one image falls into each of N equal parts of the trajectory", arguments: [1, 2, 7, 100, 512], [3, 40, 1000])
  func stratified(_ count: Int, _ length: Int) {
    let times = draw(.perImage, count: count, length: length, step: 3).sorted()
    for (stratum, time) in times.enumerated() {
      let steps = Double(length - 1)
      #expect(Double(time - 1) >= (Double(stratum) / Double(count) * steps).rounded(.down))
      #expect(Double(time - 1) <= Double(stratum + 1) / Double(count) * steps)
    }
    #expect(times.count { !(1..<length).contains($0) } == 0)
  }

  @Test("images come in another order at every step, and the same one when asked again")
  func order() {
    let first = draw(.perImage, count: 64, length: 1000, step: 1)
    #expect(first == draw(.perImage, count: 64, length: 1000, step: 1))
    #expect(first != draw(.perImage, count: 64, length: 1000, step: 2))
    #expect(first != first.sorted())
  }

  @Test("a shared t is one t, and over many steps every one")
  func shared() {
    var seen: Set<Int> = []
    for step in 0..<300 {
      let times = Set(draw(.shared, count: 9, length: 20, step: step))
      #expect(times.count == 1)
      seen.formUnion(times)
    }
    #expect(seen == Set(1..<20))
  }
}
