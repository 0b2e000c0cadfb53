public import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// Draws samples of a checkpoint's model: what `dpm-sample` does.
///
/// Sample i depends on the seed and on i alone: neither the number of ranks and threads nor the batch size changes it.
public struct SampleRun {
  private let request: SampleRequest

  /// Prepares a drawing.
  public init(_ request: SampleRequest) { self.request = request }

  /// Frames of an animation, beside its first.
  private static let frameCount = 60

  /// A set of samples that are drawn in one way.
  private struct Pass {
    /// Where their trajectory begins; nil for its very start.
    var startTime: Int?
    /// Samples in all.
    var count: Int
    /// What some of them are.
    var share: (Range<Int>) -> SampleTeam.Share
  }

  /// Draws and writes; collective.
  ///
  /// - Throws: `InputError` for the checkpoint, pictures, mask or output; `CollectiveError` where ranks fail.
  public func run(on communicator: Communicator, console: RunConsole) throws {
    let start = ContinuousClock.now
    let model = try LoadedModel(contentsOf: request.checkpoint, on: communicator)
    let architecture = model.checkpoint.architecture
    let times = try communicator.agree("check the options") {
      try request.times(trajectoryLength: architecture.trajectoryLength)
    }
    let pictures = try request.kind == .standard ? nil : self.pictures(for: model, communicator, console)
    let known = try communicator.agree("prepare the mask") { try self.known(architecture) }
    let passes = self.passes(model, pictures, known: known, times: times)
    var results: [SampleSet] = []
    let meetings = Interruption(communicator)
    for (index, pass) in passes.enumerated() {
      results.append(
        try draw(pass, model, communicator) { fraction in
          let whole = (Double(index) + fraction) / Double(passes.count)
          if communicator.isRankZero {
            console.progress(whole) { "\(Int(whole * Double(passes.count * pass.count))) images" }
          }
          try meetings.check()
        })
    }
    let seconds = start.duration(to: .now).seconds
    let older = try communicator.onRankZero("write the samples") {
      let truths = pictures.map { $0.flatMap { $0.map { Float($0) / 255 } } }
      if let truths { restore(truths, where: known, in: &results, elements: architecture.imageElements) }
      return try SampleOutput(
        request: request, colors: architecture.colorCount, width: architecture.spatialWidth, times: times,
        truths: truths, results: results
      ).write()
    }
    guard communicator.isRankZero else { return }
    if let first = older?.first {
      console.warn("\(request.output): pictures of an earlier drawing lie there too, \(first) among them")
    }
    if !results.allSatisfy({ $0.samples.allSatisfy(\.isFinite) }) {
      console.warn(
        "\(request.output): some values are not finite: the model has diverged, or the noise is too large for it")
    }
    let count = passes.reduce(0) { $0 + $1.count }
    console.line(
      "\(request.output): \(count) \(request.kind.rawValue) \(count == 1 ? "sample" : "samples") of "
        + "\(model.path) (epoch \(model.checkpoint.epoch), seed \(request.seed)), "
        + String(format: "%.1f s, %.2f images/s", seconds, Double(count) / seconds))
  }

  /// The pictures to start from, [C][H][W] each: the user's, or the test set's first.
  private func pictures(
    for model: LoadedModel, _ communicator: Communicator, _ console: RunConsole
  ) throws -> [[UInt8]] {
    let architecture = model.checkpoint.architecture
    if let own = request.pictures {
      return try communicator.agree("read the pictures") { try own(architecture.colorCount, architecture.spatialWidth) }
    }
    let configuration = model.configuration(dataFolder: request.dataFolder, isOffline: request.isOffline)
    let test = try HostData.load(configuration, on: communicator, console: console).data.test
    return try communicator.agree("check the data set") {
      _ = try model.checkpoint.configuration.completed(for: test.shape)
      guard request.count <= test.count else {
        throw InputError("--count", found: "\(request.count)", expected: "at most the test set's \(test.count) images")
      }
      return (0..<request.count).map { test.image(at: $0) }
    }
  }

  /// Which elements of an image inpainting knows; of the other kinds none.
  private func known(_ architecture: Architecture) throws -> [Bool] {
    guard request.kind == .inpaint else { return [] }
    let pixels = try request.mask.known(width: architecture.spatialWidth, seed: request.seed)
    return (0..<architecture.colorCount).flatMap { _ in pixels }
  }

