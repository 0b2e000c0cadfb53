public import Collectives
internal import Datasets
internal import Diffusion
internal import Figures
internal import Foundation
internal import KernelInterface
internal import Tensors

/// The bound of a checkpoint's model: what `dpm-evaluate` does.
public struct BoundEvaluation {
  private let request: BoundRequest

  /// Prepares an evaluation.
  public init(_ request: BoundRequest) { self.request = request }

  /// More rounds than this do not pay: the error falls as their number's root.
  private static let mostRounds = 1000
  /// Rounds from which on the error of the images alone is known well enough to give up for.
  private static let tellingRounds = 16

  /// What the rounds, or all times, came to.
  private struct Findings {
    /// Mean J of each image.
    var objectives: [Double] = []
    /// Of their mean.
    var standardError = Double.infinity
    /// 0 where every t was computed.
    var rounds = 0
    var steps: StepStatistics

    init(_ schedule: NoiseSchedule, _ shape: ImageShape) {
      steps = StepStatistics(schedule: schedule, colors: shape.colors, pixels: shape.height * shape.width)
    }
  }

  /// Evaluates; collective, with the same result on any number of ranks.
  ///
  /// - Returns: A report for each set that was asked for.
  /// - Throws: `InputError` for the checkpoint, the data or a file that cannot be written; `CollectiveError` where ranks
  ///   fail.
  public func run(on communicator: Communicator, console: RunConsole) throws -> [BoundReport] {
    let model = try LoadedModel(contentsOf: request.checkpoint, on: communicator)
    let configuration = model.configuration(dataFolder: request.dataFolder, isOffline: request.isOffline)
    let host = try HostData.load(configuration, on: communicator, console: console)
    try communicator.agree("check the data set") {
      _ = try model.checkpoint.configuration.completed(for: host.data.train.shape)
      for split in request.splits {
        let count = dataset(split, of: host).count
        guard request.images ?? count <= count else {
          throw InputError(
            "--images", found: "\(request.images ?? count)",
            expected: "at most \(count), as the \(split.rawValue) set has")
        }
      }
    }
    try communicator.requireSameOnAllRanks([("data set", host.digest)])
    if communicator.isRankZero {
      console.line("\(model.path): \(model.description); \(host.data.train.name)")
      if abs(host.standardization.scale - model.standardization.scale) > 1e-9 * model.standardization.scale {
        console.warn(
          "\(host.data.train.name) has scale \(host.standardization.scale), but the model was trained on data of scale "
            + "\(model.standardization.scale): these are other images")
      }
    }
    let fit = try communicator.onRankZero("fit the trivial models") {
      console.progress(0) { "fitting the trivial models" }
      return GaussianFit(to: host.data.train, standardization: model.standardization, openBLAS: try OpenBLAS())
    }
    let progress = Progress(communicator, console)
    return try request.splits.map { split in
      let dataset = dataset(split, of: host)
      let count = request.images ?? dataset.count
      let trivial =
        try communicator.onRankZero("evaluate the trivial models") {
          fit?.models(on: dataset, count: count)
        } ?? nil
      let findings = try findings(model, dataset, count, progress)
      let report = report(findings, model, dataset, split, trivial)
      _ = try communicator.onRankZero("write the files") { try write(findings, model, dataset, split, configuration) }
      return report
    }
  }

  private func dataset(_ split: BoundRequest.Split, of host: HostData) -> ImageDataset {
    split == .test ? host.data.test : host.data.train
  }

  private func findings(
    _ model: LoadedModel, _ dataset: ImageDataset, _ count: Int, _ progress: Progress
  ) throws -> Findings {
    let (communicator, console) = (progress.communicator, progress.console)
    let groups = (count + laneCount - 1) / laneCount
    let terms = BoundTerms(
      dataset: dataset, count: count, standardization: model.standardization, schedule: model.schedule,
      architecture: model.checkpoint.architecture, layout: model.layout, parameters: model.parameters,
      seed: request.seed, communicator: communicator, threads: min(request.threads ?? communicator.ownCores, groups),
      kernels: model.kernels)
    let findings =
      try request.isExact
      ? exact(terms, dataset.shape, progress) : rounds(terms, dataset.shape, progress)
    if !findings.objectives.allSatisfy(\.isFinite), communicator.isRankZero {
      console.warn("\(model.path): the bound is not finite: the model has diverged")
    }
    return findings
  }

  /// Every image at every t.
  private func exact(
    _ terms: BoundTerms, _ shape: ImageShape, _ progress: Progress
  ) throws -> Findings {
    let (schedule, pixels) = (terms.schedule, shape.height * shape.width)
    var findings = Findings(schedule, shape)
    var divergences = [Double](repeating: 0, count: terms.count)
    let steps = schedule.trajectoryLength - 1
    for time in 1...steps {
      let round = try terms.terms(step: time, time: { _ in time }, withEntropy: wantsEntropy) { fraction in
        try progress.show((Double(time - 1) + fraction) / Double(steps), "t = \(time) of \(steps)")
      }
      findings.steps.add(round, time: { _ in time })
      for image in 0..<terms.count { divergences[image] += round.divergence[image] }
    }
    findings.objectives = divergences.map {
      schedule.objective(totalDivergence: $0, colors: shape.colors, pixels: pixels)
    }
    findings.standardError = Self.standardError(findings.objectives)
    return findings
  }

