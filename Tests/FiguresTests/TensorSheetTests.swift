import Foundation
import TestSupport
import Testing

@testable import Figures

@Suite struct TensorSheetTests {
  private func card(_ values: [Float], shape: [Int], layout: TensorCard.Layout? = nil) -> TensorCard {
    values.withUnsafeBufferPointer { TensorCard("t", shape: shape, values: $0, layout: layout) }
  }

  @Test("zero is white, negative blue, positive red, in equal steps; what is not finite is grey")
  func colors() {
    #expect(TensorCard.color(0, limit: 2) == [255, 255, 255])
    #expect(TensorCard.color(2, limit: 2) == [191, 72, 0] && TensorCard.color(9, limit: 2) == [191, 72, 0])
    #expect(TensorCard.color(-2, limit: 2) == [0, 84, 148])
    #expect(TensorCard.color(-1, limit: 2) == [127, 169, 201])
    #expect(TensorCard.color(.nan, limit: 2) == [120, 120, 120])
  }

  @Test("an outlier among a thousand stretches neither the colours nor the distribution")
  func outlier() {
    let values = (0..<4000).map { Float($0 % 200) / 100 - 1 } + [50]
    let card = card(values, shape: [4001])
    #expect(card.limit > 0.9 && card.limit < 1.1)
    #expect(abs(card.histogram.reduce(0, +) - 1) < 1e-9)
    // Even between its ends, but for the fine parts that it is made from.
    #expect(card.histogram[8..<56].allSatisfy { $0 > 0 && $0 < 0.04 })
    #expect(card.statistics.contains("largest 50"))
    #expect(self.card([.nan, 1, .infinity], shape: [3]).statistics.contains("NOT FINITE: 2"))
    #expect(self.card([0, 0], shape: [2]).limit == 1)
  }

  @Test(
    "the largest and the smallest numbers there are have a card",
    arguments: [Float.greatestFiniteMagnitude, .leastNonzeroMagnitude])
  func extremes(_ largest: Float) {
    let card = card([largest, 0, -largest], shape: [1, 3])
    #expect(abs(card.histogram.reduce(0, +) - 1) < 1e-9 && card.limit > 0 && card.limit.isFinite)
    #expect(card.rgb == [191, 72, 0, 255, 255, 255, 0, 84, 148])
  }

  @Test("filters stand in a column for each output, a row for each input; large matrices are thinned")
  func layouts() {
    // 2 outputs, 3 inputs: filter (o, i) is 10·o + i + 1 everywhere.
    let filters = (0..<2).flatMap { o in (0..<3).flatMap { i in [Float](repeating: Float(10 * o + i + 1), count: 9) } }
    let bank = card(filters, shape: [2, 3, 3, 3])
    #expect(bank.columns == 7 && bank.rows == 11)
    func pixel(_ x: Int, _ y: Int) -> [UInt8] { Array(bank.rgb[3 * (y * 7 + x)..<3 * (y * 7 + x) + 3]) }
    #expect(pixel(5, 9) == TensorCard.color(13, limit: Float(bank.limit)))
    #expect(pixel(0, 4) == TensorCard.color(2, limit: Float(bank.limit)))
    #expect(pixel(3, 0) == [255, 255, 255])
    let matrix = card([Float](repeating: 1, count: 600 * 300), shape: [600, 300])
    #expect(matrix.rows == 200 && matrix.columns == 150)
    let images = card(
      [Float](repeating: 1, count: 500 * 784), shape: [500, 784], layout: .images(colors: 1, width: 28))
    #expect(images.columns == 8 * 29 - 1 && images.rows == 8 * 29 - 1)
    let coloured = card([Float](repeating: -1, count: 5 * 12), shape: [5, 12], layout: .images(colors: 3, width: 2))
    // Five tiles in two columns: the sixth place stays white.
    #expect(coloured.columns == 5 && coloured.rows == 8 && coloured.rgb.prefix(3) == [0, 0, 0])
    #expect(coloured.rgb.suffix(3) == [255, 255, 255])
  }

  @Test("a sheet with cards and a chart is written as a picture and as a PDF")
  func written() throws {
    let folder = try TemporaryFolder()
    let cards = (1...9).map { card((0..<$0 * 40).map { Float($0) }, shape: [$0, 40]) }
    let chart = LineChart(
      title: "", xLabel: "epoch",
      panels: [
        .init("norm", series: (0..<9).map { .init("\($0)", points: [(1, 0), (2, Double($0))]) }, isLogarithmic: true)
      ])
    for name in ["sheet.png", "sheet.pdf"] {
      try TensorSheet(title: "sheet", cards: cards, chart: chart).write(to: folder.file(name))
      #expect(try folder.bytes(name).count > 1000)
    }
  }
}
