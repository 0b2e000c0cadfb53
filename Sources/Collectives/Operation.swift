/// What a rank may be waiting in: the names that errors and the watchdog's line use.
enum Operation: UInt8, CustomStringConvertible {
  case start = 1
  case finish, barrier, broadcast, sum, maximum, minimum, gather, agreement, gradientReduction, weightTransforms

  var description: String {
    switch self {
    case .start: "the start of MPI"
    case .finish: "the end of MPI"
    case .barrier: "a barrier"
    case .broadcast: "a broadcast"
    case .sum: "a sum"
    case .maximum: "a maximum"
    case .minimum: "a minimum"
    case .gather: "a gather"
    case .agreement: "an agreement"
    case .gradientReduction: "the gradient's reduction"
    case .weightTransforms: "the weights' transforms"
    }
  }
}
