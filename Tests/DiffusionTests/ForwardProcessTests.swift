import Diffusion
import KernelInterface
import Tensors
import TestSupport
import Testing

@Suite struct ForwardProcessTests {
  /// Random numbers come by fours of elements, more than images of odd width have.
  @Test(
    "a group's targets are the same in any order of groups, of images with any number of elements",
    arguments: [1, 2, 3], KernelChoice.available().map(\.name))
  func oddElements(colors: Int, name: String) throws {
    let (width, groups) = (5, 3)
    let elements = colors * width * width
    let process = ForwardProcess(
      schedule: NoiseSchedule(trajectoryLength: 40, temporalBasisCount: 4, firstStepBeta: 0.001), scale: 3, shift: -1,
      elements: elements, seed: 7, kernels: try KernelChoice.kernels(requested: name))
    let pixels = [UInt8](repeating: 100, count: elements)
    /// The targets of some groups' images, diffused in their order.
    func targets(_ order: [Int], places: [Int]) -> [[Float]] {
      let batch = DiffusedBatch(colors: colors, width: width, basisCount: 4, groupCapacity: places.count)
      for (group, place) in zip(order, places) {
        let images = LaneImages()
        pixels.withUnsafeBufferPointer { pixels in
          guard let first = pixels.baseAddress else { return }
          for lane in 0..<laneCount { images.append(pixels: first, index: group * laneCount + lane, time: 20) }
          process.diffuse(images, step: 11, gradientWeight: 1, into: batch, group: place)
        }
      }
      return places.map { place in (0..<elements * laneCount).map { batch.target(place)[$0] } }
    }
    let together = targets((0..<groups).reversed(), places: (0..<groups).reversed())
    #expect(together == (0..<groups).reversed().map { targets([$0], places: [0])[0] })
  }
}
