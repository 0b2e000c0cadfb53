import Diffusion
import KernelInterface
import Network
import Tensors
import TestSupport
import Testing

/// The last two steps' worth of reverse trajectory against golden images: plain, denoising, inpainting.
@Suite struct GoldenSamplingTests {
  @Test(
    "start and two reverse steps", arguments: GoldenNetworkTests.tiny, ["standard", "denoise", "inpaint"])
  func twoSteps(_ name: String, _ kind: String) throws {
    let network = try GoldenNetwork(name, kernels: KernelChoice.available().last?.name ?? "portable")
    let (elements, width) = (network.elements, network.architecture.spatialWidth)
    let truth = network.lanes(try network.scaledPixels())
    let factor: (any PosteriorFactor)? =
      switch kind {
      case "denoise": DenoisingFactor(images: truth, deviation: 1)
      case "inpaint":
        InpaintingFactor(
          images: truth, isKnown: InpaintingFactor.rightHalf(colors: network.architecture.colorCount, width: width))
      default: nil
      }
    func values(_ buffer: FloatBuffer) -> UnsafeMutableBufferPointer<Float> {
      UnsafeMutableBufferPointer(start: buffer.pointer, count: elements * laneCount)
    }
    let image = network.lanes(try network.file.doubles("sampling.start_noise"))
    factor?.start(values(image), group: 0)
    let tolerance = try network.file.tolerance("Z, mu, sigma")
    #expect(
      relativeDistance(network.images(image.pointer), try network.file.doubles("sampling.\(kind).start")) < tolerance)

    let batch = DiffusedBatch(
      colors: network.architecture.colorCount, width: width, basisCount: network.architecture.temporalBasisCount,
      groupCapacity: 1)
    let process = ForwardProcess(
      schedule: network.schedule, scale: network.scale, shift: network.shift, elements: elements, seed: 1,
      kernels: network.kernels)
    let times = AlignedBuffer<Int>(count: laneCount)
    let last = network.architecture.trajectoryLength - 1
    for (time, noiseName) in [(last, "noise_first"), (last - 1, "noise_second")] {
      times.fill(time)
      process.setTimes(times, imageCount: laneCount, gradientWeight: 0, in: batch, group: 0)
      for element in 0..<elements {
        let (color, pixel) = element.quotientAndRemainder(dividingBy: width * width)
        let place = (color * (width + 2) + pixel / width) * (width + 2) + pixel % width
        for lane in 0..<laneCount {
          batch.noisyInterior(0)[place * laneCount + lane] = image[element * laneCount + lane]
        }
      }
      let (mean, deviation) = network.moments(batch)
      factor?.modify(mean: values(mean), deviation: values(deviation), group: 0)
      let noise = network.lanes(try network.file.doubles("sampling.\(noiseName)"))
      for index in 0..<elements * laneCount { image[index] = mean[index] + deviation[index] * noise[index] }
    }
    let expected = try network.file.doubles("sampling.\(kind).after_two_steps")
    #expect(relativeDistance(network.images(image.pointer), expected) < tolerance)
    withExtendedLifetime(truth) {}
  }

  @Test("sample i is the same in any company")
  func independence() throws {
    let network = try GoldenNetwork("tiny-grey", kernels: KernelChoice.available().last?.name ?? "portable")
    let process = ForwardProcess(
      schedule: network.schedule, scale: network.scale, shift: network.shift, elements: network.elements, seed: 1,
      kernels: network.kernels)
    final class Readouts: ReadoutNetwork {
      let model: ReverseModel
      let parameters: FloatBuffer
      init(_ network: GoldenNetwork) {
        model = ReverseModel(
          network.architecture, layout: network.layout, kernels: network.kernels, groupCapacity: 3, partCapacity: 1,
          forTraining: false)
        parameters = network.parameters
        model.prepare(parameters)
      }
      func readouts(batch: DiffusedBatch, groups: Int, into readouts: FloatBuffer) {
        model.readouts(parameters, batch: batch, groups: groups, into: readouts)
      }
    }
    let readouts = Readouts(network)
    let sampler = Sampler(
      forwardProcess: process, network: readouts, colors: 1, width: 8, capacity: 40, kernels: network.kernels)
    func draw(_ range: Range<Int>) -> [Float] {
      var result: [Float] = []
      sampler.sample(range, seed: 3, wants: { $0 == 0 }, visit: { _, images in result = images })
      return result
    }
    let many = draw(0..<40)
    #expect(draw(17..<20) == Array(many[17 * 64..<20 * 64]))
    #expect(draw(39..<40) == Array(many[39 * 64..<40 * 64]))
    #expect(many.count { !$0.isFinite } == 0)
  }
}
