public import KernelInterface
public import Network
public import Tensors

/// How a gradient becomes a step.
public enum OptimizerRule: String, Equatable, Sendable, CaseIterable {
  /// The reference's RMSProp: v ← 0.9 v + 0.1 g², step = lr·g/max(√v, 1e-10).
  case rmsprop
  /// Adam (Kingma & Ba 2015).
  case adam
}

/// Updates parameters from gradients, tensor by tensor, and keeps the state that this needs.
///
/// A tensor whose gradient has a non-finite element counts as having a zero gradient in that step (model.md, "Training
/// recipe"): the parameter stays, the moments decay. The decision falls on the summed gradient, so it is the same on all
/// ranks.
public final class Optimizer {
  /// The rule in force.
  public let rule: OptimizerRule
  /// Updates so far; Adam's bias corrections need it.
  public var stepCount = 0
  /// v: the moving mean of squared gradients.
  public let meanSquare: FloatBuffer
  /// m of Adam: the moving mean of gradients; empty for RMSProp.
  public let firstMoment: FloatBuffer
  private let layout: ParameterLayout
  private let kernels: any KernelSet
  private let beta1: Float
  private let beta2: Float

  /// Starts with zero moments.
  ///
  /// - Parameters:
  ///   - beta1, beta2: Adam's decay rates; RMSProp's decay is 0.9.
  public init(
    rule: OptimizerRule, layout: ParameterLayout, beta1: Double = 0.9, beta2: Double = 0.99, kernels: any KernelSet
  ) {
    self.rule = rule
    self.layout = layout
    self.kernels = kernels
    self.beta1 = Float(beta1)
    self.beta2 = Float(beta2)
    meanSquare = FloatBuffer(count: layout.count)
    firstMoment = FloatBuffer(count: rule == .adam ? layout.count : 0)
  }

  /// Takes one step.
  ///
  /// - Returns: How many tensors had a non-finite gradient.
  public func update(_ parameters: FloatBuffer, gradient: FloatBuffer, learningRate: Double) -> Int {
    precondition(parameters.count >= layout.count && gradient.count >= layout.count, "buffers are too small")
    stepCount += 1
    var badTensors = 0
    for entry in layout.entries {
      let isFinite = kernels.isFinite(gradient.pointer + entry.offset, count: entry.count)
      if !isFinite { badTensors += 1 }
      let tensorGradient = isFinite ? UnsafePointer(gradient.pointer + entry.offset) : nil
      switch rule {
      case .rmsprop:
        kernels.rmsProp(
          parameters: parameters.pointer + entry.offset, gradient: tensorGradient,
          meanSquare: meanSquare.pointer + entry.offset, count: entry.count, learningRate: Float(learningRate),
          decay: 0.9, floor: 1e-10)
      case .adam:
        let correction1 = 1 - power(beta1, stepCount)
        let rootCorrection2 = (1 - power(beta2, stepCount)).squareRoot()
        kernels.adam(
          parameters: parameters.pointer + entry.offset, gradient: tensorGradient,
          firstMoment: firstMoment.pointer + entry.offset, meanSquare: meanSquare.pointer + entry.offset,
          count: entry.count, rate: Float(learningRate * rootCorrection2 / correction1), beta1: beta1, beta2: beta2,
          epsilon: Float(1e-8 * rootCorrection2))
      }
    }
    return badTensors
  }

  private func power(_ base: Float, _ exponent: Int) -> Double {
    var result = 1.0
    var factor = Double(base)
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= factor }
      factor *= factor
      rest >>= 1
    }
    return result
  }
}
