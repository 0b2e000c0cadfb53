public import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// A run from its first epoch to its last, on one rank of a job.
///
/// Linear, and all in one place: prepare, then for every epoch steps, a line, and every so often the test bound, figures
/// and a checkpoint. What a step does stands in `TrainingStep`, what is written and printed in `RunReport`.
public final class Trainer {
  private let configuration: Configuration
  private let communicator: Communicator
  private let data: TrainingData
  private let state: TrainingState
  private let step: TrainingStep
  private let learningRate: LearningRate
  private let report: RunReport
  private let layout: ParameterLayout
  private let console: RunConsole
  /// The folder that a rehearsed run would have; rank 0's, nil elsewhere and in training.
  private var rehearsedFolder: RunFolder?
  /// When the run stops by itself; nil for never.
  private let deadline: ContinuousClock.Instant?
  /// Of the epoch's last full minibatch; nil before it.
  private var observer: StepObserver?

  /// What a trainer is made for.
  public enum Mode: Sendable {
    /// `run`: it has a folder and writes into it.
    case training
    /// `rehearse`: it writes nothing.
    case rehearsal
  }

  /// Loads the data, makes or resumes the run's folder, and allocates all that training needs.
  ///
  /// Collective, like all that follows.
  ///
  /// - Parameters:
  ///   - requested: The configuration; completed here by what the data set knows.
  ///   - resume: What to go on from.
  ///   - mode: Which of `run` and `rehearse` will be called.
  ///   - timeLimit: How long from here the run may take before it stops after a step; nil for as long as it needs.
  ///   - console: Where rank 0 speaks.
  /// - Throws: `InputError` for what the user gave, `CollectiveError` where ranks fail or differ; the same on all ranks.
  public init(
    _ requested: Configuration, resume: ResumeRequest, mode: Mode = .training, timeLimit: Duration? = nil,
    communicator: Communicator, console: RunConsole
  ) throws {
    let start = ContinuousClock.now
    deadline = timeLimit.map { start + $0 }
    self.communicator = communicator
    self.console = console
    let kernels = try communicator.chooseKernels()
    try communicator.requireSameOnAllRanks([
      ("--resume", resume.description),
      ("--dry-run", mode == .rehearsal ? "given" : "not given"),
    ])
    let hostData = try HostData.load(requested, on: communicator, console: console)
    let (data, standardization) = (hostData.data, hostData.standardization)
    self.data = data
    let configuration = try communicator.agree("check the configuration") {
      var configuration = try requested.completed(for: data.train.shape)
      // What the run's files say must hold wherever they are read from.
      configuration.dataset.path = configuration.dataset.path.map { URL(fileURLWithPath: $0).path }
      try Self.check(configuration, imageCount: data.train.count, rankCount: communicator.rankCount)
      return configuration
    }
    self.configuration = configuration
    try communicator.requireSameOnAllRanks([("data set", hostData.digest)])

    let architecture = configuration.model
    let layout = ParameterLayout(architecture)
    self.layout = layout
    let schedule = NoiseSchedule(architecture)
    // A resumed run needs LAPACK too, at its first test bound; and what is missing should be before there is a folder.
    let openBLAS = try communicator.onRankZero("load OpenBLAS") { try OpenBLAS() }
    var run: OpenRun?
    switch mode {
    case .training:
      run = try communicator.onRankZero("open the run's folder") {
        try OpenRun(configuration, resume: resume, imageCount: data.train.count)
      }
    case .rehearsal:
      rehearsedFolder = try communicator.onRankZero("look for the run's folder") {
        try OpenRun.folder(configuration, resume: resume, imageCount: data.train.count)
      }
    }
    let initial =
      run?.checkpoint != nil
      ? nil
      : openBLAS.map {
        layout.initialParameters(seed: configuration.training.seed, kernels: kernels, openBLAS: $0)
      }
    let block = try HostBlock(
      communicator, reduction: configuration.distributed.reduction,
      wirePrecision: configuration.distributed.wirePrecision)
    state = TrainingState(
      parameters: try layout.parameters(initial, sharedBy: block), layout: layout, recipe: configuration.training,
      block: block, kernels: kernels)
    _ = try communicator.onRankZero("resume from the checkpoint") { [state] in
      try run?.restore(state)
    }
    try state.broadcast(communicator)
    try state.requireSameParameters(on: communicator)

    step = try TrainingStep(
      recipe: TrainingStep.Recipe(configuration), dataset: data.train, standardization: standardization,
      schedule: schedule, architecture: architecture,
      layout: layout, parameters: state.parameters, optimizer: state.optimizer, communicator: communicator,
      block: block, threads: configuration.distributed.threads, kernels: kernels)
    step.release(state)
    learningRate = LearningRate(configuration.training)
    report = try RunReport(
      configuration: configuration, data: data, standardization: standardization, schedule: schedule, layout: layout,
      state: state, run: run, communicator: communicator, kernels: kernels, console: console)
    try report.printHeader(startSeconds: start.duration(to: .now).seconds, openBLAS: openBLAS, block: block)
  }

