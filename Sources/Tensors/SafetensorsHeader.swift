/// The types of numbers that we read and write, by their names in the format.
public enum SafetensorsType: String, CaseIterable, Sendable {
  /// 32-bit floats.
  case float32 = "F32"
  /// 64-bit floats.
  case float64 = "F64"
  /// Bytes.
  case uint8 = "U8"
  /// 32-bit signed integers.
  case int32 = "I32"
  /// 64-bit signed integers.
  case int64 = "I64"

  /// Bytes of one number.
  public var byteCount: Int {
    switch self {
    case .uint8: 1
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }
}

/// What a safetensors file says of its tensors, checked as the format's reference implementation checks it.
///
/// The tensors' bytes follow each other from 0 to the end of the file, without a hole or an overlap, and each has the
/// length that its shape and type give: whoever holds a header may read every tensor, and never more than the file.
struct SafetensorsHeader {
  /// One tensor's entry.
  struct Tensor: Equatable {
    var type = SafetensorsType.float32
    var shape: [Int] = []
    /// Where its bytes are, from the end of the header on.
    var bytes = 0..<0
    /// Number of elements.
    var count: Int { bytes.count / type.byteCount }
  }

  /// Longest header, in bytes: the format's own limit.
  static let mostBytes = 100_000_000
  /// Bytes of the header's length, in front of it.
  static let lengthBytes = 8

  let metadata: [String: String]
  let tensors: [String: Tensor]
  /// Names in the order of their bytes.
  let names: [String]

  /// Reads a header's JSON.
  ///
  /// - Parameters:
  ///   - json: The bytes behind the length.
  ///   - dataBytes: Bytes of the file behind the header.
  ///   - path: The file, as errors name it.
  /// - Throws: `InputError` for everything that the format forbids.
  init(json: [UInt8], dataBytes: Int, path: String) throws(InputError) {
    var reader = SafetensorsHeaderReader(json, path: path)
    (metadata, tensors) = try reader.header()
    // Empty tensors share their place with the next one; the name makes the order the same every time.
    let ordered = tensors.sorted { first, second in
      (first.value.bytes.lowerBound, first.value.bytes.upperBound, first.key)
        < (second.value.bytes.lowerBound, second.value.bytes.upperBound, second.key)
    }
    names = ordered.map(\.key)
    var end = 0
    for (name, tensor) in ordered {
      guard tensor.bytes.lowerBound == end else {
        throw InputError(
          path, found: "tensor \(name) begins at byte \(tensor.bytes.lowerBound) of the data",
          expected: "\(end), where the one before it ends")
      }
      end = tensor.bytes.upperBound
    }
    guard end == dataBytes else {
      throw InputError(path, found: "\(dataBytes) bytes of data", expected: "\(end), as its header says")
    }
  }
}

extension SafetensorsHeader.Tensor {
  /// The bytes that the shape and the type ask for; nil where the product overflows.
  var shapeBytes: Int? {
    var product = type.byteCount
    for size in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard !overflow else { return nil }
      product = next
    }
    return product
  }
}
