import Diffusion
import KernelInterface
import Network
import Tensors
import TestSupport

/// A golden network on one build of the kernels, and what it computes for the golden images.
struct GoldenNetwork {
  let file: GoldenFile
  let kernels: any KernelSet
  let architecture: Architecture
  let layout: ParameterLayout
  let schedule: NoiseSchedule
  let parameters: FloatBuffer
  let scale: Double
  let shift: Double
  let imageCount: Int

  init(_ name: String, kernels kernelName: String) throws {
    file = try GoldenFile(name)
    kernels = try KernelChoice.kernels(requested: kernelName)
    architecture = try file.architecture()
    layout = ParameterLayout(architecture)
    schedule = NoiseSchedule(
      trajectoryLength: architecture.trajectoryLength, temporalBasisCount: architecture.temporalBasisCount,
      firstStepBeta: architecture.firstStepBeta)
    parameters = try file.parameters(layout)
    scale = try file.number("scale")
    shift = try file.number("shift")
    imageCount = try file.shape("pixels")[0]
  }

  var elements: Int { architecture.imageElements }
  var pixels: Int { architecture.spatialWidth * architecture.spatialWidth }

  /// [images][C·H·W] into lanes; the lanes left repeat the last image.
  func lanes(_ images: [Double]) -> FloatBuffer {
    let buffer = FloatBuffer(count: elements * laneCount)
    for element in 0..<elements {
      for lane in 0..<laneCount {
        buffer[element * laneCount + lane] = Float(images[min(lane, imageCount - 1) * elements + element])
      }
    }
    return buffer
  }

  /// Out of lanes: [images][C·H·W].
  func images(_ lanes: UnsafePointer<Float>) -> [Double] {
    (0..<imageCount * elements).map { Double(lanes[$0 % elements * laneCount + $0 / elements]) }
  }

  /// Scaled pixels, without dequantization.
  func scaledPixels() throws -> [Double] { try file.bytes("pixels").map { Double($0) / 255 * scale + shift } }

  /// A batch with the golden images diffused by the golden noise to the given times, one for each image.
  func batch(prefix: String, times: [Int]) throws -> DiffusedBatch {
    let batch = DiffusedBatch(
      colors: architecture.colorCount, width: architecture.spatialWidth,
      basisCount: architecture.temporalBasisCount, groupCapacity: 1)
    let process = ForwardProcess(
      schedule: schedule, scale: scale, shift: shift, elements: elements, seed: 1, kernels: kernels)
    let laneTimes = AlignedBuffer<Int>(count: laneCount)
    for lane in 0..<laneCount { laneTimes[lane] = times[min(lane, times.count - 1)] }
    let weight = schedule.objectiveWeight(images: imageCount, pixels: pixels)
    process.setTimes(laneTimes, imageCount: imageCount, gradientWeight: Float(weight), in: batch, group: 0)
    let uniform = try file.doubles("\(prefix).uniform")
    let clean = lanes(zip(try scaledPixels(), uniform).map { $0 + ($1 - 0.5) * scale / 255 })
    let noise = lanes(try file.doubles("\(prefix).noise"))
    withExtendedLifetime((clean, noise)) {
      batch.target(0).update(from: noise.pointer, count: elements * laneCount)
      kernels.diffuse(
        clean: clean.pointer, noise: batch.target(0), noisy: batch.noisyInterior(0), colors: batch.colors,
        height: batch.width, width: batch.width, coefficients: batch.coefficients(0))
    }
    return batch
  }

  /// x_t out of the batch's border: [images][C·H·W].
  func noisyImages(_ batch: DiffusedBatch) -> [Double] {
    let side = batch.width + 2
    return (0..<imageCount * elements).map { index in
      let (image, element) = index.quotientAndRemainder(dividingBy: elements)
      let (color, pixel) = element.quotientAndRemainder(dividingBy: pixels)
      let place = (color * side + pixel / batch.width + 1) * side + pixel % batch.width + 1
      return Double(batch.noisy[place * laneCount + image])
    }
  }

  /// J averaged over the images, and its gradient.
  func train(prefix: String, times: [Int]) throws -> (objective: Double, gradient: FloatBuffer) {
    let batch = try batch(prefix: prefix, times: times)
    let model = ReverseModel(
      architecture, layout: layout, kernels: kernels, groupCapacity: 1, partCapacity: 1, forTraining: true)
    model.prepare(parameters)
    let gradient = FloatBuffer(count: layout.count)
    model.gradient(parameters, batch: batch, parts: [0..<1], gradient: gradient, accumulating: false) { _ in }
    return (objectives(batch).reduce(0, +) / Double(imageCount), gradient)
  }

  /// J of every image, from the KL that the batch holds.
  func objectives(_ batch: DiffusedBatch) -> [Double] {
    (0..<imageCount).map {
      schedule.objective(divergence: batch.divergence[$0], colors: batch.colors, pixels: pixels)
    }
  }

  /// Readouts of a batch: for each colour m, then g; [2·C][H·W][16].
  func readouts(_ batch: DiffusedBatch) -> FloatBuffer {
    let model = ReverseModel(
      architecture, layout: layout, kernels: kernels, groupCapacity: 1, partCapacity: 1, forTraining: false)
    model.prepare(parameters)
    let readouts = FloatBuffer(count: 2 * elements * laneCount)
    model.readouts(parameters, batch: batch, groups: 1, into: readouts)
    return readouts
  }

  /// μ_θ and σ_θ of a batch, in lanes [C·H·W][16].
  func moments(_ batch: DiffusedBatch) -> (mean: FloatBuffer, deviation: FloatBuffer) {
    let readouts = readouts(batch)
    let mean = FloatBuffer(count: elements * laneCount)
    let deviation = FloatBuffer(count: elements * laneCount)
    let image = FloatBuffer(count: elements * laneCount)
    let noisy = noisyImages(batch)
    for index in 0..<noisy.count { image[index % elements * laneCount + index / elements] = Float(noisy[index]) }
    for color in 0..<architecture.colorCount {
      let plane = color * pixels * laneCount
      let m = readouts.pointer + 2 * plane
      kernels.reverseMoments(
        mean: m, logit: m + pixels * laneCount, image: image.pointer + plane, columns: pixels,
        inverseRootLength: 1 / Float(architecture.trajectoryLength).squareRoot(), coefficients: batch.coefficients(0))
      (mean.pointer + plane).update(from: m, count: pixels * laneCount)
      (deviation.pointer + plane).update(from: m + pixels * laneCount, count: pixels * laneCount)
    }
    return (mean, deviation)
  }
}
