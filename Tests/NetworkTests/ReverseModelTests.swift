import Diffusion
import KernelInterface
import Network
import Tensors
import TestSupport
import Testing

/// The network against the reference model, for shapes and minibatches that no golden file has.
@Suite struct ReverseModelTests {
  static let architectures = [
    // More channels than two vectors hold, an odd width, a dense branch of one layer, an upper branch of one.
    Architecture(width: 9, colors: 3, channels: 33, layers: 2, dense: (1, 6, 5), upper: (1, 1)),
    // Every scale that 16 pixels allow, down to 2 × 2; the convolutions alone.
    Architecture(width: 16, colors: 2, channels: 3, layers: 2, scales: 4, upper: (3, 5)),
    // The coarsest image is one pixel; the shortest trajectory and the smallest basis.
    Architecture(
      width: 4, colors: 1, length: 3, bumps: 2, channels: 4, layers: 3, scales: 3, dense: (2, 7, 1), upper: (2, 4)),
    // Two scales, in Winograd's tiles and in the other kernel.
    Architecture(width: 8, colors: 1, channels: 5, layers: 2, scales: 2, dense: (2, 6, 2), upper: (2, 5)),
    Architecture(width: 6, colors: 3, channels: 5, layers: 2, scales: 2, upper: (2, 5)),
    // Everything that can be 1.
    Architecture(width: 1, colors: 1, channels: 1, layers: 1, dense: (2, 1, 1), upper: (2, 1)),
    // Winograd's tiles of 6 and of 4 pixels. (No activation of these draws lies within rounding of the leaky ReLU's kink,
    // where a float and a double may take different slopes: 2e-4 of a gradient.)
    Architecture(width: 16, colors: 1, channels: 5, layers: 3, dense: (2, 6, 2), upper: (2, 5)),
    // One tile of each width a row.
    Architecture(width: 10, colors: 1, channels: 5, layers: 2, dense: (2, 6, 2), upper: (2, 5)),
    // An odd width, which tiles don't cover; deep branches.
    Architecture(width: 13, colors: 1, bumps: 10, channels: 20, layers: 5, dense: (5, 9, 3), upper: (4, 20)),
  ]

  /// J and gradient by the library's network, the images in lane groups and canonical parts.
  private func gradient(
    of example: ReferenceCase, kernels: any KernelSet, parts: [Range<Int>], passes: Int = 1,
    wholeGroups: Bool = false, hidesMessages: Bool = false, weightShares: Int = 1,
    secondLevelCache: Int = CPU.secondLevelCacheBytes
  ) -> ObjectiveGradient {
    let architecture = example.model.architecture
    let layout = ParameterLayout(architecture)
    let schedule = NoiseSchedule(
      trajectoryLength: architecture.trajectoryLength, temporalBasisCount: architecture.temporalBasisCount,
      firstStepBeta: architecture.firstStepBeta)
    let batch = diffusedBatch(example, schedule: schedule, kernels: kernels)
    if wholeGroups { batch.imageCounts.fill(laneCount) }
    let weights = FloatBuffer(count: TransformedWeights.count(architecture))
    let models = (0..<weightShares).map { share in
      ReverseModel(
        architecture, layout: layout, kernels: kernels, groupCapacity: batch.groupCapacity, partCapacity: parts.count,
        forTraining: true,
        transformedWeights: TransformedWeights(architecture, memory: weights, share: share, of: weightShares),
        hidesMessages: hidesMessages, secondLevelCache: secondLevelCache)
    }
    let model = models[0]
    let parameters = layout.buffer(example.model.parameters)
    for model in models { model.prepare(parameters) }
    let gradient = FloatBuffer(count: layout.count)
    for pass in 0..<passes {
      var completed: [Range<Int>] = []
      model.gradient(parameters, batch: batch, parts: parts, gradient: gradient, accumulating: pass > 0) { progress in
        if case .completed(let range) = progress { completed.append(range) }
      }
      #expect(completed == model.gradientRanges)
    }
    let pixels = architecture.spatialWidth * architecture.spatialWidth
    let objectives = example.draws.indices.map {
      schedule.objective(divergence: batch.divergence[$0], colors: architecture.colorCount, pixels: pixels)
    }
    return ObjectiveGradient(
      objective: objectives.reduce(0, +) / Double(objectives.count), gradient: layout.tensors(gradient))
  }

