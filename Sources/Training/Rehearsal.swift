internal import Collectives
internal import Datasets
internal import Foundation
internal import Network
internal import Tensors

/// What a run would cost and write, found out by a few of its own steps (`dpm-train --dry-run`).
struct Rehearsal {
  let configuration: Configuration
  let dataset: ImageDataset
  let state: TrainingState
  let step: TrainingStep
  let layout: ParameterLayout
  let report: RunReport
  let communicator: Communicator

  /// How long steps are timed, at least.
  private static let measuredSeconds = 2.0

  /// What was measured; times are rank 0's, which waits for all others in every step.
  private struct Measurement {
    var steps = 0
    var seconds = 0.0
    var bytesSent = 0
  }

  /// Measures, and prints on rank 0; collective.
  ///
  /// - Parameter folder: Rank 0's: where the run would be.
  func run(folder: RunFolder?, console: RunConsole) throws {
    let measurement = try measure()
    // As behind an epoch: then all ranks have all of the state, and take the most memory.
    try step.gather(state)
    let sampling = try report.rehearse()
    let hosts = try HostReport(communicator, threads: configuration.distributed.threads)
    guard communicator.isRankZero, let folder else { return }
    for (name, text) in costs(measurement, hosts, sampling) + files(folder) {
      console.line(name.padding(toLength: 9, withPad: " ", startingAt: 0) + text)
    }
  }

  /// Takes full minibatches of the first epoch: one to touch all memory, then as many as the measurement's time allows.
  private func measure() throws -> Measurement {
    let batchSize = configuration.training.batchSize
    let order = EpochPermutation.order(count: dataset.count, seed: configuration.training.seed, epoch: 0)
    var measurement = Measurement()
    var start = ContinuousClock.now
    var isOver = false
    while !isOver {
      let first = state.step % (dataset.count / batchSize) * batchSize
      measurement.seconds = start.duration(to: .now).seconds
      // Whoever's time is over says so in the step's own sum, so that all ranks leave after the same step.
      let outcome = try step.take(
        step: state.step, positions: first..<first + batchSize, order: order,
        learningRate: configuration.training.learningRate,
        isStopRequested: state.step > 1 && measurement.seconds >= Self.measuredSeconds)
      state.step += 1
      state.updateAverage(in: step.ownedRanges)
      if state.step == 1 {
        measurement.bytesSent = step.bytesSent
        start = .now
      }
      isOver = outcome.stopRequests > 0
    }
    measurement.seconds = start.duration(to: .now).seconds
    measurement.steps = state.step - 1
    measurement.bytesSent = step.bytesSent - measurement.bytesSent
    return measurement
  }

  private func costs(
    _ measurement: Measurement, _ hosts: HostReport, _ sampling: (samples: Int, stepSeconds: Double)
  ) -> [(String, String)] {
    let recipe = configuration.training
    let seconds = measurement.seconds / Double(measurement.steps)
    let rate = Double(recipe.batchSize) / seconds
    let epochSeconds = Double(dataset.count) / rate
    let operations = Double(configuration.model.trainingOperations * recipe.batchSize) / Double(communicator.rankCount)
    let steps = recipe.stepsPerEpoch(imageCount: dataset.count)
    let sent = Double(measurement.bytesSent) / Double(measurement.steps)
    let samplingSteps = configuration.model.trajectoryLength - 1
    let memory = hosts.ranks.map { "\($0.peakResidentBytes >> 20)" }.joined(separator: ", ")
    return [
      (
        "step",
        String(format: "%.4f s for %d images, %.0f images/s", seconds, recipe.batchSize, rate)
          + String(format: ", measured for %.1f s", measurement.seconds)
      ),
      (
        "work", String(format: "%.2f GFLOP a rank and step, %.1f GFLOP/s", operations / 1e9, operations / seconds / 1e9)
      ),
      ("peak", "\(memory) MiB of memory by rank"),
      (
        "sums",
        String(format: "%.2f MB of gradients a step", Double(4 * layout.parameterCount) / 1e6)
          + (communicator.rankCount > 1 ? String(format: ", %.2f MB sent by rank 0", sent / 1e6) : ", nowhere to send")
      ),
      (
        "epoch",
        "\(steps) steps, \(ClockTime.text(epochSeconds)) (\(String(format: "%.1f s", epochSeconds))); \(recipe.epochs) of them "
          + "\(ClockTime.text(epochSeconds * Double(recipe.epochs))), without bounds and figures"
      ),
      (
        "figures",
        "\(sampling.samples) samples of \(samplingSteps) steps, about "
          + ClockTime.text(Double(samplingSteps) * sampling.stepSeconds)
      ),
    ]
  }

  private func files(_ folder: RunFolder) -> [(String, String)] {
    let output = configuration.output
    let every = output.everyEpochs == 1 ? "epoch" : "\(output.everyEpochs) epochs"
    let bytes = TrainingState.checkpointBytes(configuration)
    let kept = output.keptCheckpoints == 0 ? "all are kept" : "the newest \(output.keptCheckpoints) are kept"
    let within =
      output.checkpointMinutes > 0 ? "; one within an epoch after \(shortest(output.checkpointMinutes)) minutes" : ""
    let epoch = min(output.everyEpochs, configuration.training.epochs)
    return [
      ("nothing", "is written; a run would write"),
      ("", "\(folder.configurationPath), and beside it metrics.jsonl, train.log, report.html"),
      (
        "",
        "\(folder.checkpointPath(epoch: epoch)) every \(every), \(String(format: "%.1f MB", Double(bytes) / 1e6)) each, "
          + kept + within
      ),
      ("", "\(folder.figurePath("samples-t0000.png", epoch: epoch)) and other figures, every \(every)"),
    ]
  }
}
