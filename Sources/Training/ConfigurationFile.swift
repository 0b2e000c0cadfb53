internal import Foundation
public import Tensors
internal import Yams

/// One value from the command line for one key.
public struct ConfigurationAssignment: Equatable, Sendable {
  /// The flag as errors name it.
  let subject: String
  /// The key's full name.
  let key: String
  /// The value as it was written.
  let value: String
}

extension Configuration {
  /// Puts a configuration together: defaults, then the environment's data folder, the file, `--set`, and flags.
  ///
  /// - Parameters:
  ///   - file: The YAML file; nil for none.
  ///   - settings: What `--set` says, in its order.
  ///   - flags: What the flags say, which have the last word.
  ///   - dataFolder: The environment's `DPM_DATA_DIR`: where the data are unless something else says so.
  /// - Throws: `InputError` with the key where it was written, the value, and what is allowed.
  public static func resolved(
    file: String?, settings: [ConfigurationAssignment] = [], flags: [ConfigurationAssignment] = [],
    dataFolder: String? = nil
  ) throws(InputError) -> Configuration {
    var builder = ConfigurationBuilder()
    if let file {
      try builder.assign(yaml: TextFile.read(file, most: ConfigurationBuilder.mostFileBytes), source: file)
    }
    for assignment in settings + flags {
      let scalar = assignment.value == "null" ? nil : ConfigurationScalar(text: assignment.value)
      try builder.assign(assignment.key, scalar, subject: assignment.subject)
    }
    var configuration = try builder.finished()
    if configuration.dataset.path == nil, let dataFolder, !dataFolder.isEmpty {
      configuration.dataset.path = dataFolder
    }
    return configuration
  }

  /// The whole configuration as a YAML file that is read back as the same configuration, to the last bit.
  public var yaml: String {
    var lines: [String] = []
    for section in ConfigurationKey.sections {
      lines.append("\(section):")
      for key in ConfigurationKey.all where key.section == section {
        let entry = "  \(key.key): \(key.read(self).yaml)"
        lines.append(entry + String(repeating: " ", count: max(1, 40 - entry.count)) + " # \(key.comment)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// The whole configuration as one JSON object of sections, as checkpoints keep it.
  public var json: String {
    let sections = ConfigurationKey.sections.map { section in
      let members = ConfigurationKey.all.filter { $0.section == section }
        .map { "\(quoted(String($0.key))):\($0.read(self).json)" }
      return "\(quoted(section)):{\(members.joined(separator: ","))}"
    }
    return "{\(sections.joined(separator: ","))}"
  }

  /// Every key with its value, as ranks compare them.
  var facts: [(name: String, value: String)] { ConfigurationKey.all.map { ($0.name, $0.read(self).yaml) } }

  /// Reads what `json` gave; keys that are missing have their defaults.
  ///
  /// - Parameter source: What errors name, such as the checkpoint.
  /// - Throws: `InputError` with the key, the value, and what is allowed.
  public init(json: String, source: String) throws(InputError) {
    let sections: [String: [String: JSONScalar]]
    do {
      sections = try JSONDecoder().decode([String: [String: JSONScalar]].self, from: Data(json.utf8))
    } catch {
      throw InputError(source, found: "a damaged configuration", expected: "JSON: sections of keys and values")
    }
    var builder = ConfigurationBuilder()
    for (section, members) in sections.sorted(by: { $0.key < $1.key }) {
      for (key, value) in members.sorted(by: { $0.key < $1.key }) {
        try builder.assign("\(section).\(key)", value.scalar, subject: "\(source): \(section).\(key)")
      }
    }
    self = try builder.finished()
  }
}

extension ConfigurationBuilder {
  /// Longest configuration file; a real one has about 3 KB.
  static let mostFileBytes = 1 << 20

  /// Assigns every value of a YAML text.
  ///
  /// - Parameter source: The file, as errors name it.
  mutating func assign(yaml: String, source: String) throws(InputError) {
    guard let root = try Self.compose(yaml, source: source), !root.isNull else { return }
    guard let sections = root.mapping else {
      throw InputError(
        source, found: "no section", expected: "model, dataset, training, output or distributed, each with keys")
    }
    for (name, node) in sections {
      let subject = Self.subject(source, name, name.string ?? "?")
      guard let section = name.string, ConfigurationKey.sections.contains(section) else {
        throw Self.unknownSection(name.string ?? "?", subject: subject)
      }
      if node.isNull { continue }
      guard let members = node.mapping else {
        throw InputError(subject, found: "a value", expected: "keys with values, each in an indented line")
      }
      for (key, value) in members {
        let name = "\(section).\(key.string ?? "?")"
        let subject = Self.subject(source, key, name)
        guard let scalar = value.scalar else {
          throw InputError(subject, found: value.mapping == nil ? "a list" : "a section", expected: "one value")
        }
        try assign(name, value.isNull ? nil : scalar.configurationScalar, subject: subject)
      }
    }
  }

  private static func compose(_ yaml: String, source: String) throws(InputError) -> Node? {
    do {
      return try Yams.compose(yaml: yaml)
    } catch let error as YamlError {
      throw error.inputError(source)
    } catch {
      throw InputError(source, found: "no YAML")
    }
  }

  /// `file:line: name`.
  private static func subject(_ source: String, _ node: Node, _ name: String) -> String {
    node.mark.map { "\(source):\($0.line): \(name)" } ?? "\(source): \(name)"
  }
}

extension Node {
  /// Whether this is YAML's null: nothing, `~` or `null`, without quotes.
  fileprivate var isNull: Bool {
    guard let scalar, scalar.style == .plain else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }
}

extension Node.Scalar {
  fileprivate var configurationScalar: ConfigurationScalar {
    ConfigurationScalar(text: string, isQuoted: style != .plain)
  }
}

extension YamlError {
  /// The fault in one line, with its place in the file.
  fileprivate func inputError(_ source: String) -> InputError {
    switch self {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return InputError("\(source):\(mark.line):\(mark.column)", found: problem, expected: "YAML")
    case .duplicatedKeysInMapping(let duplicates, let context):
      return InputError(
        "\(source):\(context.mark.line)", found: "\(duplicates.joined(separator: ", ")) twice",
        expected: "every key once")
    default:
      let text = String(describing: self).split(separator: "\n").first.map(String.init) ?? ""
      return InputError(source, found: text, expected: "YAML")
    }
  }
}

/// A value of the checkpoint's JSON.
private enum JSONScalar: Decodable {
  case null, literal(String), text(String)

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else if let value = try? container.decode(Bool.self) {
      self = .literal(String(value))
    } else if let value = try? container.decode(Int64.self) {
      self = .literal(String(value))
    } else {
      self = .literal(try container.decode(Double.self).description)
    }
  }

  var scalar: ConfigurationScalar? {
    switch self {
    case .null: nil
    case .literal(let text): ConfigurationScalar(text: text)
    case .text(let text): ConfigurationScalar(text: text, isQuoted: true)
    }
  }
}
