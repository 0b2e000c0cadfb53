internal import Figures
internal import Foundation
internal import Tensors

/// The figures of a run's progress over its epochs, from what the metrics hold.
enum ProgressFigure {
  /// Objectives beside what they are to be compared with, learning rate, size of gradient and update.
  static func chart(_ metrics: [Metrics], untrained: [Metrics], title: String) -> LineChart {
    let tests = (untrained + metrics).filter { $0.testObjective != nil }
    let levels = tests.last { $0.yardstick != nil }?.yardstick?.levels
    func curve(_ value: (StepNorms) -> Double) -> [(Double, Double)] {
      metrics.compactMap { line in line.norms.map { (Double(line.epoch), value($0)) } }
    }
    return LineChart(
      title: title, xLabel: "epoch", hasWholeX: true,
      panels: [
        .init(
          "objective J (bits/pixel)",
          series: [
            .init("training", points: metrics.map { (Double($0.epoch), $0.trainObjective) }),
            .init(
              "test", points: tests.map { (Double($0.epoch), $0.testObjective ?? .nan) },
              errors: tests.map { $0.testStandardError ?? .nan }, hasMarks: true),
          ], levels: levels ?? [(0, "white noise")], weight: 1.5),
        .init(
          "learning rate", series: [.init("", points: metrics.map { (Double($0.epoch), $0.learningRate) })],
          weight: 0.5),
        .init(
          "gradient ‖g‖", series: [.init("", points: curve(\.gradient))], weight: 0.5,
          isLogarithmic: true),
        .init(
          "update ‖Δθ‖/‖θ‖", series: [.init("", points: curve(\.updateRatio))], weight: 0.5,
          isLogarithmic: true),
      ])
  }

  /// Norms of each layer's gradient, and of its update for each unit of its parameters.
  static func layers(_ metrics: [Metrics], title: String) -> LineChart {
    LineChart(
      title: title, xLabel: "epoch", hasWholeX: true,
      panels: [
        .init("gradient ‖g‖ by layer", series: series(metrics, \.gradients), isLogarithmic: true),
        .init("update ‖Δθ‖/‖θ‖ by layer", series: series(metrics, \.updateRatios), isLogarithmic: true),
      ])
  }

  /// The first of these alone.
  static func layerGradients(_ metrics: [Metrics]) -> LineChart {
    var chart = layers(metrics, title: "")
    chart.panels.removeLast()
    return chart
  }

  /// A curve for each layer.
  static func series(
    _ metrics: [Metrics], _ values: (StepNorms) -> [String: Double]
  ) -> [LineChart.Series] {
    let norms = metrics.compactMap { line in line.norms.map { (epoch: Double(line.epoch), values: values($0)) } }
    let layers = Set(norms.flatMap(\.values.keys)).sorted { $0.compare($1, options: .numeric) == .orderedAscending }
    return layers.map { layer in .init(layer, points: norms.map { ($0.epoch, $0.values[layer] ?? .nan) }) }
  }
}
