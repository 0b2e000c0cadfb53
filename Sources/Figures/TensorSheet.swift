internal import Foundation
public import Tensors

/// A figure of many tensors, a card each, and a chart below them: parameters, gradients.
public struct TensorSheet: Sendable {
  /// The line above the cards.
  public var title: String
  /// From left to right, each where the sheet is shortest.
  public var cards: [TensorCard]
  /// Below the cards; nil for none.
  public var chart: LineChart?

  /// A sheet of cards.
  public init(title: String, cards: [TensorCard], chart: LineChart? = nil) {
    self.title = title
    self.cards = cards
    self.chart = chart
  }

  private static let cardWidth = 262.0
  private static let gap = 20.0
  private static let columns = 4
  private static let histogramHeight = 44.0

  private static func magnification(_ card: TensorCard) -> Double {
    max(1, min(cardWidth / Double(card.columns), cardWidth / Double(card.rows), 12).rounded(.down))
  }

  private static func height(_ card: TensorCard) -> Double {
    34 + Double(card.rows) * magnification(card) + 8 + histogramHeight + 16
  }

  /// Writes the sheet: a PDF where `path` ends in `.pdf`, else a PNG.
  ///
  /// - Throws: `InputError` where the file cannot be written.
  public func write(to path: String) throws(InputError) {
    var bottoms = [Double](repeating: 48, count: Self.columns)
    let places = cards.map { card in
      let column = bottoms.indices.min { bottoms[$0] < bottoms[$1] } ?? 0
      defer { bottoms[column] += Self.height(card) + Self.gap }
      return (x: Self.gap + Double(column) * (Self.cardWidth + Self.gap), y: bottoms[column])
    }
    let width = Self.gap + Double(Self.columns) * (Self.cardWidth + Self.gap)
    let bottom = bottoms.max() ?? 48
    // Every curve's name needs a line.
    let chartHeight = chart.map { 120 + Double(max(16, $0.panels.map(\.series.count).max() ?? 0)) * 15 } ?? 0
    let canvas = try Canvas(path: path, width: width, height: bottom + chartHeight, resolution: 1)
    canvas.text(title, x: Self.gap, y: 28, size: 14)
    for (card, place) in zip(cards, places) { draw(card, x: place.x, y: place.y, on: canvas) }
    chart?.draw(on: canvas, x: 0, y: bottom, width: width, height: chartHeight)
    try canvas.finish()
  }

  private func draw(_ card: TensorCard, x: Double, y: Double, on canvas: Canvas) {
    canvas.text(card.title, x: x, y: y + 11, size: 11)
    canvas.text(card.statistics, x: x, y: y + 25, size: 9.5)
    let scale = Self.magnification(card)
    let (width, height) = (Double(card.columns) * scale, Double(card.rows) * scale)
    canvas.rectangle(x: x - 1, y: y + 33, width: width + 2, height: height + 2, .faint)
    canvas.pixels(card.rgb, columns: card.columns, rows: card.rows, x: x, y: y + 34, magnification: scale)
    let top = y + 34 + height + 8
    let bar = Self.cardWidth / Double(card.histogram.count)
    let most = max(card.histogram.max() ?? 0, 1e-12)
    for (index, share) in card.histogram.enumerated() where share > 0 {
      let length = Self.histogramHeight * share / most
      canvas.rectangle(
        x: x + Double(index) * bar, y: top + Self.histogramHeight - length, width: bar * 0.9, height: length,
        Color.palette[index < card.histogram.count / 2 ? 0 : 1])
    }
    let base = top + Self.histogramHeight
    canvas.line([(x, base), (x + Self.cardWidth, base)], .ink, width: 0.8)
    canvas.text("-" + TensorCard.text(card.limit), x: x, y: base + 11, size: 9)
    canvas.text("0", x: x + Self.cardWidth / 2, y: base + 11, size: 9, anchor: .center)
    canvas.text(TensorCard.text(card.limit), x: x + Self.cardWidth, y: base + 11, size: 9, anchor: .right)
  }
}
