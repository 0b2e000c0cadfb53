import Foundation
import KernelInterface
import Network
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct OptimizerTests {
  @Test(
    "four golden RMSProp updates, an infinite and a NaN gradient among them",
    arguments: KernelChoice.available().map(\.name))
  func golden(_ name: String) throws {
    let file = try GoldenFile("rmsprop")
    let kernels = try KernelChoice.kernels(requested: name)
    for tensor in ["a", "b"] {
      let start = try file.doubles("p0.\(tensor)")
      let parameters = FloatBuffer(count: start.count)
      for index in start.indices { parameters[index] = Float(start[index]) }
      let meanSquare = FloatBuffer(count: start.count)
      let gradient = FloatBuffer(count: start.count)
      for step in 0..<4 {
        for (index, value) in try file.doubles("g\(step).\(tensor)").enumerated() { gradient[index] = Float(value) }
        let isFinite = kernels.isFinite(gradient.pointer, count: gradient.count)
        kernels.rmsProp(
          parameters: parameters.pointer, gradient: isFinite ? UnsafePointer(gradient.pointer) : nil,
          meanSquare: meanSquare.pointer, count: start.count, learningRate: Float(try file.number("lr")),
          decay: Float(try file.number("decay")), floor: Float(try file.number("floor")))
        let tolerance = try file.tolerance()
        #expect(
          relativeDistance(parameters.elements.map(Double.init), try file.doubles("p\(step + 1).\(tensor)")) < tolerance
        )
        #expect(
          relativeDistance(meanSquare.elements.map(Double.init), try file.doubles("v\(step + 1).\(tensor)")) < tolerance
        )
      }
    }
  }

  @Test("a tensor with a gradient that is not finite stays; all others move", arguments: OptimizerRule.allCases)
  func badGradient(_ rule: OptimizerRule) throws {
    var architecture = Architecture()
    architecture.spatialWidth = 4
    architecture.denseLowerWidth = 5
    architecture.convolutionChannels = 3
    let layout = ParameterLayout(architecture)
    let kernels = try KernelChoice.kernels(requested: nil)
    let optimizer = Optimizer(rule: rule, layout: layout, kernels: kernels)
    let parameters = layout.parameterBuffer()
    let gradient = FloatBuffer(count: layout.count)
    gradient.fill(0.5)
    let bad = layout.entries[3]
    gradient[bad.offset + 1] = .nan
    let marks = FloatBuffer(count: layout.entries.count)
    // Two ranks' ranges, one after the other: the border lies within a tensor.
    let border = layout.count / 32 * 16
    optimizer.markBadTensors(of: gradient, in: [0..<border], into: marks.pointer)
    optimizer.markBadTensors(of: gradient, in: [border..<layout.count], into: marks.pointer)
    #expect(marks.elements.enumerated().filter { $0.element > 0 }.map(\.offset) == [3])
    optimizer.update(
      parameters, gradient: gradient, in: [border..<layout.count, 0..<border], badTensors: marks.pointer,
      learningRate: 0.1)
    for entry in layout.entries {
      let moved = entry.range.filter { parameters[$0] != 0 }.count
      #expect(moved == (entry == bad ? 0 : entry.count))
    }
  }

  @Test("an observer's norms, put together from two ranks' ranges, are those of gradient and update")
  func observer() throws {
    var architecture = Architecture()
    architecture.spatialWidth = 4
    architecture.denseLowerWidth = 5
    architecture.convolutionChannels = 3
    let layout = ParameterLayout(architecture)
    let optimizer = Optimizer(rule: .rmsprop, layout: layout, kernels: try KernelChoice.kernels(requested: nil))
    let (parameters, gradient) = (layout.parameterBuffer(), layout.parameterBuffer())
    for range in layout.entries.map(\.range) {
      for index in range {
        parameters[index] = .random(in: -1...1)
        gradient[index] = .random(in: -1...1)
      }
    }
    let before = Array(parameters.elements)
    let noMarks = FloatBuffer(count: layout.entries.count)
    let border = layout.count / 32 * 16
    let observers = [0..<border, border..<layout.count].map { range in
      let observer = StepObserver(layout: layout, keepsGradient: true)
      optimizer.update(
        parameters, gradient: gradient, in: [range], badTensors: noMarks.pointer, learningRate: 0.01,
        observer: observer)
      return observer
    }
    let norms = observers[0].norms(of: zip(observers[0].sums, observers[1].sums).map { $0 + $1 })
    func norm(_ values: some Sequence<Float>) -> Double {
      values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    let update = zip(parameters.elements, before).map { $0 - $1 }
    #expect(abs(norms.gradient / norm(gradient.elements) - 1) < 1e-12)
    #expect(abs(norms.updateRatio / (norm(update) / norm(parameters.elements)) - 1) < 1e-12)
    let conv = layout.entries.filter { $0.name.hasPrefix("conv.1.") }.map(\.range)
    #expect(conv.count == 2)
    let expected = norm(conv.flatMap { gradient.elements[$0] })
    #expect(abs(try #require(norms.gradients["conv.1"]) / expected - 1) < 1e-12)
    let moved = norm(conv.flatMap { update[$0] }) / norm(conv.flatMap { parameters.elements[$0] })
    #expect(abs(try #require(norms.updateRatios["conv.1"]) / moved - 1) < 1e-12)
    // What figures show: each rank's part of the gradient.
    for (observer, range) in zip(observers, [0..<border, border..<layout.count]) {
      let kept = try #require(observer.gradient)
      #expect(Array(kept.elements[range]) == Array(gradient.elements[range]))
    }
  }

  @Test("Adam's steps equal its definition")
  func adam() throws {
    var architecture = Architecture()
    architecture.spatialWidth = 4
    let layout = ParameterLayout(architecture)
    let optimizer = Optimizer(rule: .adam, layout: layout, kernels: try KernelChoice.kernels(requested: nil))
    let parameters = layout.parameterBuffer()
    let gradient = FloatBuffer(count: layout.count)
    let place = layout.entries[0].offset + 3
    let noMarks = FloatBuffer(count: layout.entries.count)
    var (p, m, v) = (0.0, 0.0, 0.0)
    for step in 1...20 {
      let g = sin(Double(step)) + 0.2
      gradient[place] = Float(g)
      optimizer.update(
        parameters, gradient: gradient, in: [0..<layout.count], badTensors: noMarks.pointer, learningRate: 0.01)
      m = 0.9 * m + 0.1 * g
      v = 0.99 * v + 0.01 * g * g
      p -= 0.01 * (m / (1 - pow(0.9, Double(step)))) / ((v / (1 - pow(0.99, Double(step)))).squareRoot() + 1e-8)
    }
    #expect(abs(Double(parameters[place]) - p) < 1e-6)
  }
}