  /// What cannot be known before data and ranks are: sizes that must fit them.
  static func check(_ configuration: Configuration, imageCount: Int, rankCount: Int) throws(InputError) {
    let batchSize = configuration.training.batchSize
    guard batchSize >= rankCount else {
      throw InputError(
        "training.batch_size", found: "\(batchSize)", expected: "at least the number of ranks, \(rankCount)")
    }
    let threads = configuration.distributed.threads
    guard threads * rankCount <= batchSize else {
      throw InputError(
        "distributed.threads", found: "\(threads)",
        expected: "at most \(batchSize / rankCount), as the minibatch has \(batchSize) images for \(rankCount) rank(s)")
    }
    let wire = configuration.distributed.wirePrecision
    guard
      wire == .float32 || configuration.distributed.reduction.available(rankCount: rankCount) == .fixedOrder
    else {
      throw InputError(
        "distributed.wire_precision", found: "\(wire.rawValue)",
        expected: "float32 with \(rankCount) ranks and this reduction: 16 bits need 2, 4, 8, … ranks and 'reproducible'"
      )
    }
    guard batchSize <= imageCount else {
      throw InputError(
        "training.batch_size", found: "\(batchSize)", expected: "at most the training set's \(imageCount) images")
    }
  }

  /// Takes steps for two seconds, and says what the run would cost and write; writes nothing.
  ///
  /// - Throws: `CollectiveError` where ranks fail; the same on all ranks.
  public func rehearse() throws {
    try Rehearsal(
      configuration: configuration, dataset: data.train, state: state, step: step,
      layout: layout, report: report, communicator: communicator
    ).run(folder: rehearsedFolder, console: console)
  }

  /// Trains to the last epoch, or until a signal or the time limit asks to stop.
  ///
  /// - Returns: Why it ended; the same on all ranks.
  /// - Throws: `InputError` where something cannot be written, `CollectiveError` where ranks fail; the same on all ranks.
  public func run() throws -> RunEnd {
    do {
      try trainToLastEpoch()
    } catch is Interruption.Requested {
      return try stop()
    }
    try report.finish("finished")
    report.printEnd(.lastEpoch, checkpoint: nil)
    return .lastEpoch
  }

  private func trainToLastEpoch() throws {
    let finished = state.step / stepsPerEpoch
    let areFiguresDue =
      state.step == 0
      ? configuration.output.plotsBeforeTraining : state.step == finished * stepsPerEpoch && hasFigures(finished)
    if areFiguresDue, try report.claimFigures(epoch: finished) { try evaluateAndDraw(epoch: finished) }
    for epoch in finished..<max(configuration.training.epochs, finished) {
      try trainEpoch(epoch)
      if hasFigures(epoch + 1) { try evaluateAndDraw(epoch: epoch + 1) } else { try report.recordEpoch() }
    }
  }

