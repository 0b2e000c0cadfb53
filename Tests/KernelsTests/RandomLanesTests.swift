import KernelInterface
import Tensors
import Testing

/// Random numbers in lanes against their scalar definition.
@Suite struct RandomLanesTests {
  @Test("lanes hold the scalar generator's numbers", arguments: kernelNames)
  func definition(_ name: String) throws {
    let kernels = try kernelSet(name)
    let random = CounterRandom(seed: 77, purpose: .diffusion, step: 12345)
    let indices = AlignedBuffer<UInt32>(count: laneCount)
    for lane in 0..<laneCount { indices[lane] = UInt32(lane * 5407 + 3) }
    // 50 is no multiple of 4: the last block is drawn whole.
    let numbers = FloatBuffer(count: 52 * laneCount)
    kernels.uniforms(numbers.pointer, from: 0, count: 50, indices: indices.pointer, step: random.step, key: random.key)
    for element in 0..<50 {
      for lane in 0..<laneCount {
        let expected = random.uniform(index: Int(indices[lane]), element: element)
        #expect(abs(Double(numbers[element * laneCount + lane]) - expected) < 1e-7)
      }
    }
    // In two pieces: what is drawn does not depend on where a piece begins.
    for (first, count) in [(20, 30), (0, 20)] {
      kernels.normals(
        numbers.pointer, from: first, count: count, indices: indices.pointer, step: random.step, key: random.key)
    }
    for pair in 0..<25 {
      for lane in 0..<laneCount {
        let expected = random.normals(index: Int(indices[lane]), pair: pair)
        #expect(abs(Double(numbers[2 * pair * laneCount + lane]) - expected[0]) < 4e-6)
        #expect(abs(Double(numbers[(2 * pair + 1) * laneCount + lane]) - expected[1]) < 4e-6)
      }
    }
  }

  @Test("normals have the moments of N(0, 1)", arguments: kernelNames)
  func moments(_ name: String) throws {
    let kernels = try kernelSet(name)
    let count = 40_000
    let numbers = FloatBuffer(count: count * laneCount)
    let indices = AlignedBuffer<UInt32>(count: laneCount)
    for lane in 0..<laneCount { indices[lane] = UInt32(lane) }
    let random = CounterRandom(seed: 1, purpose: .diffusion, step: 0)
    kernels.normals(
      numbers.pointer, from: 0, count: count, indices: indices.pointer, step: random.step, key: random.key)
    var moments = SIMD4<Double>()
    for number in numbers.elements {
      let x = Double(number)
      moments += SIMD4(x, x * x, x * x * x, x * x * x * x)
    }
    moments /= Double(numbers.count)
    // Five standard errors of each moment of 640,000 numbers.
    #expect(abs(moments[0]) < 5 * (1.0 / 640_000).squareRoot())
    #expect(abs(moments[1] - 1) < 5 * (2.0 / 640_000).squareRoot())
    #expect(abs(moments[2]) < 5 * (15.0 / 640_000).squareRoot())
    #expect(abs(moments[3] - 3) < 5 * (96.0 / 640_000).squareRoot())
  }
}
