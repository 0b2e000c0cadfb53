internal import Network
internal import Tensors

/// What a run goes on from.
public enum ResumeRequest: Equatable, Sendable {
  /// Nothing: it begins.
  case none
  /// The newest checkpoint of its own folder (`--resume`), which the configuration file may name.
  case newest(configurationFile: String?)
  /// A checkpoint anywhere (`--resume-file`), in a new folder.
  case file(String)

  /// As ranks compare it.
  var description: String {
    switch self {
    case .none: "not given"
    case .newest: "given"
    case .file(let path): "from \(path)"
    }
  }
}

/// Rank 0's hold on the run's folder, with the checkpoint that the run goes on from.
final class OpenRun {
  let folder: RunFolder
  let checkpoint: CheckpointFile?
  /// Keeps other runs out as long as it lives.
  private let lock: FolderLock

  /// Makes or reopens the folder; for rank 0 alone.
  init(_ configuration: Configuration, resume: ResumeRequest) throws(InputError) {
    switch resume {
    case .none:
      checkpoint = nil
      folder = RunFolder(configuration)
      lock = try folder.create()
    case .file(let path):
      // Opened first: a checkpoint that is none leaves no folder behind.
      checkpoint = try CheckpointFile(contentsOf: path)
      try Self.check(checkpoint, configuration)
      folder = RunFolder(configuration)
      lock = try folder.create()
    case .newest(let configurationFile):
      folder = try RunFolder(resuming: configuration, configurationFile: configurationFile)
      lock = try folder.reopen()
      checkpoint = try CheckpointFile(contentsOf: folder.newestCheckpoint())
      try Self.check(checkpoint, configuration)
      try folder.metrics.cut(afterStep: checkpoint?.checkpoint.step ?? 0)
    }
    try folder.write(configuration, version: DPM.version)
  }

  /// The folder that a run would be in; makes and changes nothing.
  ///
  /// - Throws: `InputError` for whatever would keep the run from starting.
  static func folder(_ configuration: Configuration, resume: ResumeRequest) throws(InputError) -> RunFolder {
    switch resume {
    case .none: break
    case .file(let path): try check(CheckpointFile(contentsOf: path), configuration)
    case .newest(let configurationFile):
      let folder = try RunFolder(resuming: configuration, configurationFile: configurationFile)
      try check(CheckpointFile(contentsOf: folder.newestCheckpoint()), configuration)
      return folder
    }
    let folder = RunFolder(configuration)
    try folder.requireNew()
    return folder
  }

  /// What must not change when a run goes on.
  private static func check(_ file: CheckpointFile?, _ configuration: Configuration) throws(InputError) {
    guard let file else { return }
    try file.requireArchitecture(configuration.model)
    let (found, expected) = (configuration.training.batchSize, file.checkpoint.configuration.training.batchSize)
    guard found == expected else {
      // Steps and epochs could not be told from each other.
      throw InputError("training.batch_size", found: "\(found)", expected: "\(expected), as in \(file.path)")
    }
  }

  /// Puts the checkpoint's numbers into a run's state; nothing where there is no checkpoint.
  func restore(_ state: TrainingState) throws(InputError) {
    guard let checkpoint else { return }
    try checkpoint.load(into: state.buffers)
    state.step = checkpoint.checkpoint.step
    state.optimizer.stepCount = checkpoint.checkpoint.optimizerSteps
    state.epochObjectiveSum = checkpoint.checkpoint.epochObjectiveSum
    state.epochImages = checkpoint.checkpoint.epochImages
  }
}
