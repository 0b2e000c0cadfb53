/// Writes tensors from where they lie in memory as a safetensors file, copying none of them.
public struct SafetensorsWriter {
  private struct Tensor {
    let name: String
    let type: SafetensorsType
    let shape: [Int]
    let bytes: UnsafeRawBufferPointer
  }

  private let metadata: [String: String]
  private var tensors: [Tensor] = []
  private var names: Set<String> = ["__metadata__"]

  /// An empty file with these strings under `__metadata__`.
  public init(metadata: [String: String] = [:]) { self.metadata = metadata }

  /// Adds a tensor behind those that are there already.
  ///
  /// - Parameters:
  ///   - name: A name that no other tensor of the file has.
  ///   - shape: Row-major; its product is the number of values.
  ///   - values: The numbers, which must stay where they are until `write` has returned.
  public mutating func add<Element: SafetensorsElement>(
    _ name: String, shape: [Int], values: UnsafeBufferPointer<Element>
  ) {
    precondition(shape.reduce(1, *) == values.count, "the shape does not fit the number of values")
    precondition(names.insert(name).inserted, "two tensors of one name")
    tensors.append(
      Tensor(name: name, type: Element.safetensorsType, shape: shape, bytes: UnsafeRawBufferPointer(values)))
  }

  /// Hands the file's bytes to `sink`, piece by piece: the header, then each tensor.
  ///
  /// The same tensors and strings give the same bytes, every time.
  public func write<Failure: Error>(to sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
    let header = header()
    try header.withUnsafeBufferPointer { bytes throws(Failure) in try sink(UnsafeRawBufferPointer(bytes)) }
    for tensor in tensors where !tensor.bytes.isEmpty { try sink(tensor.bytes) }
  }

  /// The header with its length in front, padded with spaces so that the tensors begin at a multiple of 8 bytes.
  private func header() -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
      members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    var offset = 0
    for tensor in tensors {
      let end = offset + tensor.bytes.count
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(Self.quoted(tensor.name)):{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var json = Array("{\(members.joined(separator: ","))}".utf8)
    while !json.count.isMultiple(of: 8) { json.append(UInt8(ascii: " ")) }
    precondition(json.count <= SafetensorsHeader.mostBytes, "the header is longer than the format allows")
    return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case ..<" ":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
