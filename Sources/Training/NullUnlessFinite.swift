/// A number that JSON has no word for where it is not finite: null.
@propertyWrapper
public struct NullUnlessFinite: Encodable, Sendable {
  /// The number.
  public var wrappedValue: Double

  /// Wraps a number.
  public init(wrappedValue: Double) { self.wrappedValue = wrappedValue }

  /// Writes the number, or null.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if wrappedValue.isFinite { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}