  /// Every image at times of its own, round by round.
  private func rounds(
    _ terms: BoundTerms, _ shape: ImageShape, _ progress: Progress
  ) throws -> Findings {
    let (schedule, pixels) = (terms.schedule, shape.height * shape.width)
    var findings = Findings(schedule, shape)
    var mean = StratifiedMean(imageCount: terms.count)
    let fewest = StratifiedMean.rounds(imageCount: terms.count, trajectoryLength: schedule.trajectoryLength)
    var isOver = false
    while !isOver {
      let times = Evaluation.times(count: terms.count, schedule: schedule, seed: request.seed, round: mean.rounds)
      let text = "round \(mean.rounds + 1)" + (mean.rounds < fewest ? " of \(fewest)" : "")
      let done = mean.rounds < fewest ? Double(mean.rounds) / Double(fewest) : 0
      let round = try terms.terms(step: mean.rounds, time: { Int(times[$0]) }, withEntropy: wantsEntropy) { fraction in
        try progress.show(mean.rounds < fewest ? done + fraction / Double(fewest) : fraction, text)
      }
      findings.steps.add(round, time: { Int(times[$0]) })
      mean.add(
        round.divergence.map { schedule.objective(divergence: $0, colors: shape.colors, pixels: pixels) }, times: times)
      isOver = mean.rounds >= fewest && !isWorthAnotherRound(mean, progress)
    }
    (findings.objectives, findings.standardError, findings.rounds) = (mean.objectives, mean.standardError, mean.rounds)
    return findings
  }

  /// Whether the standard error that was asked for is still to be reached; says so where it cannot be.
  private func isWorthAnotherRound(
    _ mean: StratifiedMean, _ progress: Progress
  ) -> Bool {
    guard let wanted = request.standardError, mean.mean.isFinite else { return false }
    let error = mean.standardError
    guard error > wanted else { return false }
    let imagesError = mean.rounds < Self.tellingRounds ? 0 : mean.imagesError
    let isHopeless = imagesError > wanted
    guard isHopeless || mean.rounds >= Self.mostRounds else { return true }
    if progress.communicator.isRankZero {
      progress.console.warn(
        "--standard-error: \(wanted), reached \(String(format: "%.4f", error)) in \(mean.rounds) rounds; "
          + (isHopeless
            ? "\(mean.imageCount) images differ so much that \(String(format: "%.4f", imagesError)) would remain"
            : "more would take too long"))
    }
    return false
  }

  private var wantsEntropy: Bool { request.perStepFile != nil }

  /// Where an evaluation stands: rank 0 shows it, and the ranks meet.
  private struct Progress {
    let communicator: Communicator
    let console: RunConsole
    private let meetings: Interruption

    init(_ communicator: Communicator, _ console: RunConsole) {
      self.communicator = communicator
      self.console = console
      meetings = Interruption(communicator)
    }

    func show(_ fraction: Double, _ text: String) throws {
      if communicator.isRankZero { console.progress(fraction) { text } }
      try meetings.check()
    }
  }

  private func report(
    _ findings: Findings, _ model: LoadedModel, _ dataset: ImageDataset, _ split: BoundRequest.Split,
    _ trivial: TrivialModels?
  ) -> BoundReport {
    let mean = findings.objectives.reduce(0, +) / Double(findings.objectives.count)
    let error = findings.standardError
    let colors = dataset.shape.colors
    let k = -mean + NoiseSchedule.nullLikelihood(colors: colors)
    let scale = model.standardization.scale
    return BoundReport(
      split: split.rawValue, k: k, kMinusNull: -mean, standardError: error,
      bitsPerDimension: log2(255 / scale) - k / Double(colors), bitsPerDimensionStandardError: error / Double(colors),
      images: findings.objectives.count, scale: scale, rounds: findings.rounds,
      ceiling: model.schedule.ceiling(colors: colors),
      independentGaussians: trivial?.independentPixels ?? .nan, fullGaussian: trivial?.fullCovariance,
      checkpoint: model.path, epoch: model.checkpoint.epoch, step: model.checkpoint.step)
  }

  /// The standard error of a mean of independent numbers.
  private static func standardError(_ values: [Double]) -> Double {
    guard values.count > 1 else { return .infinity }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count * (count - 1))).squareRoot()
  }

  // MARK: - Files

  private func write(
    _ findings: Findings, _ model: LoadedModel, _ dataset: ImageDataset, _ split: BoundRequest.Split,
    _ configuration: Configuration
  ) throws(InputError) {
    if let path = request.perImageFile(of: split) {
      let null = NoiseSchedule.nullLikelihood(colors: dataset.shape.colors)
      let files = try PictureFolder.files(configuration).map { split == .test ? $0.test : $0.train }
      var lines = "image,k_minus_null,k\(files == nil ? "" : ",file")\n"
      for (image, objective) in findings.objectives.enumerated() {
        let file = files.map { ",\"" + $0[image].replacing("\"", with: "\"\"") + "\"" } ?? ""
        lines += "\(image),\(-objective),\(-objective + null)\(file)\n"
      }
      try AtomicFile.write(lines, to: path)
    }
    if let path = request.perStepFile(of: split) {
      try AtomicFile.write(findings.steps.csv, to: path)
      for plot in request.plots(of: path) {
        try findings.steps.chart(title: "\(dataset.name), \(split.rawValue) set, epoch \(model.checkpoint.epoch)")
          .write(to: plot)
      }
    }
  }
}
