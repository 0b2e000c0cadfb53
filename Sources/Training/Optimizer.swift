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
/// A tensor whose gradient has a non-finite element counts as having a zero gradient in that step (MODEL.md, "Training
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
    meanSquare = layout.parameterBuffer()
    firstMoment = rule == .adam ? layout.parameterBuffer() : FloatBuffer(count: 0)
  }

  /// Adds 1 to `marks[tensor]` for every tensor whose gradient has a non-finite element in one of the ranges.
  func markBadTensors(of gradient: FloatBuffer, in ranges: [Range<Int>], into marks: UnsafeMutablePointer<Float>) {
    forEachPiece(of: ranges) { tensor, piece in
      if !kernels.isFinite(gradient.pointer + piece.lowerBound, count: piece.count) { marks[tensor] += 1 }
    }
  }

  /// Takes one step with the parameters in `ranges`, whose borders are those of tensors or multiples of 16.
  ///
  /// - Parameters:
  ///   - badTensors: A number for every tensor, positive where its gradient counts as zero.
  ///   - observer: Is shown every piece before and after its update.
  func update(
    _ parameters: FloatBuffer, gradient: FloatBuffer, in ranges: [Range<Int>], badTensors: UnsafePointer<Float>,
    learningRate: Double, observer: StepObserver? = nil
  ) {
    precondition(parameters.count >= layout.count && gradient.count >= layout.count, "buffers are too small")
    stepCount += 1
    let correction1 = 1 - power(beta1, stepCount)
    let rootCorrection2 = (1 - power(beta2, stepCount)).squareRoot()
    forEachPiece(of: ranges) { tensor, piece in
      observer?.willUpdate(tensor, piece, parameters: parameters, gradient: gradient)
      let start = piece.lowerBound
      let tensorGradient = badTensors[tensor] > 0 ? nil : UnsafePointer(gradient.pointer + start)
      switch rule {
      case .rmsprop:
        kernels.rmsProp(
          parameters: parameters.pointer + start, gradient: tensorGradient, meanSquare: meanSquare.pointer + start,
          count: piece.count, learningRate: Float(learningRate), decay: 0.9, floor: 1e-10)
      case .adam:
        kernels.adam(
          parameters: parameters.pointer + start, gradient: tensorGradient, firstMoment: firstMoment.pointer + start,
          meanSquare: meanSquare.pointer + start, count: piece.count,
          rate: Float(learningRate * rootCorrection2 / correction1), beta1: beta1, beta2: beta2,
          epsilon: Float(1e-8 * rootCorrection2))
      }
      observer?.didUpdate(tensor, piece, parameters: parameters)
    }
  }

  /// Visits what lies in the ranges of every tensor: (number of the tensor, range of the buffer).
  private func forEachPiece(of ranges: [Range<Int>], _ visit: (Int, Range<Int>) -> Void) {
    for range in ranges {
      for (tensor, entry) in layout.entries.enumerated() where entry.range.overlaps(range) {
        visit(tensor, entry.range.clamped(to: range))
      }
    }
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
