/// Reads the JSON of a safetensors header.
///
/// Its own reader, because the format refuses duplicate keys, which Foundation's JSON parsers drop without a word. The
/// header is no more than three levels deep, each with its own function: no input makes it recurse.
struct SafetensorsHeaderReader {
  private let bytes: [UInt8]
  private let path: String
  private var position = 0

  init(_ bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
  }

  /// The whole header: `__metadata__` and the tensors, not yet compared with each other.
  mutating func header() throws(InputError) -> (metadata: [String: String], tensors: [String: SafetensorsHeader.Tensor])
  {
    var metadata: [String: String]?
    var tensors: [String: SafetensorsHeader.Tensor] = [:]
    guard bytes.first == Character.openBrace else { throw syntaxFault("{") }
    try members { reader, name throws(InputError) in
      if name == "__metadata__" {
        guard metadata == nil else { throw reader.duplicate(name) }
        metadata = try reader.stringMap()
      } else {
        guard tensors[name] == nil else { throw reader.duplicate(name) }
        tensors[name] = try reader.tensor(name)
      }
    }
    skipSpace()
    guard position == bytes.count else { throw syntaxFault("the end of the header") }
    return (metadata ?? [:], tensors)
  }

  private mutating func stringMap() throws(InputError) -> [String: String] {
    var map: [String: String] = [:]
    try members { reader, key throws(InputError) in
      guard map[key] == nil else { throw reader.duplicate("__metadata__.\(key)") }
      reader.skipSpace()
      map[key] = try reader.string()
    }
    return map
  }

  private mutating func tensor(_ name: String) throws(InputError) -> SafetensorsHeader.Tensor {
    var tensor = SafetensorsHeader.Tensor()
    var seen: Set<String> = []
    try members { reader, key throws(InputError) in
      guard seen.insert(key).inserted else { throw reader.duplicate("\(name).\(key)") }
      reader.skipSpace()
      switch key {
      case "dtype":
        let text = try reader.string()
        guard let type = SafetensorsType(rawValue: text) else {
          throw InputError(
            reader.path, found: "tensor \(name) of type \(text)",
            expected: SafetensorsType.allCases.map(\.rawValue).joined(separator: ", "))
        }
        tensor.type = type
      case "shape":
        tensor.shape = try reader.integers()
      case "data_offsets":
        let offsets = try reader.integers()
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
          throw InputError(reader.path, found: "tensor \(name) with data_offsets \(offsets)", expected: "[begin, end]")
        }
        tensor.bytes = offsets[0]..<offsets[1]
      default:
        throw InputError(
          reader.path, found: "tensor \(name) with a key \"\(key)\"", expected: "dtype, shape and data_offsets")
      }
    }
    guard seen.count == 3 else {
      throw InputError(
        path, found: "tensor \(name) with only \(seen.sorted())", expected: "dtype, shape and data_offsets")
    }
    guard tensor.shapeBytes == tensor.bytes.count else {
      let needed = tensor.shapeBytes.map { "\($0) bytes" } ?? "fewer than 2^63 bytes"
      throw InputError(
        path, found: "tensor \(name), \(tensor.type.rawValue) \(tensor.shape), in \(tensor.bytes.count) bytes",
        expected: needed)
    }
    return tensor
  }

  /// Reads an object and calls `body` behind the colon of each member.
  private mutating func members(
    _ body: (inout SafetensorsHeaderReader, String) throws(InputError) -> Void
  ) throws(InputError) {
    skipSpace()
    try expect(Character.openBrace, "{")
    skipSpace()
    if take(Character.closeBrace) { return }
    while true {
      skipSpace()
      let key = try string()
      skipSpace()
      try expect(Character.colon, ":")
      try body(&self, key)
      skipSpace()
      if take(Character.closeBrace) { return }
      try expect(Character.comma, ", or }")
    }
  }

  private mutating func integers() throws(InputError) -> [Int] {
    var numbers: [Int] = []
    try expect(Character.openBracket, "[")
    skipSpace()
    if take(Character.closeBracket) { return [] }
    while true {
      skipSpace()
      numbers.append(try integer())
      skipSpace()
      if take(Character.closeBracket) { return numbers }
      try expect(Character.comma, ", or ]")
    }
  }

  /// A number without sign, fraction or exponent that an `Int` can hold.
  private mutating func integer() throws(InputError) -> Int {
    let start = position
    while let byte = peek(), Character.digits.contains(byte) { position += 1 }
    let digits = bytes[start..<position]
    guard !digits.isEmpty, digits.count == 1 || digits.first != Character.digits.lowerBound else {
      throw syntaxFault("an integer", at: start)
    }
    guard let number = Int(String(decoding: digits, as: UTF8.self)) else {
      throw syntaxFault("an integer below 2^63", at: start)
    }
    return number
  }

  private mutating func string() throws(InputError) -> String {
    try expect(Character.quote, "\"")
    let start = position
    var content: [UInt8] = []
    while let byte = peek() {
      position += 1
      switch byte {
      case Character.quote:
        guard let text = String(validating: content, as: UTF8.self) else { throw syntaxFault("UTF-8", at: start) }
        return text
      case Character.backslash:
        content += Array(String(try escapedCharacter()).utf8)
      case ..<0x20:
        throw syntaxFault("no control character", at: position - 1)
      default:
        content.append(byte)
      }
    }
    throw syntaxFault("\" at the end of a string")
  }

  /// The character that an escape sequence stands for; the backslash has been read.
  private mutating func escapedCharacter() throws(InputError) -> Unicode.Scalar {
    guard let byte = peek() else { throw syntaxFault("an escape sequence") }
    position += 1
    switch UnicodeScalar(byte) {
    case "\"": return "\""
    case "\\": return "\\"
    case "/": return "/"
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u":
      var code = try hexadecimal()
      if (0xD800..<0xDC00).contains(code), take(Character.backslash), take(UInt8(ascii: "u")) {
        let low = try hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw syntaxFault("a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw syntaxFault("a surrogate pair") }
      return scalar
    default: throw syntaxFault("an escape sequence", at: position - 1)
    }
  }

  private mutating func hexadecimal() throws(InputError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Swift.Character(UnicodeScalar(byte)).hexDigitValue else {
        throw syntaxFault("four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ byte: UInt8, _ expected: String) throws(InputError) {
    guard take(byte) else { throw syntaxFault(expected) }
  }

  private func syntaxFault(_ expected: String, at place: Int? = nil) -> InputError {
    InputError(
      path, found: "no safetensors header: at its byte \(place ?? position)", expected: expected)
  }

  private func duplicate(_ key: String) -> InputError {
    InputError(path, found: "\"\(key)\" twice in its header", expected: "every key once")
  }
}

/// The characters of JSON's grammar.
private enum Character {
  static let openBrace = UInt8(ascii: "{")
  static let closeBrace = UInt8(ascii: "}")
  static let openBracket = UInt8(ascii: "[")
  static let closeBracket = UInt8(ascii: "]")
  static let quote = UInt8(ascii: "\"")
  static let backslash = UInt8(ascii: "\\")
  static let colon = UInt8(ascii: ":")
  static let comma = UInt8(ascii: ",")
  static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
}
