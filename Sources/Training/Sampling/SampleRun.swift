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
    /// Makes r(x) for some of them.
    var factor: (Range<Int>) -> (any PosteriorFactor)?
  }

  /// Draws and writes; collective.
  ///
  /// - Throws: `InputError` for the checkpoint, pictures, mask or output; `CollectiveError` where ranks fail.
  public func run(on communicator: Communicator, console: RunConsole) throws {
    let start = ContinuousClock.now
    let model = try LoadedModel(contentsOf: request.checkpoint, on: communicator)
    let architecture = model.checkpoint.architecture
    try communicator.agree("check the options") {
      try request.validate(trajectoryLength: architecture.trajectoryLength)
    }
    let pictures = try request.kind == .standard ? nil : self.pictures(for: model, communicator, console)
    let passes = try communicator.agree("prepare the mask") { try self.passes(model, pictures) }
    var results: [SampleSet] = []
    for (index, pass) in passes.enumerated() {
      results.append(
        try draw(pass, model, communicator) { fraction in
          let whole = (Double(index) + fraction) / Double(passes.count)
          if communicator.isRankZero {
            console.progress(whole) { "\(Int(whole * Double(passes.count * pass.count))) images" }
          }
        })
    }
    let seconds = start.duration(to: .now).seconds
    _ = try communicator.onRankZero("write the samples") {
      let truths = pictures.map { $0.flatMap { $0.map { Float($0) / 255 } } }
      try SampleOutput(
        request: request, colors: architecture.colorCount, width: architecture.spatialWidth, truths: truths,
        results: results
      ).write()
    }
    guard communicator.isRankZero else { return }
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

  private func passes(_ model: LoadedModel, _ pictures: [[UInt8]]?) throws -> [Pass] {
    guard let pictures else { return [Pass(startTime: nil, count: request.count) { _ in nil }] }
    let perPicture = request.samplesPerPicture
    let own = PictureLanes(
      pictures: pictures, standardization: model.standardization, samplesPerPicture: perPicture)
    let architecture = model.checkpoint.architecture
    let count = pictures.count * perPicture
    switch request.kind {
    case .standard: return []
    case .denoise:
      return [
        Pass(startTime: nil, count: count) { [deviation = Float(request.noiseDeviation)] samples in
          DenoisingFactor(images: own.lanes(samples), deviation: deviation)
        }
      ]
    case .inpaint:
      let known = try request.mask.known(width: architecture.spatialWidth, seed: request.seed)
      let elements = (0..<architecture.colorCount).flatMap { _ in known }
      return [
        Pass(startTime: nil, count: count) { samples in InpaintingFactor(images: own.lanes(samples), isKnown: elements)
        }
      ]
    case .reconstruct:
      return request.times.map { time in
        Pass(startTime: time, count: count) { [schedule = model.schedule] samples in
          ReconstructionFactor(images: own.lanes(samples), schedule: schedule, time: time)
        }
      }
    }
  }

  /// Draws all samples of a pass, block by block; rank 0 has them then.
  private func draw(
    _ pass: Pass, _ model: LoadedModel, _ communicator: Communicator, progress: (Double) -> Void
  ) throws -> SampleSet {
    // Fewer images take a thread as long as half a lane group.
    let threads = request.threads ?? min(communicator.ownCores, (2 * pass.count + laneCount - 1) / laneCount)
    let workers = communicator.rankCount * threads
    let capacity = min(request.batchSize, (pass.count + workers - 1) / workers)
    let team = ThreadTeam(count: threads)
    let samplers = (0..<threads).map { _ in sampler(model, capacity: capacity) }
    let startTime = pass.startTime ?? model.schedule.trajectoryLength - 1
    let moments = moments(from: startTime)
    var result = SampleSet(times: moments, images: moments.map { _ in [] })
    for first in stride(from: 0, to: pass.count, by: workers * capacity) {
      let size = min(workers * capacity, pass.count - first)
      // By thread and moment.
      var parts = [[[Float]]](repeating: [], count: threads)
      parts.withUnsafeMutableBufferPointer { parts in
        team.run { thread in
          let worker = communicator.rank * threads + thread
          let share = first + worker * size / workers..<first + (worker + 1) * size / workers
          var images: [[Float]] = []
          samplers[thread].sample(
            share, seed: request.seed, factor: share.isEmpty ? nil : pass.factor(share), from: startTime,
            wants: { time in
              let done = Double(startTime - time) / Double(startTime)
              if thread == 0 { progress((Double(first) + Double(size) * done) / Double(pass.count)) }
              return moments.contains(time)
            }
          ) { _, x in images.append(x) }
          parts[thread] = images
        }
      }
      let own = moments.indices.flatMap { moment in parts.flatMap { $0.isEmpty ? [] : $0[moment] } }
      let gathered = try communicator.gather(own.withUnsafeBytes { Array($0) })
      guard communicator.isRankZero else { continue }
      for bytes in gathered {
        let floats = bytes.withUnsafeBytes { raw in
          (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
        let length = floats.count / moments.count
        for moment in moments.indices {
          result.images[moment] += floats[moment * length..<(moment + 1) * length].map(
            model.standardization.greyLevel(of:))
        }
      }
    }
    return result
  }

  /// What draws one thread's samples.
  private func sampler(_ model: LoadedModel, capacity: Int) -> Sampler {
    let architecture = model.checkpoint.architecture
    let network = SamplingNetwork(
      ReverseModel(
        architecture, layout: model.layout, kernels: model.kernels,
        groupCapacity: (capacity + laneCount - 1) / laneCount, partCapacity: 1, forTraining: false),
      parameters: model.parameters)
    return Sampler(
      forwardProcess: ForwardProcess(
        schedule: model.schedule, scale: model.standardization.scale, shift: model.standardization.shift,
        elements: architecture.imageElements, seed: request.seed, kernels: model.kernels),
      network: network, colors: architecture.colorCount, width: architecture.spatialWidth, capacity: capacity,
      kernels: model.kernels)
  }

  /// The times whose images are kept, from the first to 0.
  private func moments(from startTime: Int) -> [Int] {
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
  var times: [Int]
  var images: [[Float]]

  /// x_0: the samples.
  var samples: [Float] { images.last ?? [] }
  /// What they started from.
  var starts: [Float] { images.first ?? [] }
}
