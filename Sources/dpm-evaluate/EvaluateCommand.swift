import ArgumentParser
import Collectives
import CommandSupport
import Tensors
import Training

@main
struct EvaluateCommand: RankedCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpm-evaluate",
    abstract: "Computes the bound on the log-likelihood of a checkpoint's model.",
    usage: "dpm-evaluate checkpoint [options]",
    discussion: """
      Examples:
        dpm-evaluate runs/NAME/checkpoints/epoch-0100.safetensors
        dpm-evaluate runs/NAME                      the run's newest checkpoint
        mpirun -n 2 dpm-evaluate CHECKPOINT --split both --json
        dpm-evaluate CHECKPOINT --exact --images 100 --per-step steps.csv

      K - L_null is the bound above the likelihood under N(0, I), in bits/pixel:
      higher is better, -J of the training's log. Beside it stand what trivial
      models reach on the same data, and the ceiling that the fixed first step
      leaves.
      """,
    version: DPM.version)

  @Argument(
    help: ArgumentHelp("A checkpoint, or a run's folder: its newest one.", valueName: "checkpoint"),
    completion: .file(extensions: ["safetensors"]))
  var checkpoint: String
  @Option(help: "Which images: test, train or both.", completion: .list(["test", "train", "both"]))
  var split = "test"
  @Option(
    name: names("data-dir"),
    help: ArgumentHelp("The folder with the data set; else the one trained on, or DPM_DATA_DIR.", valueName: "folder"),
    completion: .directory)
  var dataDir: String?
  @Flag(help: "Download nothing.")
  var offline = false
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How many images, the first of the set; all if not given.", valueName: "count"))
  var images: Int?
  @Option(
    name: names("standard-error"), parsing: .unconditional,
    help: ArgumentHelp("Draw further t until the standard error is at most this.", valueName: "bits/pixel"))
  var standardError: Double?
  @Flag(help: "Compute every t in place of drawn ones: T - 1 times a round's work.")
  var exact = false
  @Option(parsing: .unconditional, help: "Threads of a rank; else one, or alone one on each core.")
  var threads: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long a rank waits for the others before it ends the job.", valueName: "seconds"))
  var timeout = 300
  @Option(parsing: .unconditional, help: "What times and noise are keyed by.")
  var seed: UInt64 = 1
  @Option(name: names("per-image"), help: ArgumentHelp("Write each image's bound.", valueName: "file.csv"))
  var perImage: String?
  @Option(
    name: names("per-step"),
    help: ArgumentHelp("Write the bound's terms by t, and a plot beside.", valueName: "file.csv"))
  var perStep: String?
  @Flag(help: "Replace files that exist.")
  var force = false
  @Flag(help: "Print one JSON object.")
  var json = false

  /// What the options come to.
  struct Plan {
    var request: BoundRequest
    var isJSON: Bool
    var timeout: Duration
  }

  func plan() throws -> Plan {
    guard let split = BoundRequest.Split(rawValue: split) else {
      throw InputError("--split", found: "\"\(split)\"", expected: "test, train or both")
    }
    var request = BoundRequest(checkpoint: checkpoint)
    request.split = split
    request.dataFolder = dataDir
    request.isOffline = offline
    request.images = images
    request.standardError = standardError
    request.isExact = exact
    request.threads = threads
    request.seed = seed
    request.perImageFile = perImage
    request.perStepFile = perStep
    request.overwrites = force
    try request.validate()
    return try Plan(request: request, isJSON: json, timeout: Self.timeout(seconds: timeout))
  }

  static func timeout(of plan: Plan) -> Duration { plan.timeout }

  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    let terminal = Terminal()
    let reports = try BoundEvaluation(plan.request).run(
      on: communicator, console: plan.isJSON ? terminal.console(printing: false) : terminal.console())
    terminal.clear()
    try communicator.onRankZero("print the bound") {
      try StandardOutput.print(
        plan.isJSON ? try jsonLine(Reports(reports)) : reports.map(\.text).joined(separator: "\n"))
      try terminal.requirePrinted()
    }
    return ExitStatus.success
  }

  static func main() { start() }
}

/// One object: the first set's numbers, a second set's under its name.
private struct Reports: Encodable {
  let reports: [BoundReport]

  init(_ reports: [BoundReport]) { self.reports = reports }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    try reports.first?.encode(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    for report in reports.dropFirst() { try values.encode(report, forKey: Key(stringValue: report.split)) }
  }
}