  /// Gives known values back the bits that they had before they were standardized.
  private func restore(_ truths: [Float], where isKnown: [Bool], in results: inout [SampleSet], elements: Int) {
    for result in results.indices {
      for time in results[result].images.indices {
        for sample in 0..<results[result].images[time].count / elements {
          let picture = sample / request.samplesPerPicture
          for element in isKnown.indices where isKnown[element] {
            results[result].images[time][sample * elements + element] = truths[picture * elements + element]
          }
        }
      }
    }
  }

  private func passes(_ model: LoadedModel, _ pictures: [[UInt8]]?, known: [Bool], times: [Int]) -> [Pass] {
    guard let pictures else { return [Pass(startTime: nil, count: request.count) { .init(numbers: Array($0)) }] }
    let perPicture = request.samplesPerPicture
    let own = PictureLanes(
      pictures: pictures, standardization: model.standardization, samplesPerPicture: perPicture)
    let count = pictures.count * perPicture
    switch request.kind {
    case .standard: return []
    case .denoise:
      return [
        Pass(startTime: nil, count: count) { [request] samples in
          // What could lie under one noisy picture: all its samples have the first one's noise.
          .init(
            numbers: Array(samples), starts: samples.map { $0 / perPicture * perPicture },
            factor: DenoisingFactor(
              images: own.lanes(samples), deviation: Float(request.noiseDeviation), areNoisy: request.areNoisy))
        }
      ]
    case .inpaint:
      return [
        Pass(startTime: nil, count: count) { samples in
          .init(numbers: Array(samples), factor: InpaintingFactor(images: own.lanes(samples), isKnown: known))
        }
      ]
    case .reconstruct:
      return times.map { time in
        Pass(startTime: time, count: count) { [schedule = model.schedule] samples in
          .init(
            numbers: Array(samples),
            factor: ReconstructionFactor(images: own.lanes(samples), schedule: schedule, time: time))
        }
      }
    }
  }

  /// Draws all samples of a pass, block by block; rank 0 has them then.
  private func draw(
    _ pass: Pass, _ model: LoadedModel, _ communicator: Communicator, progress: (Double) throws -> Void
  ) throws -> SampleSet {
    let threads = SampleTeam.usefulThreads(request.threads ?? communicator.ownCores, samples: pass.count)
    let team = SampleTeam(
      architecture: model.checkpoint.architecture, layout: model.layout,
      process: ForwardProcess(
        schedule: model.schedule, scale: model.standardization.scale, shift: model.standardization.shift,
        elements: model.checkpoint.architecture.imageElements, seed: request.seed, kernels: model.kernels),
      parameters: model.parameters, kernels: model.kernels, communicator: communicator, threads: threads)
    let startTime = pass.startTime ?? model.schedule.trajectoryLength - 1
    let times = times(from: startTime)
    var result = SampleSet(images: times.map { _ in [] })
    let blockSize = communicator.rankCount * threads * request.batchSize
    for first in stride(from: 0, to: pass.count, by: blockSize) {
      let size = min(blockSize, pass.count - first)
      let images = try team.draw(
        size, seed: request.seed, from: startTime, keeping: times,
        share: { pass.share(first + $0.lowerBound..<first + $0.upperBound) },
        value: model.standardization.greyLevel(of:)
      ) { try progress((Double(first) + Double(size) * $0) / Double(pass.count)) }
      guard communicator.isRankZero else { continue }
      for time in times.indices { result.images[time] += images[time] }
    }
    return result
  }

  /// The times whose images are kept, from the first to 0.
  private func times(from startTime: Int) -> [Int] {
    switch (request.kind, request.format) {
    case (_, .animation):
      Set((0...Self.frameCount).map { startTime * $0 / Self.frameCount }).sorted(by: >)
    case (.standard, _): [0]
    default: [startTime, 0]
    }
  }
}

/// Samples at some times of their trajectory, in grey levels, 0 for black to 1 for white: [count][C][H][W] each.
struct SampleSet {
  /// From the first time to the last.
  var images: [[Float]]

  /// x_0: the samples.
  var samples: [Float] { images.last ?? [] }
  /// What they started from.
  var starts: [Float] { images.first ?? [] }
}