  private func diffusedBatch(
    _ example: ReferenceCase, schedule: NoiseSchedule, kernels: any KernelSet
  ) -> DiffusedBatch {
    let architecture = example.model.architecture
    let (elements, width) = (architecture.imageElements, architecture.spatialWidth)
    let count = example.draws.count
    let batch = DiffusedBatch(
      colors: architecture.colorCount, width: width, basisCount: architecture.temporalBasisCount,
      groupCapacity: (count + laneCount - 1) / laneCount)
    let process = ForwardProcess(
      schedule: schedule, scale: 1, shift: 0, elements: elements, seed: 1, kernels: kernels)
    let weight = Float(schedule.objectiveWeight(images: count, pixels: width * width))
    let times = AlignedBuffer<Int>(count: laneCount)
    let clean = FloatBuffer(count: elements * laneCount)
    for group in 0..<batch.groupCapacity {
      let images = min(laneCount, count - group * laneCount)
      for lane in 0..<laneCount {
        // Lanes without an image repeat the group's first one.
        let draw = example.draws[group * laneCount + (lane < images ? lane : 0)]
        times[lane] = draw.time
        for element in 0..<elements {
          clean[element * laneCount + lane] = Float(draw.clean[element])
          batch.target(group)[element * laneCount + lane] = Float(draw.noise[element])
        }
      }
      process.setTimes(times, imageCount: images, gradientWeight: weight, in: batch, group: group)
      kernels.diffuse(
        clean: clean.pointer, noise: batch.target(group), noisy: batch.noisyInterior(group), colors: batch.colors,
        height: width, width: width, coefficients: batch.coefficients(group))
    }
    return batch
  }

  @Test(
    "objective and all gradients equal the reference's, several lane groups, the last one not full",
    arguments: architectures, GoldenNetworkTests.kernelNames)
  func gradients(_ architecture: Architecture, _ kernels: String) throws {
    let example = ReferenceCase(architecture, imageCount: 37)
    try architecture.validate()
    try expectGradient(example.model.gradient(example.draws), objectiveTolerance: 1e-5, gradientTolerance: 1e-4) {
      gradient(of: example, kernels: try KernelChoice.kernels(requested: kernels), parts: [0..<3])
    }
  }

  @Test(
    "so they do however the groups are cut into parts, empty ones among them",
    arguments: [[0..<1, 1..<2, 2..<3], [0..<0, 0..<2, 2..<2, 2..<3], [0..<3, 3..<3]])
  func parts(_ parts: [Range<Int>]) throws {
    let example = ReferenceCase(Self.architectures[6], imageCount: 33)
    try expectGradient(example.model.gradient(example.draws), objectiveTolerance: 1e-5, gradientTolerance: 1e-4) {
      gradient(of: example, kernels: try KernelChoice.kernels(requested: nil), parts: parts)
    }
  }

  /// Wide convolutions sum their weights' gradient over lanes at once.
  private static let wide = [8, 10].map {
    Architecture(width: $0, colors: 3, bumps: 3, channels: 36, layers: 3, dense: (2, 5, 2), upper: (3, 7))
  }

  @Test(
    "a group of up to 8 images gives the same bits from 8 lanes as from 16", arguments: architectures + wide,
    [3, 8, 21])
  func halfGroups(_ architecture: Architecture, _ images: Int) throws {
    let example = ReferenceCase(architecture, imageCount: images)
    for kernels in KernelChoice.available() where kernels.name != "portable" {
      let parts = [0..<(images + laneCount - 1) / laneCount]
      let (half, whole) = (false, true)
      let results = [half, whole].map { gradient(of: example, kernels: kernels, parts: parts, wholeGroups: $0) }
      expectSameBits(results)
    }
  }

