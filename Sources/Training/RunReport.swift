internal import Collectives
internal import Datasets
internal import Diffusion
internal import Figures
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// What a run prints and writes beside training: log, metrics, test bounds, checkpoints, figures.
///
/// Collective where it says so; rank 0 alone prints and writes, and its errors reach all ranks.
final class RunReport {
  private let configuration: Configuration
  private let data: TrainingData
  private let standardization: Standardization
  private let layout: ParameterLayout
  private let state: TrainingState
  private let run: OpenRun?
  private let communicator: Communicator
  private let voice: RunVoice
  private let evaluation: Evaluation
  private let figures: RunFigures
  /// Rank 0's; nil elsewhere.
  private let display: RunDisplay?
  private let schedule: NoiseSchedule
  /// Fitted at the first evaluation.
  private var yardstick: Yardstick?
  private let kernelName: String
  private let runStart = ContinuousClock.now

  private var clock = EpochClock()
  private var lastObjective: Double?
  /// The finished epoch's record, until its test bound is known.
  private var pending: Metrics?
  /// Whether `pending` is in the metrics already, without a bound.
  private var isRecorded = false

  init(
    configuration: Configuration, data: TrainingData, standardization: Standardization, schedule: NoiseSchedule,
    layout: ParameterLayout, state: TrainingState, run: OpenRun?, communicator: Communicator,
    kernels: any KernelSet, console: RunConsole
  ) throws {
    self.configuration = configuration
    self.data = data
    self.standardization = standardization
    self.layout = layout
    self.state = state
    self.run = run
    self.communicator = communicator
    self.schedule = schedule
    kernelName = kernels.name
    evaluation = Evaluation(
      dataset: data.test, standardization: standardization, schedule: schedule, architecture: configuration.model,
      layout: layout, seed: configuration.training.seed, communicator: communicator,
      threads: configuration.distributed.threads, kernels: kernels)
    figures = RunFigures(
      configuration: configuration, test: data.test, standardization: standardization, schedule: schedule,
      layout: layout, folder: run?.folder, communicator: communicator, kernels: kernels)
    let log = try communicator.onRankZero("open the log") { try run.map { try RunLog($0.folder.logPath) } } ?? nil
    voice = RunVoice(console, log: log, isHeard: communicator.isRankZero)
    let step = state.step
    let events =
      try communicator.onRankZero("open the file of events") {
        try configuration.output.writesEvents ? run.map { try RunEvents($0.folder, step: step) } : nil
      } ?? nil
    display = run.map { [voice] in
      RunDisplay(page: RunPage(folder: $0.folder, configuration: configuration), events: events, voice: voice)
    }
    lastObjective =
      try communicator.onRankZero("read the metrics") {
        try run?.folder.metrics.read().last?.trainObjective
      } ?? nil
  }

  // MARK: - Lines

  /// What a reader of the log wants to know first; collective.
  ///
  /// - Parameter openBLAS: Rank 0's; nil on other ranks.
  func printHeader(startSeconds: Double, openBLAS: OpenBLAS?, block: HostBlock?) throws {
    let hosts = try HostReport(communicator, threads: configuration.distributed.threads)
    let header = RunHeader(
      configuration, data: data, layout: layout, hosts: hosts, block: block, kernels: kernelName, openBLAS: openBLAS)
    voice.line("dpm \(DPM.version)")
    for line in header.lines { voice.line(line) }
    display?.page.facts =
      [("program", "dpm-train \(DPM.version)")] + header.facts + [("folder", run?.folder.path ?? "")]
    if let run { voice.line("run      \(run.folder.path)") }
    if state.step > 0 { voice.line("resumed  at step \(state.step)") }
    for change in run?.changes ?? [] {
      voice.line(
        "changed  \(change.name): \(change.now), was \(change.before)"
          + (change.name == "training.optimizer" ? "; what it has gathered is given up" : ""))
    }
    voice.line(String(format: "ready    in %.1f s", startSeconds))
    hosts.warnings.forEach(voice.warn)
    let finished = state.step / configuration.training.stepsPerEpoch(imageCount: data.train.count)
    if configuration.training.epochs < finished {
      voice.warn("training.epochs: \(configuration.training.epochs), but the run has \(finished): nothing is trained")
    }
    if let before = run?.checkpoint?.checkpoint, abs(before.scale - standardization.scale) > 1e-9 * before.scale {
      voice.warn(
        "\(data.train.name) has scale \(standardization.scale), but the checkpoint's data had scale \(before.scale): the run "
          + "goes on with other images than it began with")
    }
  }

