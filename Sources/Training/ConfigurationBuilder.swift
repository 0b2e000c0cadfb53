internal import Network
internal import Tensors

/// Puts a configuration together, value by value; later values replace earlier ones.
struct ConfigurationBuilder {
  private var configuration = Configuration()
  /// What each key was last assigned by, as errors name it.
  private var subjects: [String: String] = [:]

  /// Assigns a value to a key of its full name, as in `training.lr`.
  ///
  /// - Parameters:
  ///   - scalar: The value; nil for null.
  ///   - subject: What errors name.
  mutating func assign(_ name: String, _ scalar: ConfigurationScalar?, subject: String) throws(InputError) {
    guard let key = ConfigurationKey.named(name) else { throw Self.unknownKey(name, subject: subject) }
    try key.assign(&configuration, scalar, subject)
    subjects[name] = subject
  }

  /// The configuration, with the defaults that depend on other values, its sizes checked against each other.
  func finished() throws(InputError) -> Configuration {
    var finished = configuration
    if subjects[ConfigurationKey.warmupSteps] == nil, finished.training.optimizer == .adam {
      // MODEL.md, "Beyond the reference": Adam's first steps are as long as its rate, whatever the gradient.
      finished.training.warmupSteps = 50
    }
    var model = finished.model
    if finished.spatialWidth == nil {
      // Any width may come yet. This one is a multiple of whatever `n_scales` asks for, and allowed.
      model.spatialWidth = 1024
    }
    do throws(InputError) {
      try model.validate()
    } catch {
      throw InputError(subjects[error.subject] ?? error.subject, found: error.found, expected: error.expected)
    }
    return finished
  }

  /// The fault of a section that does not exist.
  static func unknownSection(_ name: String, subject: String) -> InputError {
    let nearest = nearest(to: name, in: ConfigurationKey.sections)
    return InputError(
      subject, found: "unknown section" + (nearest.map { "; did you mean \($0)?" } ?? ""),
      expected: nearest == nil ? ConfigurationKey.sections.joined(separator: ", ") : "")
  }

  private static func unknownKey(_ name: String, subject: String) -> InputError {
    let section = name.prefix { $0 != "." }
    let key = name.contains(".") ? name.drop { $0 != "." }.dropFirst() : section
    let nearest =
      nearest(to: name, in: ConfigurationKey.all.map(\.name))
      ?? ConfigurationKey.all.first { $0.key == key }?.name
      ?? nearest(to: String(key), in: ConfigurationKey.all.map { String($0.key) }).flatMap { key in
        ConfigurationKey.all.first { $0.key == key }?.name
      }
    if let nearest { return InputError(subject, found: "unknown key; did you mean \(nearest)?") }
    let siblings = ConfigurationKey.all.filter { $0.section == section }.map { String($0.key) }
    let choices = siblings.isEmpty ? ConfigurationKey.sections.map { "\($0).…" } : siblings
    return InputError(subject, found: "unknown key", expected: choices.joined(separator: ", "))
  }

  /// The candidate that a typo away from `name`, if there is one.
  private static func nearest(to name: String, in candidates: [String]) -> String? {
    let distances = candidates.map { (distance: editDistance(name.lowercased(), $0), candidate: $0) }
    guard let nearest = distances.min(by: { $0.distance < $1.distance }) else { return nil }
    return nearest.distance <= max(1, min(3, name.count / 3)) ? nearest.candidate : nil
  }

  /// Insertions, deletions and replacements from one text to the other (Levenshtein).
  private static func editDistance(_ first: String, _ second: String) -> Int {
    let (first, second) = (Array(first.utf8.prefix(100)), Array(second.utf8))
    var row = Array(0...second.count)
    for (i, character) in first.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for j in second.indices {
        let replaced = diagonal + (character == second[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[second.count]
  }
}
