import Diffusion
import KernelInterface
import Tensors
import Testing

@Suite struct MixedFactorTests {
  private func sampler() throws -> Sampler {
    let kernels = try #require(KernelChoice.available().last)
    let process = ForwardProcess(
      schedule: NoiseSchedule(trajectoryLength: 30, temporalBasisCount: 4, firstStepBeta: 0.001), scale: 1, shift: 0,
      elements: 64, seed: 3, kernels: kernels)
    return Sampler(
      forwardProcess: process, network: NoiseNetwork(), colors: 1, width: 8, capacity: 40, kernels: kernels)
  }

  @Test("samples of several kinds in one batch have the bits that each kind alone gives them")
  func mixing() throws {
    let sampler = try sampler()
    func draw(_ samples: [Int], _ factor: (any PosteriorFactor)?) -> [Float] {
      var result: [Float] = []
      sampler.sample(samples, seed: 7, factor: factor, wants: { $0 == 0 }) { _, images in result = images }
      return result
    }
    // Picture number n has n/10 everywhere.
    func pictures(_ samples: [Int]) -> FloatBuffer {
      let groups = (samples.count + laneCount - 1) / laneCount
      let buffer = FloatBuffer(count: groups * 64 * laneCount)
      for lane in 0..<groups * laneCount {
        for element in 0..<64 {
          buffer.pointer[(lane / laneCount * 64 + element) * laneCount + lane % laneCount] =
            Float(samples[min(lane, samples.count - 1)]) / 10
        }
      }
      return buffer
    }
    func inpainting(_ samples: [Int]) -> InpaintingFactor {
      InpaintingFactor(images: pictures(samples), isKnown: InpaintingFactor.rightHalf(colors: 1, width: 8))
    }
    func denoising(_ samples: [Int]) -> DenoisingFactor { DenoisingFactor(images: pictures(samples), deviation: 0.5) }
    // 9 plain ones, 17 to inpaint, 11 to denoise: the first group has two kinds, the second too, the third one.
    let (plain, inpainted, denoised) = (Array(0..<9), Array(0..<17), Array(0..<11))
    let all = plain + inpainted + denoised
    let mixed = MixedFactor(
      [inpainting(plain + inpainted + denoised), denoising(plain + inpainted + denoised)],
      choices: plain.map { _ in nil } + inpainted.map { _ in 0 } + denoised.map { _ in 1 })
    let together = draw(all, mixed)
    #expect(
      together == draw(plain, nil) + draw(inpainted, inpainting(inpainted)) + draw(denoised, denoising(denoised)))
    #expect(Array(together[0..<64]) != Array(together[9 * 64..<10 * 64]))
  }

  @Test("samples may share a start: one noisy picture, several that could lie under it; what is noisy stays so")
  func sharedStart() throws {
    let sampler = try sampler()
    let images = FloatBuffer(count: 64 * laneCount)
    images.fill(0.5)
    func visits(_ starts: [Int]?, areNoisy: Bool) -> [[Float]] {
      var visits: [[Float]] = []
      let factor = DenoisingFactor(images: images, deviation: 0.5, areNoisy: areNoisy)
      sampler.sample(
        [3, 4], starts: starts, seed: 7, factor: factor, wants: { $0 == 29 || $0 == 0 }, visit: { visits.append($1) })
      return visits
    }
    let (own, shared, noisy) = (
      visits(nil, areNoisy: false), visits([3, 3], areNoisy: false), visits(nil, areNoisy: true)
    )
    #expect(own[0][0..<64] != own[0][64...] && shared[0][0..<64] == shared[0][64...])
    #expect(shared[0][0..<64] == own[0][0..<64] && shared[1][0..<64] == own[1][0..<64])
    #expect(shared[1][0..<64] != shared[1][64...])
    #expect(noisy[0].allSatisfy { $0 == 0.5 })
  }
}
