import Foundation
import Tensors
import TestSupport
import Testing

@testable import Figures

@Suite struct AxisTests {
  @Test("ticks are round, inside, evenly spaced and not too many", arguments: 0..<400)
  func ticks(_ seed: Int) {
    let random = CounterRandom(seed: UInt64(seed), purpose: .time, step: 0)
    let scale = pow(10, 12 * random.uniform(index: 0, element: 0) - 6)
    let lower = (random.uniform(index: 0, element: 1) - 0.5) * scale * 4
    let upper = lower + random.uniform(index: 0, element: 2) * scale
    let axis = Axis(covering: lower...upper)
    #expect(axis.range.lowerBound <= lower && axis.range.upperBound >= upper)
    #expect((2...13).contains(axis.ticks.count))
    let step = axis.ticks[1] - axis.ticks[0]
    let mantissa = step / pow(10, floor(log10(step * 1.0000001)))
    #expect([1, 2, 5, 10].contains { abs($0 - mantissa) < 1e-6 * mantissa })
    for tick in axis.ticks {
      #expect(axis.range.contains(tick))
      #expect(abs((tick / step).rounded() - tick / step) < 1e-6)
    }
    #expect(Set(axis.ticks.map(axis.label)).count == axis.ticks.count)
  }

  @Test(
    "epochs are whole",
    arguments: [(1.0...2.0, [1.0, 2]), (1...1, [1]), (1...40, [10, 20, 30, 40])])
  func wholeTicks(_ values: ClosedRange<Double>, _ ticks: [Double]) {
    #expect(Axis(covering: values, count: 8, margin: 0.02, isWhole: true).ticks == ticks)
  }

  @Test("ticks' labels have as many digits as the ticks differ in")
  func labels() {
    let axis = Axis(covering: 1.9e-3...2e-3, count: 3)
    #expect(axis.ticks.map(axis.label) == ["0.00190", "0.00195", "0.00200"])
  }

  @Test("logarithmic ticks are round, inside and not too many", arguments: 0..<200)
  func logarithmic(_ seed: Int) {
    let random = CounterRandom(seed: UInt64(seed), purpose: .time, step: 1)
    let lower = pow(10, 12 * random.uniform(index: 0, element: 0) - 6)
    let upper = lower * pow(10, 9 * pow(random.uniform(index: 0, element: 1), 3))
    let axis = Axis(logarithmicCovering: lower...upper, count: 5)
    #expect(axis.range.lowerBound < lower && axis.range.upperBound > upper)
    #expect((2...5).contains(axis.ticks.count), "\(lower) \(upper): \(axis.ticks)")
    #expect(axis.ticks == axis.ticks.sorted() && axis.ticks.allSatisfy(axis.range.contains))
    #expect(axis.fraction(axis.range.lowerBound) == 0 && abs(axis.fraction(axis.range.upperBound) - 1) < 1e-12)
    #expect(abs(axis.fraction((lower * upper).squareRoot()) - (axis.fraction(lower) + axis.fraction(upper)) / 2) < 1e-9)
  }

  @Test(
    "a single value gets an axis around it, in proportion to it, and a tick that tells it",
    arguments: [(0.0, "0"), (-3, "−3"), (1e-9, "1e-09"), (1e8, "1e+08"), (1e-3, "0.001"), (3412.71, "3412.71")])
  func singleValue(_ value: Double, _ label: String) {
    let axis = Axis(covering: value...value)
    #expect(axis.range.lowerBound < value && axis.range.upperBound > value)
    #expect(axis.range.upperBound - axis.range.lowerBound < (value == 0 ? 2 : abs(value)))
    #expect(axis.ticks == [value] && axis.ticks.map(axis.label) == [label])
  }
}

@Suite struct ImageGridTests {
  @Test("grey levels are the data's, clipped and never stretched")
  func levels() {
    #expect([0, 0.5, 1, -1, 7, .nan].map { ImageGrid.level(of: $0) } == [0, 128, 255, 0, 255, 0])
  }

  @Test("49 images make a 7 × 7 picture of the size that its parts add up to")
  func size() throws {
    let grid = ImageGrid(
      images: [Float](repeating: 0.5, count: 49 * 28 * 28), colors: 1, width: 28, caption: "a caption")
    #expect(grid.columns == 7 && grid.rows == 7)
    try inTemporaryFolder { folder in
      let path = folder + "/grid.png"
      try grid.write(toPNG: path)
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      #expect(bytes.prefix(8) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
      func number(_ offset: Int) -> Int { bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }
      #expect(number(16) == (7 * 29 + 1) * grid.magnification)
      #expect(number(20) == (7 * 29 + 1) * grid.magnification + 24)
      let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(files == ["grid.png"])
    }
  }

  @Test("a folder that is not there is told in one line, and nothing is left behind")
  func missingFolder() throws {
    try inTemporaryFolder { folder in
      let grid = ImageGrid(images: [Float](repeating: 0, count: 12), colors: 3, width: 2)
      let error = #expect(throws: InputError.self) { try grid.write(toPNG: folder + "/none/grid.png") }
      #expect(error?.description.contains("none/grid.png") == true)
      let chart = LineChart(title: "", xLabel: "", panels: [])
      #expect(throws: InputError.self) { try chart.write(to: folder + "/none/chart.pdf") }
      let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(files.isEmpty)
    }
  }
}

@Suite struct LineChartTests {
  @Test("charts of no, one and many points, gaps and outliers are written", arguments: [0, 1, 3, 1000])
  func points(_ count: Int) throws {
    try inTemporaryFolder { folder in
      var points = (0..<count).map { (x: Double($0), y: -2 - Double($0) / 1000) }
      if count > 500 {
        points[7].y = .nan
        points[500].y = 300
      }
      let chart = LineChart(
        title: "progress", xLabel: "epoch",
        panels: [
          .init(
            "objective",
            series: [.init("training", points: points, errors: [.nan]), .init("empty", points: [])],
            levels: [(0, "zero"), (.infinity, "nowhere")])
        ])
      for name in ["chart.png", "chart.pdf"] {
        try chart.write(to: folder + "/" + name)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))
        #expect(bytes.count > 1000)
      }
    }
  }
}

/// Runs `body` with the path of a folder that is removed afterwards.
private func inTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = try TemporaryFolder()
  try body(folder.path)
}
