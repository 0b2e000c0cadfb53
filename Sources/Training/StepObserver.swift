internal import Collectives
internal import Network
internal import Tensors

/// Watches a single step: norms of gradient, update and parameters, and where figures are due the gradient itself.
///
/// The optimizer shows it each piece before and after the update; every rank sees what it owns. Steps that nobody watches
/// pay nothing.
final class StepObserver {
  private let layout: ParameterLayout
  /// Σ of squares by tensor.
  private var gradientSquares: [Double]
  private var updateSquares: [Double]
  private var parameterSquares: [Double]
  /// A piece of the parameters before its update.
  private let before: FloatBuffer
  /// The gradient, in this rank's own ranges until it is gathered; nil where it was not asked for.
  private(set) var gradient: FloatBuffer?

  /// - Parameter keepsGradient: Whether the gradient is kept for figures.
  init(layout: ParameterLayout, keepsGradient: Bool) {
    self.layout = layout
    gradientSquares = Array(repeating: 0, count: layout.entries.count)
    updateSquares = gradientSquares
    parameterSquares = gradientSquares
    before = FloatBuffer(count: layout.entries.map(\.count).max() ?? 0)
    gradient = keepsGradient ? layout.parameterBuffer() : nil
  }

  /// Looks at a piece of a tensor before the optimizer changes it.
  ///
  /// - Parameter piece: A range of the buffers, inside of one tensor.
  func willUpdate(_ tensor: Int, _ piece: Range<Int>, parameters: FloatBuffer, gradient: FloatBuffer) {
    let start = gradient.pointer + piece.lowerBound
    gradientSquares[tensor] += Self.sumOfSquares(start, count: piece.count)
    self.gradient?.pointer.advanced(by: piece.lowerBound).update(from: start, count: piece.count)
    before.pointer.update(from: parameters.pointer + piece.lowerBound, count: piece.count)
  }

  /// Looks at the same piece after the update.
  func didUpdate(_ tensor: Int, _ piece: Range<Int>, parameters: FloatBuffer) {
    let after = parameters.pointer + piece.lowerBound
    parameterSquares[tensor] += Self.sumOfSquares(after, count: piece.count)
    for index in 0..<piece.count { before.pointer[index] = after[index] - before.pointer[index] }
    updateSquares[tensor] += Self.sumOfSquares(before.pointer, count: piece.count)
  }

  /// Norms over all ranks, by layer; collective.
  ///
  /// - Throws: `CollectiveError` where the ranks cannot exchange their sums.
  func norms(_ communicator: Communicator) throws -> StepNorms { norms(of: try communicator.sum(sums)) }

  /// Σ of this rank's squares, of the gradient, the update and the parameters, by tensor.
  var sums: [Double] { gradientSquares + updateSquares + parameterSquares }

  /// Norms from sums over all ranks.
  func norms(of sums: [Double]) -> StepNorms {
    let count = layout.entries.count
    var layers: [String: (gradient: Double, update: Double, parameters: Double)] = [:]
    for (tensor, entry) in layout.entries.enumerated() {
      let layer = layers[entry.layer] ?? (0, 0, 0)
      layers[entry.layer] = (
        layer.gradient + sums[tensor], layer.update + sums[count + tensor], layer.parameters + sums[2 * count + tensor]
      )
    }
    func ratio(_ update: Double, _ parameters: Double) -> Double { (update / parameters).squareRoot() }
    return StepNorms(
      gradient: sums[..<count].reduce(0, +).squareRoot(),
      updateRatio: ratio(sums[count..<2 * count].reduce(0, +), sums[(2 * count)...].reduce(0, +)),
      gradients: layers.mapValues { $0.gradient.squareRoot() },
      updateRatios: layers.mapValues { ratio($0.update, $0.parameters) })
  }

  private static func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double {
    var sum = 0.0
    for index in 0..<count { sum += Double(values[index]) * Double(values[index]) }
    return sum
  }
}

/// Sizes of one step's gradient and update.
public struct StepNorms: Equatable, Sendable {
  /// ‖g‖ of J's gradient, over all parameters, in bits/pixel for each unit of the parameters.
  public var gradient: Double
  /// ‖Δθ‖/‖θ‖ over all parameters.
  public var updateRatio: Double
  /// ‖g‖ by layer, as in `conv.0` or `dense_lower.2`.
  public var gradients: [String: Double]
  /// ‖Δθ‖/‖θ‖ by layer.
  public var updateRatios: [String: Double]

  /// A step's norms; see the properties.
  public init(
    gradient: Double, updateRatio: Double, gradients: [String: Double] = [:], updateRatios: [String: Double] = [:]
  ) {
    self.gradient = gradient
    self.updateRatio = updateRatio
    self.gradients = gradients
    self.updateRatios = updateRatios
  }
}

extension ParameterLayout.Entry {
  /// The layer that a tensor is of: the first two parts of its name.
  var layer: String { name.split(separator: ".").prefix(2).joined(separator: ".") }
}
