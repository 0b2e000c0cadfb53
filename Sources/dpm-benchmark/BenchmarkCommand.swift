import ArgumentParser
import Collectives
import CommandSupport
import Datasets
import Foundation
import Tensors
import Training

@main
struct BenchmarkCommand: RankedCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpm-benchmark",
    abstract: "Times training steps on random images.",
    usage: "dpm-benchmark [config.yaml] [--set key=value ...] [options]",
    discussion: """
      Examples:
        dpm-benchmark                                   MNIST's step, one rank
        mpirun -n 2 dpm-benchmark configs/cifar10.yaml  CIFAR-10's, on two
        dpm-benchmark --profile                         where the time goes
        dpm-benchmark --compare-pytorch .venv/bin/python --ranks 2
      """,
    version: DPM.version)

  @Argument(
    help: ArgumentHelp("A YAML file of settings.", valueName: "config.yaml"),
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String?
  @Option(help: ArgumentHelp("A setting by its key; may be repeated.", valueName: "key=value"))
  var set: [String] = []
  @Option(
    name: [.customLong("batch-size"), .customLong("batch_size")], parsing: .unconditional,
    help: "Images of a minibatch, over all ranks.")
  var batchSize: String?
  @Option(parsing: .unconditional, help: "Threads of a rank.")
  var threads: String?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long a rank waits for the others before it ends the job.", valueName: "seconds"))
  var timeout: String?
  @Option(parsing: .unconditional, help: "Steps that are timed.")
  var steps = 10
  @Flag(help: "Show where the time goes, layer by layer.")
  var profile = false
  @Flag(help: "Time the drawing of a figure's samples (output.samples) instead of training steps.")
  var sample = false
  @Flag(help: "Time the exchange of gradients of several sizes instead of training steps.")
  var exchange = false
  @Option(
    name: .customLong("compare-pytorch"),
    help: ArgumentHelp("Run PyTorch's step in turn with this one, with this interpreter.", valueName: "python"))
  var pyTorch: String?
  @Option(parsing: .unconditional, help: "With --compare-pytorch: ranks of ours and processes of theirs. (default: 1)")
  var ranks: Int?
  @Option(parsing: .unconditional, help: "With --compare-pytorch: runs of each. (default: 5)")
  var repetitions: Int?
  @Flag(help: "Print one JSON object.")
  var json = false

  /// What is timed.
  enum Work {
    case step(StepBenchmark)
    case sampling(SampleBenchmark)
    case exchange(ExchangeBenchmark)
  }

  /// What the options come to.
  struct Plan {
    var work: Work
    var timeout: Duration
    var isJSON: Bool
  }

  func plan() throws -> Plan {
    if profile && sample {
      throw InputError("--profile", found: "--sample beside it", expected: "one of the two")
    }
    if exchange && (profile || sample) {
      throw InputError(
        "--exchange", found: "\(profile ? "--profile" : "--sample") beside it", expected: "one of the two")
    }
    guard (1...1_000_000).contains(steps) else {
      throw InputError("--steps", found: "\(steps)", expected: "1 ... 1000000")
    }
    var settings: [ConfigurationAssignment] = []
    for text in set { settings.append(try .set(text)) }
    let flags = [("--batch-size", batchSize), ("--threads", threads), ("--timeout", timeout)].compactMap {
      flag, value in
      value.map { ConfigurationAssignment.flag(flag, $0) }
    }
    let configuration = try Configuration.resolved(file: file, settings: settings, flags: flags)
    if let pyTorch {
      try compare(pyTorch, configuration)
      Foundation.exit(ExitStatus.success)
    }
    if let ranks {
      throw InputError(
        "--ranks", found: "\(ranks) without --compare-pytorch", expected: "mpirun -n \(ranks) dpm-benchmark")
    }
    if let repetitions {
      throw InputError("--repetitions", found: "\(repetitions) without --compare-pytorch", expected: "--steps")
    }
    let work: Work =
      exchange
      ? .exchange(ExchangeBenchmark(configuration))
      : sample
        ? .sampling(SampleBenchmark(configuration))
        : .step(StepBenchmark(configuration, steps: steps, profiles: profile))
    return Plan(work: work, timeout: .seconds(configuration.distributed.timeout), isJSON: json)
  }

  static func timeout(of plan: Plan) -> Duration { plan.timeout }

  /// Compares before MPI starts: the runs are jobs of their own.
  private func compare(_ python: String, _ configuration: Configuration) throws {
    guard configuration.distributed.threads == 1 else {
      throw InputError(
        "distributed.threads", found: "\(configuration.distributed.threads)",
        expected: "1 with --compare-pytorch, whose processes have a thread each")
    }
    guard !Communicator.isLaunched else {
      throw InputError(
        "dpm-benchmark", found: "a launcher around it",
        expected: "to be started alone with --compare-pytorch: it starts the ranks itself")
    }
    for (flag, isGiven) in [("--profile", profile), ("--exchange", exchange), ("--timeout", timeout != nil)]
    where isGiven {
      throw InputError(flag, found: "--compare-pytorch beside it", expected: "one of the two")
    }
    let peers: [DatasetName] = [.mnist, .cifar10]
    guard peers.contains(configuration.dataset.name) else {
      throw InputError(
        "dataset.name", found: "\(configuration.dataset.name.rawValue)",
        expected: "mnist or cifar10 with --compare-pytorch, whose script has these models")
    }
    let (ranks, repetitions) = (ranks ?? 1, repetitions ?? 5)
    guard (1...1024).contains(ranks) else { throw InputError("--ranks", found: "\(ranks)", expected: "1 ... 1024") }
    guard (1...1000).contains(repetitions) else {
      throw InputError("--repetitions", found: "\(repetitions)", expected: "1 ... 1000")
    }
    var arguments = file.map { [$0] } ?? []
    for setting in set { arguments += ["--set", setting] }
    if let batchSize { arguments += ["--batch-size", batchSize] }
    let comparison = PyTorchComparison(
      python: python, config: configuration.dataset.name.rawValue, arguments: arguments + ["--steps", "\(steps)"],
      batchSize: configuration.training.batchSize, ranks: ranks, steps: steps, repetitions: repetitions,
      samples: sample ? configuration.output.sampleCount : nil)
    let result = try comparison.run { line in
      if !json { try StandardOutput.print(line) }
    }
    try StandardOutput.print(json ? try jsonLine(result) : result.report)
  }

  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    let (report, value): (String, any Encodable)
    switch plan.work {
    case .step(let benchmark):
      let result = try benchmark.run(on: communicator)
      (report, value) = ([result.report, result.profile?.report].compactMap { $0 }.joined(separator: "\n\n"), result)
    case .sampling(let benchmark):
      let result = try benchmark.run(on: communicator)
      (report, value) = (result.report, result)
    case .exchange(let benchmark):
      let result = try benchmark.run(on: communicator)
      (report, value) = (result.report, result)
    }
    try communicator.onRankZero("print the times") {
      try StandardOutput.print(plan.isJSON ? try jsonLine(value) : report)
    }
    return ExitStatus.success
  }

  static func main() { start() }
}