  /// With its sign, which NaN has too, by chance.
  private static func text(_ objective: Double) -> String {
    objective.isNaN ? "nan" : String(format: "%+.4f", objective)
  }

  func showProgress(epoch: Int, minibatch: Int, of minibatches: Int) {
    voice.progress(Double(minibatch) / Double(minibatches)) {
      let objective = state.epochObjectiveSum / Double(max(1, state.epochImages))
      return "epoch \(epoch + 1)/\(configuration.training.epochs)  \(Self.text(objective)) bits/pixel"
    }
  }

  // MARK: - Epochs

  func beginEpoch(communication: CommunicationTime) {
    voice.beginWork()
    clock.begin(communication: communication)
  }

  func add(_ outcome: TrainingStep.Outcome, images: Int) {
    clock.add(images: images, isBad: outcome.badTensors > 0)
  }

  /// Prints the epoch's line; collective.
  ///
  /// Its record waits for `recordEpoch`.
  ///
  /// - Parameter observer: Saw the epoch's last full minibatch; nil where that was before this process.
  func endEpoch(
    _ epoch: Int, learningRate: Double, communication: CommunicationTime, observer: StepObserver?
  ) throws {
    guard let times = clock.end(communication: communication) else {
      preconditionFailure("an epoch begins before it ends")
    }
    let objective = state.epochObjectiveSum / Double(max(1, state.epochImages))
    let imagesPerSecond = Double(clock.images) / times.seconds
    let exposed = try communicator.maximum(of: times.waiting)
    let total = try communicator.maximum(of: times.communicating)
    try notePage(times)
    let epochs = configuration.training.epochs
    var line = "epoch \(epoch)/\(epochs)  \(Self.text(objective)) bits/pixel"
    if let lastObjective { line += " (\(Self.text(objective - lastObjective)))" }
    line += String(format: "  %.0f images/s  %.1f s", imagesPerSecond, times.seconds)
    if communicator.rankCount > 1 {
      line += String(format: "  communication %.1f s, %.1f s of it waiting", total, exposed)
    }
    // Of an epoch that a checkpoint cut, only what followed was done here.
    let wholeEpochSeconds = Double(data.train.count) / imagesPerSecond
    line +=
      "  ETA \(ClockTime.text(wholeEpochSeconds * Double(epochs - epoch)))  lr " + String(format: "%.3g", learningRate)
    voice.line(line)
    if clock.badSteps > 0 {
      voice.warn(
        "epoch \(epoch): \(count(clock.badSteps, "step")) with a gradient that was not finite; those tensors stayed")
    }
    lastObjective = objective
    pending = Metrics(
      epoch: epoch, step: state.step, images: epoch * data.train.count, trainObjective: objective,
      learningRate: learningRate, seconds: times.seconds, imagesPerSecond: imagesPerSecond,
      ranks: communicator.rankCount, exposedCommunicationSeconds: exposed, communicationSeconds: total,
      badSteps: clock.badSteps, norms: try observer?.norms(communicator))
  }

  /// Notes for the page what each rank did in the epoch; collective.
  private func notePage(_ times: EpochClock.Times) throws {
    let hosts = try HostReport(communicator, threads: configuration.distributed.threads)
    let ranks = try communicator.gather([times.waiting, times.communicating].withUnsafeBytes { Array($0) })
    display?.page.ranks = zip(hosts.ranks, ranks).map { rank, bytes in
      let seconds = bytes.withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
      return RunPage.Rank(
        host: rank.host, cores: rank.cores.count, threads: rank.threads, waitingSeconds: seconds[0],
        communicationSeconds: seconds[1], peakBytes: rank.peakResidentBytes)
    }
    display?.page.epochSeconds = times.seconds
    notePhases(times)
  }

  /// Notes for the page what was done of an epoch that a stop cuts.
  func noteCut(communication: CommunicationTime) {
    if let times = clock.end(communication: communication) { notePhases(times) }
  }

  private func notePhases(_ times: EpochClock.Times) {
    display?.page.phases.computing += times.seconds - times.waiting
    display?.page.phases.waiting += times.waiting
  }

  /// Appends the finished epoch's record to the metrics, and has the run's page rewritten; collective.
  ///
  /// - Parameter isPageDue: Not where figures follow, which it will show.
  func recordEpoch(isPageDue: Bool = true) throws {
    _ = try communicator.onRankZero("write the metrics") {
      if let pending {
        if isRecorded { try run?.folder.metrics.cut(afterStep: pending.step - 1) }
        try run?.folder.metrics.append(pending)
        display?.show(pending)
      }
      if isPageDue { display?.showPage() }
    }
    pending = nil
    isRecorded = false
  }

