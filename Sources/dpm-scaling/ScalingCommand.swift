import ArgumentParser
import Collectives
import CommandSupport
import Figures
import Foundation
import Tensors
import Training

@main
struct ScalingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpm-scaling",
    abstract: "Measures how training scales over ranks, and predicts how it would go on.",
    usage: "dpm-scaling [options]",
    discussion: """
      Examples:
        dpm-scaling --ranks 1,2                         on this machine
        dpm-scaling --ranks 1,8,64 --launcher "srun --mpi=pmix -n {ranks}"
        dpm-scaling --ranks 1,2 --project --network 100GbE

      Runs dpm-benchmark on each number of ranks, in turn and again, and prints
      speed-up, efficiency and where the time goes. --project predicts up to 1024
      ranks. --output NAME writes NAME.csv, NAME.json, NAME.png and NAME.pdf.
      """,
    version: DPM.version)

  @Option(
    help: ArgumentHelp("A YAML file of settings; MNIST's if not given.", valueName: "config.yaml"),
    completion: .file(extensions: ["yaml", "yml"]))
  var config: String?
  @Option(help: ArgumentHelp("A setting by its key; may be repeated.", valueName: "key=value"))
  var set: [String] = []
  @Option(help: ArgumentHelp("Numbers of ranks, ascending.", valueName: "n,n,…"))
  var ranks = "1,2"
  @Option(help: "strong: one batch for all; weak: a batch for each rank.")
  var mode = "strong"
  @Option(help: ArgumentHelp("What starts the ranks, with {ranks} for their number.", valueName: "command"))
  var launcher = Self.defaultLauncher
  @Option(parsing: .unconditional, help: "Steps of a run.")
  var steps = 10
  @Option(parsing: .unconditional, help: "Rounds; each runs all numbers of ranks.")
  var repetitions = 5
  @Option(help: ArgumentHelp("Where to write the numbers and the plot.", valueName: "name"))
  var output: String?
  @Flag(help: "Replace files that exist.")
  var force = false
  @Flag(help: "Measure exchanges of several sizes, and predict efficiency up to 1024 ranks.")
  var project = false
  @Option(help: "Predict for this network in place of the one measured: 1GbE, 10GbE, 25GbE, 100GbE or HDR.")
  var network: String?

  private static let defaultLauncher = "mpirun -n {ranks}"

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as InputError {
      Terminal.report(error: "\(error)")
      Foundation.exit(ExitStatus.failure)
    } catch {
      exit(withError: error)
    }
  }

  func run() throws {
    guard !Communicator.isLaunched else {
      throw InputError(
        "dpm-scaling", found: "a launcher around it", expected: "to be started alone: it starts the ranks itself")
    }
    let study = try study()
    let chosen = try network.map { name throws(InputError) in
      guard let network = Projection.networks.first(where: { $0.name.lowercased() == name.lowercased() }) else {
        let names = Projection.networks.map(\.name).joined(separator: ", ")
        throw InputError("--network", found: "\"\(name)\"", expected: names)
      }
      return network
    }
    if let chosen, !project {
      throw InputError("--network", found: "\(chosen.name) without --project", expected: "--project beside it")
    }
    if project && chosen == nil && study.counts == [1] {
      throw InputError("--project", found: "one rank alone", expected: "--network, or --ranks with more than one")
    }
    let files = output.map { name in ["csv", "json", "png", "pdf"].map { "\(name).\($0)" } }
    for file in files ?? [] { try OutputFile.check(file, flag: "--output", overwrites: force) }

    let outcome = study.run { line throws(InputError) in try StandardOutput.print(line) }
    var failure = outcome.failure
    if let failure, outcome.counts.isEmpty { throw failure }
    var report = ScalingReport(study: study, counts: outcome.counts)
    try StandardOutput.print("\n\(report.text)")
    if project && failure == nil {
      do throws(InputError) {
        let projection = try ProjectionStudy(study: study, counts: outcome.counts, network: chosen).run()
        try StandardOutput.print("\n\(projection.text)")
        report.projection = projection
      } catch { failure = error }
    }
    if let files {
      try AtomicFile.write(report.csv, to: files[0])
      try AtomicFile.write(try report.json, to: files[1])
      for file in files[2...] { try report.chart.write(to: file) }
      try StandardOutput.print("written: \(files.joined(separator: ", "))")
    }
    if let failure { throw failure }
  }

  private func study() throws -> ScalingStudy {
    let numbers = ranks.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard !numbers.isEmpty, numbers.allSatisfy({ (1...65_536).contains($0) }),
      numbers == Array(Swift.Set(numbers)).sorted()
    else {
      throw InputError("--ranks", found: "\"\(ranks)\"", expected: "numbers from 1, ascending, as in 1,2,4,8")
    }
    guard let mode = ScalingStudy.Mode(rawValue: mode) else {
      throw InputError("--mode", found: "\"\(mode)\"", expected: "strong or weak")
    }
    for (flag, value, most) in [("--steps", steps, 1_000_000), ("--repetitions", repetitions, 1000)]
    where !(1...most).contains(value) {
      throw InputError(flag, found: "\(value)", expected: "1 ... \(most)")
    }
    var settings: [ConfigurationAssignment] = []
    for text in set { settings.append(try .set(text)) }
    let configuration = try Configuration.resolved(file: config, settings: settings, flags: [])
    let study = ScalingStudy(
      config: config, settings: set, batchSize: configuration.training.batchSize,
      threads: configuration.distributed.threads, counts: numbers, mode: mode, launcher: try RankLauncher(launcher),
      steps: steps, repetitions: repetitions, measuresLimit: launcher == Self.defaultLauncher)
    if let count = numbers.first(where: { !study.fits(ranks: $0) }) {
      throw InputError(
        "--ranks", found: "\(count)",
        expected:
          "at most \(study.batchSize / study.threads), as the minibatch has \(study.batchSize) images; or --mode weak")
    }
    return study
  }
}