  /// Expects equal objectives, and names the tensors whose gradients differ.
  private func expectSameBits(_ results: [ObjectiveGradient]) {
    for result in results {
      #expect(result.objective == results[0].objective)
      #expect(result.gradient.keys == results[0].gradient.keys)
      let differing = result.gradient.filter { $0.value != results[0].gradient[$0.key] }.keys.sorted()
      #expect(differing == [])
    }
  }

  @Test(
    "when the dense branch's gradients are computed changes no bit: behind all others, or where messages hide",
    arguments: architectures, [[0..<1, 1..<3], [0..<3, 3..<3], [0..<0]])
  func order(_ architecture: Architecture, _ parts: [Range<Int>]) throws {
    let example = ReferenceCase(architecture, imageCount: 37)
    let kernels = try KernelChoice.kernels(requested: nil)
    let results = [false, true].map {
      gradient(of: example, kernels: kernels, parts: parts, hidesMessages: $0)
    }
    expectSameBits(results)
  }

  @Test(
    "models that transform shares of the weights for each other give the same bits", arguments: architectures + wide)
  func sharedWeights(_ architecture: Architecture) throws {
    let example = ReferenceCase(architecture, imageCount: 5)
    let kernels = try KernelChoice.kernels(requested: nil)
    // More shares than a narrow layer has vectors, too.
    let results = [1, 3, 64].map { gradient(of: example, kernels: kernels, parts: [0..<1], weightShares: $0) }
    expectSameBits(results)
  }

  @Test("the size of the L2 cache does not change a bit", arguments: GoldenNetworkTests.kernelNames)
  func caches(_ name: String) throws {
    let kernels = try KernelChoice.kernels(requested: name)
    // As wide as MNIST, and 7 images of half a group.
    let example = ReferenceCase(
      Architecture(width: 28, colors: 1, channels: 20, layers: 2, upper: (2, 5)), imageCount: 23)
    let results = [1, 2, 3, 4, 8].map { quarters in
      gradient(of: example, kernels: kernels, parts: [0..<2], secondLevelCache: quarters << 18)
    }
    expectSameBits(results)
  }

  @Test("AVX2 and AVX-512 give the same bits of layers as wide as CIFAR-10's, which they cut into other strips")
  func wideLayers() throws {
    let kernels = KernelChoice.available().filter { $0.name != "portable" }
    let example = ReferenceCase(
      Architecture(width: 32, colors: 3, channels: 100, layers: 2, upper: (2, 5)), imageCount: 21)
    let results = kernels.map { gradient(of: example, kernels: $0, parts: [0..<2]) }
    expectSameBits(results)
  }

  @Test("an accumulating pass adds its gradient to the one that is there")
  func accumulation() throws {
    let example = ReferenceCase(Self.architectures[0], imageCount: 20)
    var expected = example.model.gradient(example.draws)
    expected.gradient = expected.gradient.mapValues { $0.map { 3 * $0 } }
    try expectGradient(expected, objectiveTolerance: 1e-5, gradientTolerance: 1e-4) {
      gradient(of: example, kernels: try KernelChoice.kernels(requested: nil), parts: [0..<1, 1..<2], passes: 3)
    }
  }

  @Test("the gradient's ranges are its whole layout, cut on vectors into pieces that are short")
  func gradientRanges() {
    let architecture = Architecture(width: 28, colors: 1, channels: 2, layers: 1, dense: (3, 500, 2), upper: (1, 1))
    let layout = ParameterLayout(architecture)
    let model = ReverseModel(
      architecture, layout: layout, kernels: KernelChoice.available()[0], groupCapacity: 1, partCapacity: 1,
      forTraining: true)
    let ranges = model.gradientRanges
    #expect(ranges.dropFirst().reduce(0) { $0 + $1.count } > 1_000_000)
    var end = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      #expect(range.lowerBound == end && range.lowerBound % 16 == 0 && !range.isEmpty)
      // Half a mebibyte; a bias besides.
      #expect(range.count <= (1 << 17) + 2000)
      end = range.upperBound
    }
    #expect(end == layout.count)
  }
}
