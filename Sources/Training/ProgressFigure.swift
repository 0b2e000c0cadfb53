internal import Figures
internal import Tensors

/// The figure of a run's progress: objectives and learning rate over the epochs.
enum ProgressFigure {
  /// Draws what the metrics hold.
  ///
  /// - Throws: `InputError` where the file cannot be written.
  static func draw(_ metrics: [Metrics], title: String, to path: String) throws(InputError) {
    let tests = metrics.filter { $0.testObjective != nil }
    let chart = LineChart(
      title: title, xLabel: "epoch",
      panels: [
        .init(
          "objective J (bits/pixel)",
          series: [
            .init("training", points: metrics.map { (Double($0.epoch), $0.trainObjective) }),
            .init(
              "test", points: tests.map { (Double($0.epoch), $0.testObjective ?? .nan) },
              errors: tests.map { $0.testStandardError ?? .nan }, hasMarks: true),
          ], levels: [(0, "white noise")], weight: 1.4),
        .init(
          "learning rate", series: [.init("", points: metrics.map { (Double($0.epoch), $0.learningRate) })],
          weight: 0.6),
      ])
    try chart.write(to: path)
  }
}