  /// Test bound, record, checkpoint and figures after an epoch.
  private func evaluateAndDraw(epoch: Int) throws {
    try step.gather(state)
    defer { step.release(state) }
    let gradient = observer?.gradient
    if let gradient { try step.gather(gradient) }
    let interruption = Interruption(communicator) { [self] in isStopRequested }
    do {
      try report.evaluate(epoch: epoch, interruption)
      try report.recordEpoch(isPageDue: false)
      if epoch > 0 { try report.writeCheckpoint() }
      try report.drawFigures(epoch: epoch, gradient: gradient, interruption)
    } catch let request as Interruption.Requested {
      report.noteIncomplete(epoch: epoch)
      throw request
    }
  }

  /// Leaves all that `--resume` needs.
  private func stop() throws -> RunEnd {
    report.noteCut(communication: step.communicationTime)
    try report.recordEpoch()
    let signal = StopSignal(rawValue: try communicator.maximum(of: StopRequest.pending?.rawValue ?? 0))
    let path = try writeCheckpoint()
    try report.finish("stopped after step \(state.step)")
    let end = signal.map { RunEnd.signal($0) } ?? .timeLimit
    report.printEnd(end, checkpoint: path)
    return end
  }

  /// Writes a checkpoint of the state as it is now.
  ///
  /// - Returns: Its path, on rank 0.
  @discardableResult
  private func writeCheckpoint() throws -> String? {
    try step.gather(state)
    defer { step.release(state) }
    return try report.writeCheckpoint()
  }

  private var stepsPerEpoch: Int { configuration.training.stepsPerEpoch(imageCount: data.train.count) }

  /// Whether this rank got a signal or finds that the time limit has passed; the first one to find so stops all.
  private var isStopRequested: Bool {
    StopRequest.pending != nil || deadline.map { ContinuousClock.now >= $0 } ?? false
  }

  /// Whether there are a test bound, figures and a checkpoint after so many epochs.
  private func hasFigures(_ epochs: Int) -> Bool {
    epochs % configuration.output.everyEpochs == 0 || epochs == configuration.training.epochs
  }

  /// Trains through one epoch, from its start or from where a checkpoint cut it.
  ///
  /// - Throws: `Interruption.Requested` where a rank was asked to stop.
  private func trainEpoch(_ epoch: Int) throws {
    let count = data.train.count
    let batchSize = configuration.training.batchSize
    let order = EpochPermutation.order(count: count, seed: configuration.training.seed, epoch: epoch)
    report.beginEpoch(communication: step.communicationTime)
    var isStopping = false
    observer = nil
    for minibatch in state.step % stepsPerEpoch..<stepsPerEpoch {
      let positions = minibatch * batchSize..<min(count, (minibatch + 1) * batchSize)
      let rate = learningRate.rate(epoch: epoch, step: state.step)
      let isLastFull = minibatch + 1 == count / batchSize
      if isLastFull { observer = StepObserver(layout: layout, keepsGradient: hasFigures(epoch + 1)) }
      let outcome = try step.take(
        step: state.step, positions: positions, order: order, learningRate: rate,
        isStopRequested: isStopRequested, isCheckpointDue: report.isCheckpointDue,
        observer: isLastFull ? observer : nil)
      state.step += 1
      state.updateAverage(in: step.ownedRanges)
      state.epochObjectiveSum += outcome.objective * Double(positions.count)
      state.epochImages += positions.count
      report.add(outcome, images: positions.count)
      report.showProgress(epoch: epoch, minibatch: minibatch + 1, of: stepsPerEpoch)
      isStopping = outcome.stopRequests > 0
      // An epoch that is complete gets its line before the run stops.
      if minibatch + 1 < stepsPerEpoch {
        if isStopping { throw Interruption.Requested() }
        if outcome.checkpointRequests > 0 { try writeCheckpoint() }
      }
    }
    try report.endEpoch(
      epoch + 1, learningRate: learningRate.rate(epoch: epoch, step: state.step),
      communication: step.communicationTime, observer: observer)
    state.epochObjectiveSum = 0
    state.epochImages = 0
    if isStopping { throw Interruption.Requested() }
  }
}

/// Why a run ended.
public enum RunEnd: Equatable, Sendable {
  /// Its last epoch is over.
  case lastEpoch
  /// A rank got a signal.
  case signal(StopSignal)
  /// Its time limit passed.
  case timeLimit
}
