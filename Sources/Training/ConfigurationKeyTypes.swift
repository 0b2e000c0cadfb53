internal import Tensors

/// A place in the configuration.
typealias ConfigurationPath<Value> = any WritableKeyPath<Configuration, Value> & Sendable

/// What numbers a key allows.
enum NumberRange: Sendable {
  /// Any finite number: what it may be is checked elsewhere.
  case any
  /// Above 0.
  case positive(most: Double)
  /// From 0.
  case notNegative(most: Double)
  /// From 0 to below 1.
  case fraction

  func contains(_ number: Double) -> Bool {
    switch self {
    case .any: number.isFinite
    case .positive(let most): number > 0 && number <= most
    case .notNegative(let most): number >= 0 && number <= most
    case .fraction: number >= 0 && number < 1
    }
  }

  var description: String {
    switch self {
    case .any: "a number"
    case .positive(let most): "a number above 0, at most \(shortest(most))"
    case .notNegative(let most): "a number from 0 to \(shortest(most))"
    case .fraction: "a number from 0 to below 1"
    }
  }
}

/// What text a key allows.
enum TextRule: Sendable {
  /// A path: anything but nothing.
  case path
  /// The name of one folder.
  case folderName
  /// A part of such a name, or nothing.
  case suffix

  func allows(_ text: String) -> Bool {
    guard text.utf8.count <= 4096, !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
    else { return false }
    switch self {
    case .path: return !text.isEmpty
    case .folderName: return !text.isEmpty && isPartOfName(text) && !text.hasPrefix(".")
    case .suffix: return isPartOfName(text)
    }
  }

  private func isPartOfName(_ text: String) -> Bool { !text.contains("/") && text.utf8.count <= 200 }

  var description: String {
    switch self {
    case .path: "a path"
    case .folderName: "the name of one folder: no /, no leading dot, at most 200 bytes"
    case .suffix: "a part of a folder's name: no /, at most 200 bytes"
    }
  }
}

extension ConfigurationKey {
  /// A whole number.
  static func integer<Value: FixedWidthInteger & Sendable>(
    _ name: String, _ path: ConfigurationPath<Value>, in range: ClosedRange<Value>? = nil, _ comment: String
  ) -> ConfigurationKey {
    let expected = range.map { "an integer from \($0.lowerBound) to \($0.upperBound)" } ?? "an integer"
    return ConfigurationKey(
      name: name, comment: comment, read: { .literal(String($0[keyPath: path])) },
      assign: { configuration, scalar, subject throws(InputError) in
        guard let scalar, !scalar.isQuoted, let value = Value(scalar.text), range?.contains(value) ?? true else {
          throw fault(subject, scalar, expected)
        }
        configuration[keyPath: path] = value
      })
  }

  /// A whole number, or null.
  static func optionalInteger(
    _ name: String, _ path: ConfigurationPath<Int?>, _ comment: String
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, comment: comment, read: { $0[keyPath: path].map { .literal(String($0)) } ?? .nothing },
      assign: { configuration, scalar, subject throws(InputError) in
        guard let scalar else { return configuration[keyPath: path] = nil }
        guard !scalar.isQuoted, let value = Int(scalar.text) else { throw fault(subject, scalar, "an integer or null") }
        configuration[keyPath: path] = value
      })
  }

  /// A finite number.
  static func number(
    _ name: String, _ path: ConfigurationPath<Double>, _ range: NumberRange, _ comment: String
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, comment: comment, read: { .literal(shortest($0[keyPath: path])) },
      assign: { configuration, scalar, subject throws(InputError) in
        // Swift reads hexadecimal numbers, infinities and NaNs too.
        guard let scalar, !scalar.isQuoted, scalar.text.allSatisfy({ "0123456789+-.eE".contains($0) }),
          let value = Double(scalar.text), value.isFinite, range.contains(value)
        else { throw fault(subject, scalar, range.description) }
        configuration[keyPath: path] = value
      })
  }

  /// True or false.
  static func boolean(_ name: String, _ path: ConfigurationPath<Bool>, _ comment: String) -> ConfigurationKey {
    ConfigurationKey(
      name: name, comment: comment, read: { .literal(String($0[keyPath: path])) },
      assign: { configuration, scalar, subject throws(InputError) in
        guard let scalar, !scalar.isQuoted, let value = Bool(scalar.text.lowercased()) else {
          throw fault(subject, scalar, "true or false")
        }
        configuration[keyPath: path] = value
      })
  }

  /// One of a few words.
  static func choice<Value: Equatable & Sendable>(
    _ name: String, _ path: ConfigurationPath<Value>, _ choices: [(word: String, value: Value)], _ comment: String,
    parse: (@Sendable (String, String) throws(InputError) -> Value)? = nil
  ) -> ConfigurationKey {
    let words = choices.map(\.word).joined(separator: " or ")
    return ConfigurationKey(
      name: name, comment: comment.isEmpty ? words : "\(words): \(comment)",
      read: { configuration in
        choices.first { $0.value == configuration[keyPath: path] }.map { .word($0.word) } ?? .nothing
      },
      assign: { configuration, scalar, subject throws(InputError) in
        guard let text = scalar?.text else { throw fault(subject, scalar, words) }
        if let parse { return configuration[keyPath: path] = try parse(text, subject) }
        guard let choice = choices.first(where: { $0.word == text.lowercased() }) else {
          throw fault(subject, scalar, words)
        }
        configuration[keyPath: path] = choice.value
      })
  }

  /// A text, or null.
  static func text(
    _ name: String, _ path: ConfigurationPath<String?>, _ rule: TextRule, _ comment: String
  ) -> ConfigurationKey {
    text(name, read: { $0[keyPath: path] }, write: { $0[keyPath: path] = $1 }, rule, comment)
  }

  /// A text; null where there is a default, which `write` then puts in.
  static func text(
    _ name: String, read: @escaping @Sendable (Configuration) -> String?,
    write: @escaping @Sendable (inout Configuration, String?) -> Void, _ rule: TextRule, _ comment: String
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, comment: comment, read: { read($0).map { .text($0) } ?? .nothing },
      assign: { configuration, scalar, subject throws(InputError) in
        guard scalar.map({ rule.allows($0.text) }) ?? true else { throw fault(subject, scalar, rule.description) }
        write(&configuration, scalar?.text)
      })
  }

  private static func fault(_ subject: String, _ scalar: ConfigurationScalar?, _ expected: String) -> InputError {
    let found = scalar.map { $0.isQuoted || $0.text.isEmpty ? quoted($0.text) : $0.text } ?? "null"
    return InputError(subject, found: String(found.prefix(200)), expected: expected)
  }
}

/// The shortest decimal number that is read back as the same value, with a point, which some YAML readers insist on.
func shortest(_ number: Double) -> String {
  let text = number.description
  guard let exponent = text.firstIndex(of: "e"), !text[..<exponent].contains(".") else {
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
  return text[..<exponent] + ".0" + text[exponent...]
}
