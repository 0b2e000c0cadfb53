import Diffusion
import KernelInterface
import Tensors
import TestSupport
import Testing

@Suite struct ForwardProcessTests {
  @Test(
    "noise of images with any number of elements is that of its key, group by group in any order",
    arguments: [1, 2, 3], KernelChoice.available().map(\.name))
  func oddElements(colors: Int, name: String) throws {
    let (width, groups, step) = (5, 3, 11)
    let elements = colors * width * width
    let kernels = try KernelChoice.kernels(requested: name)
    let process = ForwardProcess(
      schedule: NoiseSchedule(trajectoryLength: 40, temporalBasisCount: 4, firstStepBeta: 0.001), scale: 3, shift: -1,
      elements: elements, seed: 7, kernels: kernels)
    let batch = DiffusedBatch(colors: colors, width: width, basisCount: 4, groupCapacity: groups)
    let noise = CounterRandom(seed: 7, purpose: .diffusion, step: step)
    let pixels = [UInt8](repeating: 100, count: elements)
    for group in (0..<groups).reversed() {
      let images = LaneImages()
      pixels.withUnsafeBufferPointer { pixels in
        guard let first = pixels.baseAddress else { return }
        for lane in 0..<laneCount { images.append(pixels: first, index: group * laneCount + lane, time: 20) }
      }
      process.diffuse(images, step: step, gradientWeight: 1, into: batch, group: group)
    }
    for group in 0..<groups {
      for lane in 0..<laneCount {
        for element in 0..<elements {
          let expected = noise.normals(index: group * laneCount + lane, pair: element / 2)[element % 2]
          let found = batch.target(group)[element * laneCount + lane]
          #expect(abs(Double(found) - expected) < 1e-5, "image \(group * laneCount + lane), element \(element)")
        }
      }
    }
  }
}
