public import Network
public import Tensors

/// An open checkpoint: its description, checked, and its tensors, to be loaded.
public final class CheckpointFile: Sendable {
  /// The file, as errors name it.
  public let path: String
  /// What it says beside its tensors.
  public let checkpoint: Checkpoint
  /// Which parts of a run's state it has, by the prefix of their tensors' names.
  public let prefixes: [String]
  private let file: SafetensorsFile

  /// What a checkpoint may hold, by the prefix of its tensors' names.
  static let knownPrefixes = ["", "optimizer.", "optimizer.first_moment.", "average."]

  /// Opens a checkpoint; its tensors are those of its own architecture when this returns.
  ///
  /// - Throws: `InputError` if it is no checkpoint, or damaged, or tensors are missing, too many or of other shapes.
  public init(contentsOf path: String) throws(InputError) {
    self.path = path
    file = try SafetensorsFile(contentsOf: path)
    let metadata = CheckpointMetadata(file)
    let format = try metadata.text("format")
    guard format == Checkpoint.format else {
      throw InputError(path, found: "format \(format)", expected: Checkpoint.format)
    }
    checkpoint = try metadata.checkpoint()
    prefixes = try Self.checkTensors(of: file, layout: ParameterLayout(checkpoint.architecture))
  }

  /// Makes sure that the checkpoint is of a given architecture.
  ///
  /// - Throws: `InputError` with the first key that differs, and both values.
  public func requireArchitecture(_ architecture: Architecture) throws(InputError) {
    var wanted = Configuration()
    wanted.model = architecture
    wanted.spatialWidth = architecture.spatialWidth
    wanted.colorCount = architecture.colorCount
    // How many t a minibatch is averaged over is no property of the weights.
    for key in ConfigurationKey.all where key.section == "model" && key.key != "n_t_per_minibatch" {
      let (found, expected) = (key.read(checkpoint.configuration), key.read(wanted))
      guard found == expected else {
        throw InputError(path, found: "a model of \(key.key) \(found.yaml)", expected: expected.yaml)
      }
    }
  }

  /// Loads parts of a run's state, of the checkpoint's own architecture.
  ///
  /// - Parameter state: The buffers, each with its prefix; their padding is left as it is.
  /// - Throws: `InputError` if a part is not in the file, a tensor's checksum differs, or reading fails. Buffers then hold
  ///   something between before and after.
  public func load(into state: [(prefix: String, buffer: FloatBuffer)]) throws(InputError) {
    let layout = ParameterLayout(checkpoint.architecture)
    for (prefix, buffer) in state {
      precondition(buffer.count >= layout.count, "the buffer is too small for the checkpoint's architecture")
      guard prefixes.contains(prefix) else {
        throw InputError(path, found: "no tensors \(prefix)…", expected: "those, which the run's \(prefix.owner) needs")
      }
      for entry in layout.entries {
        let name = prefix + entry.name
        try file.read(name, into: UnsafeMutableBufferPointer(start: buffer.pointer + entry.offset, count: entry.count))
        let computed = Checkpoint.checksum(of: entry, in: buffer)
        // Files of other writers may have none.
        let stored = file.metadata[Checkpoint.checksumPrefix + name] ?? computed
        guard computed == stored else {
          throw InputError(path, found: "tensor \(name) is damaged: checksum \(computed)", expected: stored)
        }
      }
    }
  }

  /// Compares the file's tensors with a layout's, and says which parts of a state they are.
  private static func checkTensors(
    of file: SafetensorsFile, layout: ParameterLayout
  ) throws(InputError) -> [String] {
    var unknown = Set(file.names)
    let prefixes = knownPrefixes.filter { prefix in
      prefix.isEmpty || layout.entries.contains { file.contains(prefix + $0.name) }
    }
    for prefix in prefixes {
      for entry in layout.naturalOrder {
        let name = prefix + entry.name
        guard unknown.remove(name) != nil else {
          throw InputError(file.path, found: "no tensor \(name)", expected: "one of shape \(entry.shape)")
        }
        let (shape, type) = (try file.shape(of: name), try file.type(of: name))
        guard shape == entry.shape, type == .float32 else {
          throw InputError(
            file.path, found: "tensor \(name) of \(type.rawValue) \(shape)",
            expected: "\(SafetensorsType.float32.rawValue) \(entry.shape)")
        }
      }
    }
    guard let extra = unknown.min() else { return prefixes }
    throw InputError(file.path, found: "tensor \(extra)", expected: "only those of its own model")
  }
}

extension String {
  /// What a prefix's tensors belong to.
  fileprivate var owner: String { hasPrefix("optimizer") ? "optimizer" : "average" }
}

/// Reads the strings under `__metadata__` of a checkpoint.
private struct CheckpointMetadata {
  let path: String
  let strings: [String: String]

  init(_ file: SafetensorsFile) {
    path = file.path
    strings = file.metadata
  }

  /// Longest configuration that is read; a real one has about 2 KB.
  private static let mostConfigurationBytes = 1 << 20

  func checkpoint() throws(InputError) -> Checkpoint {
    let json = try text("config")
    guard json.utf8.count <= Self.mostConfigurationBytes else {
      throw InputError(path, found: "config of \(json.utf8.count) bytes", expected: "a shorter one")
    }
    let source = "\(path): config"
    var configuration = try Configuration(json: json, source: source)
    guard configuration.spatialWidth != nil, configuration.colorCount != nil else {
      throw InputError(source, found: "no spatial_width or n_colors", expected: "both under model")
    }
    configuration.training.seed = UInt64(try integer("seed"))
    let configured = configuration.training.optimizer.rawValue
    let optimizer = strings["optimizer"] ?? configured
    guard optimizer == configured else {
      throw InputError(path, found: "optimizer \(optimizer)", expected: "\(configured), as in its config")
    }
    let scale = try number("scale")
    guard scale > 0 else { throw InputError(path, found: "scale \(scale)", expected: "a number above 0") }
    let step = try integer("step")
    return Checkpoint(
      configuration: configuration, scale: scale, shift: try number("shift"), epoch: try integer("epoch"), step: step,
      optimizerSteps: try strings["optimizer_steps"] == nil ? step : integer("optimizer_steps"),
      // Not finite after a step whose objective was not: the run has gone on.
      epochObjectiveSum: try strings["epoch_objective_sum"] == nil
        ? 0 : number("epoch_objective_sum", canBeInfinite: true),
      epochImages: try strings["epoch_images"] == nil ? 0 : integer("epoch_images"), version: try text("version"))
  }

  func text(_ key: String) throws(InputError) -> String {
    guard let text = strings[key] else {
      throw InputError(path, found: "no \(key) in its metadata", expected: "a \(Checkpoint.format) checkpoint")
    }
    return text
  }

  /// A number that counts something.
  private func integer(_ key: String) throws(InputError) -> Int {
    let text = try text(key)
    guard let integer = Int(text), integer >= 0 else {
      throw InputError(path, found: "\(key) \(text)", expected: "an integer from 0")
    }
    return integer
  }

  private func number(_ key: String, canBeInfinite: Bool = false) throws(InputError) -> Double {
    let text = try text(key)
    guard let number = Double(text), number.isFinite || canBeInfinite else {
      throw InputError(path, found: "\(key) \(text)", expected: canBeInfinite ? "a number" : "a finite number")
    }
    return number
  }
}
