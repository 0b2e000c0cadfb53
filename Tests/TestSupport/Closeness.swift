/// ‖actual - expected‖ / ‖expected‖, the measure of Goldens/README.md for tensors.
public func relativeDistance(_ actual: [Double], _ expected: [Double]) -> Double {
  precondition(actual.count == expected.count, "\(actual.count) values cannot equal \(expected.count)")
  var difference = 0.0
  var norm = 0.0
  for (a, e) in zip(actual, expected) {
    difference += (a - e) * (a - e)
    norm += e * e
  }
  return norm == 0 ? difference.squareRoot() : (difference / norm).squareRoot()
}

/// |actual - expected| / max(1, |expected|), the measure of Goldens/README.md for objectives.
public func objectiveDistance(_ actual: Double, _ expected: Double) -> Double {
  abs(actual - expected) / max(1, abs(expected))
}
