internal import Foundation
public import Tensors

/// Curves over a common horizontal axis, in one panel or several above each other: training progress.
public struct LineChart: Sendable {
  /// One curve.
  public struct Series: Sendable {
    /// What the legend calls it.
    public var name: String
    /// Points in order; those that are not finite leave a gap.
    public var points: [(x: Double, y: Double)]
    /// Half lengths of error bars, one a point; empty for none.
    public var errors: [Double]
    /// Whether points get a mark.
    public var hasMarks: Bool

    /// A curve.
    public init(_ name: String, points: [(x: Double, y: Double)], errors: [Double] = [], hasMarks: Bool = false) {
      self.name = name
      self.points = points
      self.errors = errors
      self.hasMarks = hasMarks
    }
  }

  /// Curves over a vertical axis of their own.
  public struct Panel: Sendable {
    /// The vertical axis's quantity and unit.
    public var label: String
    /// The curves.
    public var series: [Series]
    /// Horizontal lines with their names.
    public var levels: [(y: Double, name: String)]
    /// The panel's share of the height.
    public var weight: Double
    /// Whether the axis is logarithmic; values that are not positive leave gaps then.
    public var isLogarithmic: Bool
    /// Whether the axis reaches the wildest hundredth of the values too; a logarithmic one does.
    public var showsOutliers: Bool

    /// A panel.
    public init(
      _ label: String, series: [Series], levels: [(y: Double, name: String)] = [], weight: Double = 1,
      isLogarithmic: Bool = false, showsOutliers: Bool = false
    ) {
      self.label = label
      self.series = series
      self.levels = levels
      self.weight = weight
      self.isLogarithmic = isLogarithmic
      self.showsOutliers = showsOutliers || isLogarithmic
    }
  }

  /// The line above the panels.
  public var title: String
  /// The horizontal axis's quantity and unit.
  public var xLabel: String
  /// From top to bottom.
  public var panels: [Panel]
  /// Whether the horizontal axis has whole numbers only.
  private let hasWholeX: Bool

  /// A chart of panels.
  public init(title: String, xLabel: String, hasWholeX: Bool = false, panels: [Panel]) {
    self.title = title
    self.xLabel = xLabel
    self.hasWholeX = hasWholeX
    self.panels = panels
  }

  private struct Frame {
    var left, top, width, height: Double
    var x, y: Axis

    func place(_ point: (x: Double, y: Double)) -> (x: Double, y: Double) {
      (left + x.fraction(point.x) * width, top + (1 - y.fraction(point.y)) * height)
    }

    func isShown(_ point: (x: Double, y: Double)) -> Bool {
      point.x.isFinite && point.y.isFinite && (!y.isLogarithmic || point.y > 0)
    }
  }

  /// Writes the chart: a PDF where `path` ends in `.pdf`, else a PNG.
  ///
  /// - Throws: `InputError` where the file cannot be written.
  public func write(to path: String) throws(InputError) {
    let (width, height) = (780.0, 140 + 260 * panels.reduce(0) { $0 + $1.weight })
    let canvas = try Canvas(path: path, width: width, height: height)
    draw(on: canvas, x: 0, y: 0, width: width, height: height)
    try canvas.finish()
  }

  /// Draws the chart into a rectangle of a larger figure.
  func draw(on canvas: Canvas, x: Double, y: Double, width: Double, height: Double) {
    canvas.text(title, x: x + 74, y: y + 30, size: 14)
    let xs = panels.flatMap(\.series).flatMap(\.points).map(\.x).filter(\.isFinite)
    let xAxis = Axis(covering: (xs.min() ?? 0)...(xs.max() ?? 1), count: 8, margin: 0.02, isWhole: hasWholeX)
    let gap = 26.0
    let right = panels.contains(where: \.hasLegendBeside) ? 140.0 : 24
    let available = height - 50 - 52 - gap * Double(panels.count - 1)
    var top = y + 50
    for (index, panel) in panels.enumerated() {
      let share = available * panel.weight / panels.reduce(0) { $0 + $1.weight }
      let range = Self.verticalRange(panel)
      let ticks = max(3, Int(share / 45))
      let frame = Frame(
        left: x + 74, top: top, width: width - 74 - right, height: share, x: xAxis,
        y: panel.isLogarithmic
          ? Axis(logarithmicCovering: range, count: ticks) : Axis(covering: range, count: ticks))
      draw(panel, in: frame, hasTickLabels: index == panels.count - 1, on: canvas)
      top += share + gap
    }
    canvas.text(xLabel, x: x + 74 + (width - 74 - right) / 2, y: y + height - 14, size: 12, anchor: .center)
  }

