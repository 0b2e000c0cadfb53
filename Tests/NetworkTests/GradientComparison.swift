import Network
import Tensors
import TestSupport
import Testing

/// Expects an implementation to give the expected J and, tensor by tensor, the expected gradient.
///
/// - Parameters:
///   - expected: From a golden file or from `ReferenceModel.gradient`. Its tensors' names are the ones compared, and the
///     implementation has to give exactly these.
///   - objectiveTolerance: Relative to max(1, |J|).
///   - gradientTolerance: ‖difference‖/‖expected‖ of each tensor.
///   - implementation: Computes J and all gradients for the same parameters and draws.
func expectGradient(
  _ expected: ObjectiveGradient, objectiveTolerance: Double, gradientTolerance: Double, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation, computedBy implementation: () throws -> ObjectiveGradient
) rethrows {
  let actual = try implementation()
  let error = objectiveDistance(actual.objective, expected.objective)
  #expect(
    error < objectiveTolerance, "\(label) J \(actual.objective), expected \(expected.objective): \(error)",
    sourceLocation: sourceLocation)
  #expect(actual.gradient.keys.sorted() == expected.gradient.keys.sorted(), sourceLocation: sourceLocation)
  for (name, values) in expected.gradient.sorted(by: { $0.key < $1.key }) {
    guard let gradient = actual.gradient[name], gradient.count == values.count else {
      Issue.record("\(label) \(name): no gradient of \(values.count) values", sourceLocation: sourceLocation)
      continue
    }
    let error = relativeDistance(gradient, values)
    #expect(error < gradientTolerance, "\(label) \(name): \(error)", sourceLocation: sourceLocation)
  }
}

extension ParameterLayout {
  /// A buffer's tensors by their names.
  func tensors(_ buffer: FloatBuffer) -> NamedTensors {
    Dictionary(uniqueKeysWithValues: entries.map { entry in (entry.name, entry.range.map { Double(buffer[$0]) }) })
  }

  /// A buffer with named tensors, rounded to single precision.
  func buffer(_ tensors: NamedTensors) -> FloatBuffer {
    let buffer = parameterBuffer()
    for entry in entries {
      for (index, value) in (tensors[entry.name] ?? []).enumerated() { buffer[entry.offset + index] = Float(value) }
    }
    return buffer
  }
}

extension GoldenFile {
  /// A golden J and its gradients.
  func objectiveGradient(_ prefix: String) throws -> ObjectiveGradient {
    var gradient: NamedTensors = [:]
    for name in names where name.hasPrefix("\(prefix).gradient.") {
      gradient[String(name.dropFirst("\(prefix).gradient.".count))] = try doubles(name)
    }
    return ObjectiveGradient(objective: try doubles("\(prefix).J")[0], gradient: gradient)
  }
}
