import ArgumentParser
import Collectives
import CommandSupport
import Foundation
import Tensors
import Training

@main
struct TrainCommand: RankedCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpm-train",
    abstract: "Trains a diffusion probabilistic model (Sohl-Dickstein et al. 2015).",
    usage: "dpm-train [config.yaml] [--set key=value ...] [options]",
    discussion: """
      Examples:
        dpm-train                                   MNIST, the reference's model
        dpm-train configs/mnist.yaml --dry-run      what that would cost
        mpirun -n 2 dpm-train configs/cifar10.yaml  CIFAR-10 on two ranks
        dpm-train --set training.lr=2e-3 --epochs 20 --name fast
        dpm-train runs/NAME/config.yaml --resume    go on where a run stopped

      Later settings win: defaults, then the file, then --set, then flags.
      --print-config shows the outcome.

      SIGUSR1, SIGTERM and --max-time end the run after a step, with a checkpoint
      and status 0; SIGINT with status 130. Status 1: a file, key or value is
      wrong, or cannot be read or written; 64: a flag is; 70: a rank failed by
      itself; 75: a rank did not answer.
      """,
    version: DPM.version)

  @Argument(
    help: ArgumentHelp("A YAML file of settings.", valueName: "config.yaml"),
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String?

  @Option(
    help: ArgumentHelp("A setting by its key, such as model.n_scales=2; may be repeated.", valueName: "key=value"))
  var set: [String] = []

  @Option(name: names("batch-size"), parsing: .unconditional, help: "Images of a minibatch, over all ranks.")
  var batchSize: String?
  @Option(parsing: .unconditional, help: "The first epoch's learning rate.")
  var lr: String?
  @Option(
    name: names("resume-file"), help: ArgumentHelp("Go on from this checkpoint, in a new folder.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var resumeFile: String?
  @Option(help: "Part of the run folder's name.")
  var suffix: String?
  @Option(
    name: names("output-dir"), help: ArgumentHelp("Where runs' folders are made.", valueName: "folder"),
    completion: .directory)
  var outputDir: String?
  @Option(
    name: names("ext-every-n"), parsing: .unconditional,
    help: ArgumentHelp("Epochs between test bounds, checkpoints and figures.", valueName: "epochs"))
  var extEveryN: String?
  @Option(
    name: names("model-args"),
    help: ArgumentHelp("The model's sizes, such as \"n_hidden_conv=40,n_scales=2\".", valueName: "k=v,…"))
  var modelArgs: String?
  @Option(
    name: names("dropout-rate"), parsing: .unconditional, help: "Probability that an input of a layer is dropped.")
  var dropoutRate: String?
  @Option(help: "MNIST, CIFAR10, IMAGES or IMAGENET (a folder of pictures), DEAD-LEAVES.")
  var dataset: String?
  @Flag(name: names("plot-before-training"), help: "Draw figures of the untrained network too.")
  var plotBeforeTraining = false

  @Flag(help: "Write numbers and figures as an event file for TensorBoard too.")
  var tensorboard = false
  @Option(parsing: .unconditional, help: "Passes through the training set.")
  var epochs: String?
  @Option(parsing: .unconditional, help: "What all random numbers are keyed by.")
  var seed: String?
  @Option(
    name: names("data-dir"),
    help: ArgumentHelp(
      "The folder with the data set; else the environment's DPM_DATA_DIR, else the cache of downloaded ones.",
      valueName: "folder"), completion: .directory)
  var dataDir: String?
  @Flag(help: "Download nothing; without it, published data sets that are nowhere are.")
  var offline = false
  @Flag(help: "End at the first picture of a folder that cannot be decoded; without it up to 1 % are left out.")
  var strict = false
  @Option(parsing: .unconditional, help: "Threads of a rank.")
  var threads: String?
  @Option(
    help: ArgumentHelp("Sums in one fixed order (reproducible) or in MPI's own (mpi).", valueName: "order"))
  var reduction: String?
  @Option(
    name: names("wire-precision"),
    help: ArgumentHelp("What travels between ranks: float32, bfloat16 or float16.", valueName: "format"))
  var wirePrecision: String?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long a rank waits for the others before it ends the job.", valueName: "seconds"))
  var timeout: String?
  @Option(
    name: names("max-time"),
    help: ArgumentHelp("Stop after this time, with a checkpoint; as in 1h30m.", valueName: "time"))
  var maxTime: String?
  @Option(name: names("log-level"), help: "How much is said: error, warning or info.")
  var logLevel = LogLevel.info
  @Option(help: "The run folder's name.")
  var name: String?
  @Flag(help: "Go on from the newest checkpoint of the run.")
  var resume = false
  @Flag(
    name: names("resume-or-start"),
    help: "Go on from the newest checkpoint of the run, or start it where it has none: for jobs that are requeued.")
  var resumeOrStart = false
  @Flag(
    name: names("dry-run"),
    help: "Read data and settings, time steps for 2 s, say what the run would cost and write, and end.")
  var dryRun = false
  @Flag(name: names("print-config"), help: "Print all settings as YAML and end.")
  var printConfig = false

  /// What the options come to.
  struct Plan {
    var configuration: Configuration
    var resume: ResumeRequest
    var timeLimit: Duration?
    var isRehearsal: Bool
    var logLevel: LogLevel
  }

  func plan() throws -> Plan {
    if resume, let resumeFile {
      throw InputError("--resume-file", found: resumeFile, expected: "either it or --resume")
    }
    if resume && resumeOrStart {
      throw InputError("--resume-or-start", found: "--resume beside it", expected: "one of the two")
    }
    let timeLimit = try maxTime.map { text throws(InputError) in
      try ClockTime.duration(text, subject: "--max-time")
    }
    let flags: [(String, String?)] = [
      ("--batch-size", batchSize), ("--lr", lr), ("--suffix", suffix), ("--output-dir", outputDir),
      ("--ext-every-n", extEveryN), ("--dropout-rate", dropoutRate), ("--dataset", dataset), ("--epochs", epochs),
      ("--seed", seed), ("--data-dir", dataDir), ("--threads", threads), ("--timeout", timeout),
      ("--reduction", reduction),
      ("--wire-precision", wirePrecision), ("--name", name),
      ("--plot-before-training", plotBeforeTraining ? "true" : nil), ("--offline", offline ? "true" : nil),
      ("--strict", strict ? "true" : nil),
      ("--tensorboard", tensorboard ? "true" : nil),
    ]
    var assignments =
      try modelArgs.map { text throws(InputError) in
        try ConfigurationAssignment.modelArguments(text)
      } ?? []
    for (flag, value) in flags {
      if let value { assignments.append(.flag(flag, value)) }
    }
    var settings: [ConfigurationAssignment] = []
    for text in set { settings.append(try .set(text)) }
    func resolved(_ file: String?) throws(InputError) -> Configuration {
      try Configuration.resolved(
        file: file, settings: settings, flags: assignments,
        dataFolder: ProcessInfo.processInfo.environment["DPM_DATA_DIR"])
    }
    var (file, configuration) = (file, try resolved(file))
    if file == nil, let own = resumedConfigurationFile(configuration.output) {
      (file, configuration) = (own, try resolved(own))
    }
    if printConfig {
      try StandardOutput.print(String(configuration.yaml.dropLast()))
      throw ExitCode.success
    }
    let request: ResumeRequest =
      resume
      ? .newest(configurationFile: file)
      : resumeOrStart
        ? .newestOrStart(configurationFile: file, checkpoint: resumeFile) : resumeFile.map { .file($0) } ?? .none
    return Plan(
      configuration: configuration, resume: request, timeLimit: timeLimit, isRehearsal: dryRun, logLevel: logLevel)
  }

  /// The configuration of the run that `--resume --name NAME` means, where no file is given.
  private func resumedConfigurationFile(_ output: Configuration.Output) -> String? {
    guard let name = output.name else { return nil }
    let folder = RunFolder(path: "\(output.directory)/\(name)")
    // A run that starts over is what the command says, not what an earlier one left.
    guard resume || resumeOrStart && !folder.checkpoints().isEmpty else { return nil }
    return FileManager.default.fileExists(atPath: folder.configurationPath) ? folder.configurationPath : nil
  }

  /// Settings come from files and the environment too, and are compared one by one.
  static var comparesOptions: Bool { false }

  static func timeout(of plan: Plan) -> Duration { .seconds(plan.configuration.distributed.timeout) }

  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    let terminal = Terminal(level: plan.logLevel, areLinesKept: !plan.isRehearsal)
    let trainer = try Trainer(
      plan.configuration, resume: plan.resume, mode: plan.isRehearsal ? .rehearsal : .training,
      timeLimit: plan.timeLimit, communicator: communicator, console: terminal.console())
    if plan.isRehearsal {
      try trainer.rehearse()
      try communicator.onRankZero("print the rehearsal") { try terminal.requirePrinted() }
      return ExitStatus.success
    }
    return try trainer.run() == .signal(.interrupt) ? ExitStatus.interrupted : ExitStatus.success
  }

  static func main() {
    // Before all else: a signal that comes while MPI starts is heeded after the first step.
    StopRequest.install()
    start()
  }
}
