import ArgumentParser
import Collectives
import CommandSupport
import Foundation
import Tensors
import Training

@main
struct BenchmarkCommand: RankedCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpm-benchmark",
    abstract: "Times training steps on random images.",
    usage: """
      dpm-benchmark                                     the MNIST configuration, batch 512, on one rank
      mpirun -n 2 dpm-benchmark configs/cifar10.yaml    CIFAR-10's, on two ranks
      """,
    version: DPM.version)

  @Argument(help: ArgumentHelp("A YAML file of settings.", valueName: "config.yaml"))
  var file: String?
  @Option(help: ArgumentHelp("A setting by its key; may be repeated.", valueName: "key=value"))
  var set: [String] = []
  @Option(name: [.customLong("batch-size"), .customLong("batch_size")], help: "Images of a minibatch, over all ranks.")
  var batchSize: String?
  @Option(help: "Steps that are timed.")
  var steps = 10
  @Flag(help: "Show where the time goes, layer by layer.")
  var profile = false
  @Flag(help: "Print one JSON object.")
  var json = false

  /// What the options come to.
  struct Plan {
    var benchmark: StepBenchmark
    var isJSON: Bool
  }

  func plan() throws -> Plan {
    guard (1...1_000_000).contains(steps) else {
      throw InputError("--steps", found: "\(steps)", expected: "1 ... 1000000")
    }
    var settings: [ConfigurationAssignment] = []
    for text in set { settings.append(try .set(text)) }
    let flags = batchSize.map { [ConfigurationAssignment.flag("--batch-size", $0)] } ?? []
    let configuration = try Configuration.resolved(file: file, settings: settings, flags: flags)
    return Plan(benchmark: StepBenchmark(configuration, steps: steps, profiles: profile), isJSON: json)
  }

  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    let result = try plan.benchmark.run(on: communicator)
    guard communicator.isRankZero else { return ExitStatus.success }
    if plan.isJSON {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      print(String(decoding: try encoder.encode(result), as: UTF8.self))
      return ExitStatus.success
    }
    print(result.report)
    if let profile = result.profile { print("\n" + profile.report) }
    return ExitStatus.success
  }

  static func main() { start() }
}
