internal import CZlib
public import Network
public import Tensors

/// What a checkpoint says beside its tensors: all that a run needs to go on bit for bit, or a sample to be drawn.
///
/// The file is safetensors (FORMATS.md, "Checkpoint"). A run's state is a list of buffers laid out by `ParameterLayout`,
/// each with the prefix of its tensors' names: `""` for the parameters, `optimizer.` for the mean of squared gradients,
/// `optimizer.first_moment.` for Adam's mean gradient, `average.` for averaged parameters.
public struct Checkpoint: Equatable, Sendable {
  /// The run's configuration, completed by the data set; its seed is the file's.
  public var configuration: Configuration
  /// 1/s of the data's standardization.
  public var scale: Double
  /// -m/s of the data's standardization.
  public var shift: Double
  /// Finished epochs.
  public var epoch: Int
  /// Finished steps.
  public var step: Int
  /// The optimizer's updates, which Adam's corrections depend on.
  public var optimizerSteps: Int
  /// Σ J·images over the epoch that was cut in two; 0 at its end.
  public var epochObjectiveSum: Double
  /// Images of that part of the epoch.
  public var epochImages: Int
  /// The version of the program that wrote it.
  public var version: String

  /// Describes a checkpoint; see the properties.
  ///
  /// - Precondition: The configuration is completed, and the numbers are finite.
  public init(
    configuration: Configuration, scale: Double, shift: Double, epoch: Int, step: Int, optimizerSteps: Int,
    epochObjectiveSum: Double = 0, epochImages: Int = 0, version: String
  ) {
    self.configuration = configuration
    self.scale = scale
    self.shift = shift
    self.epoch = epoch
    self.step = step
    self.optimizerSteps = optimizerSteps
    self.epochObjectiveSum = epochObjectiveSum
    self.epochImages = epochImages
    self.version = version
  }

  /// The network's sizes.
  public var architecture: Architecture { configuration.model }

  /// Writes the checkpoint: whole, or not at all.
  ///
  /// Tensors stand in the order conv, dense_lower, dense_upper, each branch from its first layer to its last.
  ///
  /// - Parameters:
  ///   - path: The file; an older one of the name is replaced.
  ///   - state: The buffers, the parameters among them; nothing is copied.
  /// - Throws: `InputError` with the system's text; an older file is then still there.
  public func write(
    to path: String, state: [(prefix: String, buffer: FloatBuffer)]
  ) throws(InputError) {
    let layout = ParameterLayout(architecture)
    var metadata = metadata
    for (prefix, buffer) in state {
      for entry in layout.entries {
        metadata[Self.checksumPrefix + prefix + entry.name] = Self.checksum(of: entry, in: buffer)
      }
    }
    var writer = SafetensorsWriter(metadata: metadata)
    for (prefix, buffer) in state {
      for entry in layout.naturalOrder {
        writer.add(
          prefix + entry.name, shape: entry.shape,
          values: UnsafeBufferPointer(start: buffer.pointer + entry.offset, count: entry.count))
      }
    }
    try AtomicFile.write(to: path) { file throws(InputError) in
      try writer.write { bytes throws(InputError) in try file.append(bytes) }
    }
  }

  static let format = "dpm-1"
  /// In front of a tensor's name: the key of its checksum.
  static let checksumPrefix = "crc32."

  /// The CRC-32 of a tensor's bytes, as eight hexadecimal digits.
  static func checksum(of entry: ParameterLayout.Entry, in buffer: FloatBuffer) -> String {
    precondition(buffer.count >= entry.range.upperBound, "the buffer is too small for the layout")
    let bytes = UnsafeRawPointer(buffer.pointer + entry.offset).assumingMemoryBound(to: UInt8.self)
    let digits = String(crc32_z(0, bytes, entry.count * MemoryLayout<Float>.stride), radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  private var metadata: [String: String] {
    [
      "format": Self.format, "config": configuration.json, "scale": scale.description, "shift": shift.description,
      "epoch": String(epoch), "step": String(step), "seed": String(configuration.training.seed), "version": version,
      "optimizer": configuration.training.optimizer.rawValue, "optimizer_steps": String(optimizerSteps),
      "epoch_objective_sum": epochObjectiveSum.description, "epoch_images": String(epochImages),
    ]
  }
}

extension ParameterLayout {
  /// The tensors by branch and layer, in the order of a forward pass through each branch.
  var naturalOrder: [Entry] {
    func key(_ entry: Entry) -> (branch: Substring, layer: Int) {
      let parts = entry.name.split(separator: ".")
      return (parts.first ?? "", parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
    }
    // Within a layer the layout's own order is the natural one.
    return entries.sorted { key($0) < key($1) || (key($0) == key($1) && $0.offset < $1.offset) }
  }
}
