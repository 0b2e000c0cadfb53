internal import Figures
internal import Foundation
internal import Reports
internal import Tensors

/// What a run's page shows beside what lies in the run's folder; a value that rank 0 hands to its background thread.
struct RunPage: Sendable {
  /// What a session's time went into, in seconds of rank 0.
  struct Phases: Sendable {
    var computing = 0.0
    var waiting = 0.0
    var evaluating = 0.0
    var sampling = 0.0
    var checkpoints = 0.0
  }

  /// What a rank did in the last epoch.
  struct Rank: Sendable {
    var host: String
    var cores: Int
    var threads: Int
    var waitingSeconds: Double
    var communicationSeconds: Double
    var peakBytes: Int
  }

  let folder: RunFolder
  let configuration: Configuration
  /// The lines that a run begins with, name and text.
  var facts: [(name: String, text: String)] = []
  var status = ""
  var phases = Phases()
  var ranks: [Rank] = []
  /// Seconds of the last epoch.
  var epochSeconds = 0.0
  /// Processor time of drawing so far.
  var drawingSeconds = 0.0

  init(folder: RunFolder, configuration: Configuration) {
    self.folder = folder
    self.configuration = configuration
  }

  /// Writes `report.html`, whole or not at all.
  ///
  /// - Throws: `InputError` where the metrics or a figure cannot be read, or the page cannot be written.
  func write() throws(InputError) {
    let metrics = try folder.metrics.read()
    let tests = try (folder.untrained.read() + metrics).filter { $0.testObjective != nil }
    var page = ReportPage()
    page.title = URL(fileURLWithPath: folder.path).lastPathComponent
    page.status = status
    page.written = Date().formatted(Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space))
    page.headlines = headlines(metrics, tests)
    if let tested = tests.last, let objective = tested.testObjective {
      let levels = tested.yardstick?.levels.map { ReportPage.Level($0.name, $0.y) } ?? []
      page.scale = levels + [ReportPage.Level("this model", objective)]
    }
    page.charts = Self.charts(metrics, tests)
    page.figures = try RunPageFigures(folder: folder).figures()
    page.timing = [
      .init("training", phases.computing), .init("waiting for other ranks", phases.waiting),
      .init("test bounds", phases.evaluating), .init("samples", phases.sampling),
      .init("checkpoints", phases.checkpoints),
      .init("drawing, beside the rest at low priority", drawingSeconds, isBeside: true),
    ]
    page.ranks = rankTable
    page.facts = facts.map { ReportPage.Fact($0.name, $0.text) }
    page.configuration = configuration.yaml
    try AtomicFile.write(page.html, to: folder.pagePath)
  }

  private func headlines(_ metrics: [Metrics], _ tests: [Metrics]) -> [ReportPage.Fact] {
    guard let last = metrics.last else { return [] }
    func text(_ value: Double) -> String { value.isFinite ? String(format: "%.4f", value) : "not finite" }
    var facts = [
      ReportPage.Fact("epoch", "\(last.epoch) of \(configuration.training.epochs)"),
      ReportPage.Fact("training J, bits/pixel", text(last.trainObjective)),
    ]
    if let tested = tests.last, let objective = tested.testObjective {
      let error = tested.testStandardError.flatMap { $0.isFinite ? " ± " + text($0) : nil }
      facts.append(.init("test J after epoch \(tested.epoch)", text(objective) + (error ?? "")))
    }
    facts.append(.init("images/s", String(format: "%.0f", last.imagesPerSecond)))
    facts.append(.init("an epoch", String(format: "%.1f s", last.seconds)))
    if last.badSteps > 0 { facts.append(.init("steps with a gradient not finite", "\(last.badSteps)")) }
    return facts
  }

  private static func charts(_ metrics: [Metrics], _ tests: [Metrics]) -> [ReportPage.Chart] {
    let epochs = metrics.map { Double($0.epoch) }
    let levels = tests.last { $0.yardstick != nil }?.yardstick?.levels ?? [(0, "white noise")]
    let watched = metrics.filter { $0.norms != nil }
    func curve(_ value: (StepNorms) -> Double) -> [ReportPage.Series] {
      [.init("all layers", x: watched.map { Double($0.epoch) }, y: watched.compactMap { $0.norms.map(value) })]
    }
    func layers(_ values: (StepNorms) -> [String: Double]) -> [ReportPage.Series] {
      ProgressFigure.series(metrics, values).map { .init($0.name, x: $0.points.map(\.x), y: $0.points.map(\.y)) }
    }
    return [
      .init(
        "objective J (bits/pixel)",
        series: [
          .init("training", x: epochs, y: metrics.map(\.trainObjective)),
          .init(
            "test", x: tests.map { Double($0.epoch) }, y: tests.map { $0.testObjective ?? .nan },
            errors: tests.map { $0.testStandardError ?? .nan }),
        ], levels: levels.map { .init($0.name, $0.y) }),
      .init("learning rate", series: [.init("learning rate", x: epochs, y: metrics.map(\.learningRate))]),
      .init("speed (images/s)", series: [.init("images/s", x: epochs, y: metrics.map(\.imagesPerSecond))]),
      .init("gradient norm ‖g‖", series: curve(\.gradient), isLogarithmic: true),
      .init("update-to-parameter ratio ‖Δθ‖/‖θ‖", series: curve(\.updateRatio), isLogarithmic: true),
      .init("gradient norm by layer", series: layers(\.gradients), isLogarithmic: true),
      .init("update-to-parameter ratio by layer", series: layers(\.updateRatios), isLogarithmic: true),
    ]
  }

  private var rankTable: ReportPage.Table {
    func seconds(_ value: Double) -> String { String(format: "%.2f s", value) }
    return ReportPage.Table(
      heads: [
        "rank", "host", "cores", "threads", "last epoch", "computing", "waiting", "communication", "peak memory",
      ],
      rows: ranks.enumerated().map { number, rank in
        [
          "\(number)", rank.host, "\(rank.cores)", "\(rank.threads)", seconds(epochSeconds),
          seconds(epochSeconds - rank.waitingSeconds), seconds(rank.waitingSeconds),
          seconds(rank.communicationSeconds), "\(rank.peakBytes >> 20) MiB",
        ]
      })
  }
}