  /// Whether the test bound or figures of the epoch that the run goes on behind (0: begins with) are still to be made; collective.
  ///
  /// Takes up the epoch's record again, for the bound to stand in it. Makes the figures' folder, by which it sees the next time that
  /// this has been tried: a drawing that takes longer than a job may must not keep it from training for ever.
  func claimFigures(epoch: Int) throws -> Bool {
    let answer =
      try communicator.onRankZero("look for the epoch's figures") { () throws -> Bool in
        guard let run, !run.folder.figures().contains(where: { $0.epoch == epoch }) else { return false }
        let last = try run.folder.metrics.read().last
        guard epoch == 0 || last?.epoch == epoch else { return false }
        try run.folder.createFiguresFolder(epoch: epoch)
        if let last, last.testObjective == nil {
          pending = last
          isRecorded = true
        }
        return true
      } ?? false
    return try communicator.maximum(of: answer ? 1 : 0) == 1
  }

  /// Says that a stop came before an epoch's test bound and figures were done.
  func noteIncomplete(epoch: Int) {
    voice.line("         the test bound or figures of epoch \(epoch) were not done when the stop came")
  }

  /// Evaluates the test bound, and says where it stands; collective.
  func evaluate(epoch: Int, _ interruption: Interruption) throws {
    let start = ContinuousClock.now
    voice.beginWork()
    let bound = try evaluation.bound(state.bestParameters) { fraction in
      voice.progress(fraction) { "epoch \(epoch), test bound" }
      try interruption.check()
    }
    pending?.testObjective = bound.objective
    pending?.testStandardError = bound.standardError
    let seconds = start.duration(to: .now).seconds
    display?.page.phases.evaluating += seconds
    let error = bound.standardError.isNaN ? "" : String(format: " ± %.4f", bound.standardError)
    voice.line(
      "         test \(Self.text(bound.objective))\(error) bits/pixel on \(bound.images) images  "
        + String(format: "%.1f s", seconds))
    if !bound.objective.isFinite { voice.warn("epoch \(epoch): the test bound is not finite") }
    try placeBound(bound.objective)
    guard epoch == 0 else { return }
    display?.showUntrained(
      Metrics(
        epoch: 0, step: 0, images: 0, trainObjective: .nan, learningRate: .nan, seconds: 0, imagesPerSecond: .nan,
        ranks: communicator.rankCount, exposedCommunicationSeconds: 0, communicationSeconds: 0, badSteps: 0,
        testObjective: bound.objective, testStandardError: bound.standardError, yardstick: yardstick))
  }

  /// Prints where an objective stands between white noise and the ceiling; collective.
  private func placeBound(_ objective: Double) throws {
    yardstick =
      try communicator.onRankZero("fit the trivial models") {
        try yardstick ?? Yardstick(data, standardization: standardization, schedule: schedule)
      } ?? nil
    pending?.yardstick = yardstick
    if let yardstick, objective.isFinite { voice.line("         " + yardstick.text(placing: objective)) }
  }

  // MARK: - Files

  /// Whether it is time for a checkpoint within the epoch; rank 0's clock decides.
  var isCheckpointDue: Bool { run?.isCheckpointDue ?? false }

  /// Writes a checkpoint of the state as it is now; collective.
  ///
  /// - Returns: Its path, on rank 0.
  @discardableResult
  func writeCheckpoint() throws -> String? {
    let start = ContinuousClock.now
    run?.checkpointTime = start
    defer {
      let seconds = start.duration(to: .now).seconds
      display?.page.phases.checkpoints += seconds
      clock.pause(seconds: seconds)
    }
    let stepsPerEpoch = configuration.training.stepsPerEpoch(imageCount: data.train.count)
    let (epoch, rest) = state.step.quotientAndRemainder(dividingBy: stepsPerEpoch)
    return try communicator.onRankZero("write the checkpoint") { () throws -> String? in
      guard let run else { return nil }
      let checkpoint = Checkpoint(
        configuration: configuration, scale: standardization.scale, shift: standardization.shift, epoch: epoch,
        step: state.step, optimizerSteps: state.optimizer.stepCount, epochObjectiveSum: state.epochObjectiveSum,
        epochImages: state.epochImages, version: DPM.version)
      let path = run.folder.checkpointPath(epoch: epoch, step: rest == 0 ? nil : state.step)
      try checkpoint.write(to: path, state: state.buffers)
      run.folder.pruneCheckpoints(keeping: configuration.output.keptCheckpoints)
      return path
    } ?? nil
  }

