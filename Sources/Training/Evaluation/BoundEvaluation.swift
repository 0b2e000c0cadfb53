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
  private static let mostRounds = 10_000

  /// What the rounds, or all times, came to.
  private struct Sums {
    /// Σ J of each image over the rounds; with every t: J itself.
    var objectives: [Double]
    var rounds = 0
    /// Every J with its t, for the standard error.
    var draws: [Double] = []
    var times: [Int32] = []
    var steps: StepStatistics
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
    let splits: [BoundRequest.Split] = request.split == .both ? [.test, .train] : [request.split]
    return try splits.map { split in
      let dataset = split == .test ? host.data.test : host.data.train
      let trivial = try communicator.onRankZero("fit the trivial models") {
        TrivialModels(
          fittedTo: host.data.train, evaluatedOn: dataset, standardization: model.standardization,
          openBLAS: try OpenBLAS())
      }
      let sums = try sums(model, dataset, communicator, console)
      let report = report(sums, model, dataset, split, trivial)
      _ = try communicator.onRankZero("write the files") { try write(sums, model, dataset, split, configuration) }
      return report
    }
  }

  private func sums(
    _ model: LoadedModel, _ dataset: ImageDataset, _ communicator: Communicator, _ console: RunConsole
  ) throws -> Sums {
    let count = min(dataset.count, request.images ?? dataset.count)
    let groups = (count + laneCount - 1) / laneCount
    let terms = BoundTerms(
      dataset: dataset, count: count, standardization: model.standardization, schedule: model.schedule,
      architecture: model.checkpoint.architecture, layout: model.layout, parameters: model.parameters,
      seed: request.seed, communicator: communicator, threads: request.threads ?? min(communicator.ownCores, groups),
      kernels: model.kernels)
    let (colors, pixels) = (dataset.shape.colors, dataset.shape.height * dataset.shape.width)
    let schedule = model.schedule
    var sums = Sums(
      objectives: [Double](repeating: 0, count: count),
      steps: StepStatistics(schedule: schedule, colors: colors, pixels: pixels))
    let wantsEntropy = request.perStepFile != nil
    if request.isExact {
      let steps = schedule.trajectoryLength - 1
      for time in 1...steps {
        let round = try terms.terms(step: time, time: { _ in time }, withEntropy: wantsEntropy) { fraction in
          show(console, communicator, (Double(time - 1) + fraction) / Double(steps), "t = \(time) of \(steps)")
        }
        sums.steps.add(round, time: { _ in time })
        for image in 0..<count { sums.objectives[image] += round.divergence[image] }
      }
      sums.objectives = sums.objectives.map {
        schedule.objective(totalDivergence: $0, colors: colors, pixels: pixels)
      }
      return sums
    }
    while sums.rounds < Self.mostRounds {
      let times = Evaluation.times(count: count, schedule: schedule, seed: request.seed, round: sums.rounds)
      let round = try terms.terms(step: sums.rounds, time: { Int(times[$0]) }, withEntropy: wantsEntropy) { fraction in
        show(console, communicator, fraction, "round \(sums.rounds + 1)")
      }
      sums.steps.add(round, time: { Int(times[$0]) })
      let objectives = round.divergence.map { schedule.objective(divergence: $0, colors: colors, pixels: pixels) }
      for image in 0..<count { sums.objectives[image] += objectives[image] }
      sums.rounds += 1
      guard let wanted = request.standardError else {
        (sums.draws, sums.times) = (objectives, times)
        break
      }
      sums.draws += objectives
      sums.times += times
      if Evaluation.standardError(sums.draws, times: sums.times) <= wanted { break }
    }
    return sums
  }

  private func show(_ console: RunConsole, _ communicator: Communicator, _ fraction: Double, _ text: String) {
    if communicator.isRankZero { console.progress(fraction) { text } }
  }

  private func report(
    _ sums: Sums, _ model: LoadedModel, _ dataset: ImageDataset, _ split: BoundRequest.Split, _ trivial: TrivialModels?
  ) -> BoundReport {
    let objectives = sums.objectives.map { $0 / Double(max(1, sums.rounds)) }
    let mean = objectives.reduce(0, +) / Double(objectives.count)
    let error =
      sums.rounds == 0 ? Self.standardError(objectives) : Evaluation.standardError(sums.draws, times: sums.times)
    let colors = dataset.shape.colors
    let k = -mean + NoiseSchedule.nullLikelihood(colors: colors)
    let scale = model.standardization.scale
    return BoundReport(
      split: split.rawValue, k: k, kMinusNull: -mean, standardError: error,
      bitsPerDimension: log2(255 / scale) - k / Double(colors), bitsPerDimensionStandardError: error / Double(colors),
      images: objectives.count, scale: scale, rounds: sums.rounds, ceiling: model.schedule.ceiling(colors: colors),
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
    _ sums: Sums, _ model: LoadedModel, _ dataset: ImageDataset, _ split: BoundRequest.Split,
    _ configuration: Configuration
  ) throws(InputError) {
    // With both sets, each has files of its own.
    func own(_ path: String) -> String {
      request.split == .both ? "\(path.dropLast(4))-\(split.rawValue).csv" : path
    }
    if let path = request.perImageFile {
      let null = NoiseSchedule.nullLikelihood(colors: dataset.shape.colors)
      let files = try PictureFolder.files(configuration).map { split == .test ? $0.test : $0.train }
      var lines = "image,k_minus_null,k\(files == nil ? "" : ",file")\n"
      for (image, sum) in sums.objectives.enumerated() {
        let value = -sum / Double(max(1, sums.rounds))
        let file = files.map { ",\"" + $0[image].replacing("\"", with: "\"\"") + "\"" } ?? ""
        lines += "\(image),\(value),\(value + null)\(file)\n"
      }
      try AtomicFile.write(lines, to: own(path))
    }
    if let path = request.perStepFile.map(own) {
      try AtomicFile.write(sums.steps.csv, to: path)
      for type in ["png", "pdf"] {
        try sums.steps.chart(title: "\(dataset.name), \(split.rawValue) set, epoch \(model.checkpoint.epoch)")
          .write(to: request.plotPath(of: path, type))
      }
    }
  }
}