  /// What a panel's axis spans: all but the wildest hundredth of the values, so that one step's outlier hides nothing, unless
  /// they are to be shown.
  private static func verticalRange(_ panel: Panel) -> ClosedRange<Double> {
    let values = panel.series.flatMap { series in
      series.points.indices.flatMap { index -> [Double] in
        let error = index < series.errors.count && series.errors[index].isFinite ? series.errors[index] : 0
        return [series.points[index].y - error, series.points[index].y + error]
      }
    }.filter { $0.isFinite && (!panel.isLogarithmic || $0 > 0) }.sorted()
    let levels = panel.levels.map(\.y).filter(\.isFinite)
    guard !values.isEmpty else {
      return panel.isLogarithmic ? 0.1...10 : (levels.min() ?? 0)...(levels.max() ?? 1)
    }
    let cut = values.count >= 100 && !panel.showsOutliers ? values.count / 100 : 0
    let kept = [values[cut], values[values.count - 1 - cut]] + levels
    return (kept.min() ?? 0)...(kept.max() ?? 1)
  }

  private func draw(_ panel: Panel, in frame: Frame, hasTickLabels: Bool, on canvas: Canvas) {
    let bottom = frame.top + frame.height
    for tick in frame.y.ticks {
      let y = frame.place((frame.x.range.lowerBound, tick)).y
      canvas.line([(frame.left, y), (frame.left + frame.width, y)], .faint, width: 0.8)
      canvas.text(frame.y.label(tick), x: frame.left - 7, y: y + 4, size: 10.5, anchor: .right)
    }
    for tick in frame.x.ticks {
      let x = frame.place((tick, frame.y.range.lowerBound)).x
      canvas.line([(x, frame.top), (x, bottom)], .faint, width: 0.8)
      if hasTickLabels { canvas.text(frame.x.label(tick), x: x, y: bottom + 16, size: 10.5, anchor: .center) }
    }
    canvas.clipped(x: frame.left, y: frame.top, width: frame.width, height: frame.height) {
      var above = -Double.infinity
      for level in panel.levels.filter({ $0.y.isFinite }).sorted(by: { $0.y > $1.y }) {
        let y = frame.place((frame.x.range.lowerBound, level.y)).y
        canvas.line([(frame.left, y), (frame.left + frame.width, y)], .ink, width: 0.9, dashes: [5, 3])
        // Two levels side by side: one name above, the other below.
        let baseline = y - 4 - above < 12 ? y + 12 : y - 4
        canvas.text(level.name, x: frame.left + frame.width - 6, y: baseline, size: 10, anchor: .right)
        above = baseline
      }
      for (index, series) in panel.series.enumerated() { draw(series, Style(index), in: frame, on: canvas) }
    }
    canvas.line(
      [(frame.left, frame.top), (frame.left, bottom), (frame.left + frame.width, bottom)], .ink, width: 1)
    canvas.text(panel.label, x: 15, y: frame.top + frame.height / 2, size: 12, anchor: .center, turned: true)
    drawLegend(panel, in: frame, on: canvas)
  }

  /// How a panel's curves are told apart: by colour, then by dashes.
  private struct Style {
    let color: Color
    let dashes: [Double]

    init(_ index: Int) {
      color = Color.palette[index % Color.palette.count]
      dashes = [[], [6, 3], [2, 2]][index / Color.palette.count % 3]
    }
  }

  private func draw(_ series: Series, _ style: Style, in frame: Frame, on canvas: Canvas) {
    let color = style.color
    var run: [(x: Double, y: Double)] = []
    func endRun() {
      if run.count > 1 { canvas.line(run, color, width: 1.6, dashes: style.dashes) }
      if run.count == 1 && !series.hasMarks { canvas.dot(x: run[0].x, y: run[0].y, radius: 2.6, color) }
      run = []
    }
    for (index, point) in series.points.enumerated() {
      guard frame.isShown(point) else {
        endRun()
        continue
      }
      let place = frame.place(point)
      run.append(place)
      if index < series.errors.count, series.errors[index].isFinite {
        let ends = [-1.0, 1].map { frame.place((point.x, point.y + $0 * series.errors[index])) }
        canvas.line(ends, color, width: 1)
      }
      if series.hasMarks { canvas.dot(x: place.x, y: place.y, radius: 2.8, color) }
    }
    endRun()
  }

  /// Names above the panel's right end, where no curve can be; of many curves in a column beside it.
  private func drawLegend(_ panel: Panel, in frame: Frame, on canvas: Canvas) {
    guard panel.series.count > 1 else { return }
    var right = frame.left + frame.width
    if panel.hasLegendBeside {
      for (index, series) in panel.series.enumerated() {
        let (style, y) = (Style(index), frame.top + 8 + 15 * Double(index))
        canvas.line([(right + 10, y - 4), (right + 28, y - 4)], style.color, width: 2, dashes: style.dashes)
        canvas.text(series.name, x: right + 33, y: y, size: 10.5)
      }
      return
    }
    for (index, series) in panel.series.enumerated().reversed() {
      canvas.text(series.name, x: right, y: frame.top - 8, size: 11, anchor: .right)
      right -= canvas.textWidth(series.name) + 6
      let style = Style(index)
      canvas.line([(right - 18, frame.top - 12), (right, frame.top - 12)], style.color, width: 2, dashes: style.dashes)
      right -= 18 + 16
    }
  }
}

extension LineChart.Panel {
  /// Whether the curves' names would not fit above the panel.
  fileprivate var hasLegendBeside: Bool { series.count > 4 }
}