  /// Draws samples on all ranks, and figures on rank 0, in the background; collective.
  ///
  /// - Parameter gradient: Of one of the epoch's steps, gathered; nil for no figure of it.
  func drawFigures(epoch: Int, gradient: FloatBuffer?, _ interruption: Interruption) throws {
    let start = ContinuousClock.now
    voice.beginWork()
    let showProgress = samplingProgress(epoch: epoch, since: start)
    let drawing = try figures.draw(
      epoch: epoch, best: state.bestParameters, parameters: state.parameters, gradient: gradient
    ) { fraction in
      showProgress(fraction)
      try interruption.check()
    }
    let seconds = start.duration(to: .now).seconds
    display?.page.phases.sampling += seconds
    voice.line(String(format: "         samples drawn in %.1f s", seconds))
    try finishDrawing()
    if let drawing { display?.show(drawing, epoch: epoch, step: state.step) }
  }

  /// Waits for what rank 0 draws in the background; collective.
  ///
  /// In meetings, so that no rank waits longer in one operation than the watchdog allows, however slow rank 0's core is.
  private func finishDrawing() throws(CollectiveError) {
    while try communicator.minimum(of: display?.advance(for: .milliseconds(500)) == false ? 0 : 1) == 0 {}
  }

  /// Begins an evaluation and a drawing, for the memory that they take; collective.
  ///
  /// - Returns: How many samples there are, and seconds of one step of all their way.
  func rehearse() throws -> (samples: Int, stepSeconds: Double) {
    func interrupted(_ body: () throws -> Void) throws {
      do { try body() } catch is Interruption.Requested {}
    }
    try interrupted { _ = try evaluation.bound(state.bestParameters) { _ in throw Interruption.Requested() } }
    var times: [ContinuousClock.Instant] = []
    try interrupted {
      _ = try figures.draw(epoch: 0, best: state.bestParameters, parameters: state.parameters, gradient: nil) { _ in
        times.append(.now)
        // At the start, behind a step that touches all memory, and behind one more.
        if times.count == 3 { throw Interruption.Requested() }
      }
    }
    let seconds = times.last.map { times[max(0, times.count - 2)].duration(to: $0).seconds } ?? 0
    return (figures.totalSampleCount, try communicator.maximum(of: seconds))
  }

  /// Shows on rank 0 how far samples are, and says once, where they take long, how long.
  private func samplingProgress(epoch: Int, since start: ContinuousClock.Instant) -> (Double) -> Void {
    var isLengthKnown = false
    return { [self] fraction in
      voice.progress(fraction) { "epoch \(epoch), samples" }
      let seconds = start.duration(to: .now).seconds
      guard !isLengthKnown, seconds > Self.lengthGuess, fraction > 0 else { return }
      isLengthKnown = true
      let whole = seconds / fraction
      if whole > Self.longSampling { voice.line("         drawing samples, about \(ClockTime.text(whole))") }
    }
  }

  /// Seconds after which the samples' whole time is estimated.
  private static let lengthGuess = 3.0
  /// Seconds of sampling that a reader of the log should be told about beforehand.
  private static let longSampling = 30.0

  // MARK: - Ends

  /// Waits for rank 0's drawings, and writes the page for the last time; collective.
  ///
  /// - Parameter status: How the run ended.
  func finish(_ status: String) throws {
    try finishDrawing()
    _ = try communicator.onRankZero("write the run's page") { display?.finish(status) }
  }

  /// One line: why the run ended, what it took, where things are; and how to go on where it can.
  ///
  /// - Parameter checkpoint: The one written at a stop.
  func printEnd(_ end: RunEnd, checkpoint: String?) {
    guard let run else { return }
    let reason =
      switch end {
      case .lastEpoch: "done"
      case .signal(let signal): "stopped by \(signal) after step \(state.step)"
      case .timeLimit: "stopped by the time limit after step \(state.step)"
      }
    var parts = ["\(reason) in \(ClockTime.text(runStart.duration(to: .now).seconds))"]
    let (images, seconds) = clock.total
    if seconds > 0 { parts.append(String(format: "%.0f images/s", Double(images) / seconds)) }
    let objective = state.epochImages > 0 ? state.epochObjectiveSum / Double(state.epochImages) : lastObjective
    if let objective { parts.append("last objective \(Self.text(objective)) bits/pixel") }
    parts.append(checkpoint.map { "a checkpoint is written: \($0)" } ?? "all in \(run.folder.path)")
    voice.line(parts.joined(separator: ", "))
    guard checkpoint != nil else { return }
    let name = URL(fileURLWithPath: run.folder.path)
    voice.line(
      "go on with: dpm-train \(run.folder.configurationPath) --output-dir "
        + "\(name.deletingLastPathComponent().relativePath) --name \(name.lastPathComponent) --resume")
  }
}
