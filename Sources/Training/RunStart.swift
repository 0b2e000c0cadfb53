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
  /// The newest checkpoint of its own folder, which need be neither there nor have one (`--resume-or-start`): the run then
  /// begins, from a checkpoint anywhere if there is one.
  case newestOrStart(configurationFile: String?, checkpoint: String?)

  /// As ranks compare it.
  var description: String {
    switch self {
    case .none: "not given"
    case .newest: "given"
    case .newestOrStart(_, let path): "or start" + (path.map { ", from \($0)" } ?? "")
    case .file(let path): "from \(path)"
    }
  }
}

/// Rank 0's hold on the run's folder, with the checkpoint that the run goes on from.
final class OpenRun {
  let folder: RunFolder
  let checkpoint: CheckpointFile?
  /// What of the recipe is not as in the checkpoint.
  let changes: [(name: String, before: String, now: String)]
  /// When the newest checkpoint was written or, before the first one, the run opened.
  var checkpointTime = ContinuousClock.now
  private let checkpointMinutes: Double
  /// Keeps other runs out as long as it lives.
  private let lock: FolderLock

  /// Makes or reopens the folder; for rank 0 alone.
  ///
  /// - Parameter imageCount: Of the training set.
  init(_ configuration: Configuration, resume: ResumeRequest, imageCount: Int) throws(InputError) {
    checkpointMinutes = configuration.output.checkpointMinutes
    let room = TrainingState.checkpointBytes(configuration)
    switch resume {
    case .none:
      checkpoint = nil
      folder = RunFolder(configuration)
      try folder.requireRoom(bytes: room)
      lock = try folder.create()
    case .file(let path):
      // Opened first: a checkpoint that is none leaves no folder behind.
      checkpoint = try Self.checkpoint(path, configuration)
      folder = RunFolder(configuration)
      try folder.requireRoom(bytes: room)
      lock = try folder.create()
    case .newest(let configurationFile):
      folder = try RunFolder(resuming: configuration, configurationFile: configurationFile)
      lock = try folder.reopen()
      try folder.requireRoom(bytes: room)
      checkpoint = try Self.ownCheckpoint(folder.newestCheckpoint(), configuration, imageCount)
      try folder.metrics.cut(afterStep: checkpoint?.checkpoint.step ?? 0)
    case .newestOrStart(let configurationFile, let path):
      folder = try RunFolder(
        resuming: configuration, configurationFile: configurationFile, flag: "--resume-or-start")
      // As with a file alone; what the run itself has is newer.
      let origin: CheckpointFile? =
        if let path, folder.checkpoints().isEmpty { try Self.checkpoint(path, configuration) } else { nil }
      try folder.requireRoom(bytes: room)
      lock = try folder.createOrReopen()
      if let newest = folder.checkpoints().last {
        checkpoint = try Self.ownCheckpoint(newest, configuration, imageCount)
        try folder.metrics.cut(afterStep: checkpoint?.checkpoint.step ?? 0)
      } else {
        checkpoint = origin
        try folder.clear()
      }
    }
    changes = checkpoint.map { configuration.recipeChanges(since: $0.checkpoint.configuration) } ?? []
    // Where nothing is left to be trained, the file stays that of what was.
    if configuration.training.epochs > checkpoint?.checkpoint.epoch ?? -1 || !folder.hasConfiguration {
      try folder.write(configuration, version: DPM.version)
    }
  }

  /// The folder that a run would be in; makes and changes nothing.
  ///
  /// - Throws: `InputError` for whatever would keep the run from starting.
  static func folder(
    _ configuration: Configuration, resume: ResumeRequest, imageCount: Int
  ) throws(InputError) -> RunFolder {
    let folder: RunFolder
    switch resume {
    case .none:
      folder = RunFolder(configuration)
      try folder.requireNew()
    case .file(let path):
      _ = try checkpoint(path, configuration)
      folder = RunFolder(configuration)
      try folder.requireNew()
    case .newest(let configurationFile):
      folder = try RunFolder(resuming: configuration, configurationFile: configurationFile)
      _ = try ownCheckpoint(folder.newestCheckpoint(), configuration, imageCount)
    case .newestOrStart(let configurationFile, let path):
      folder = try RunFolder(
        resuming: configuration, configurationFile: configurationFile, flag: "--resume-or-start")
      if let newest = folder.checkpoints().last {
        _ = try ownCheckpoint(newest, configuration, imageCount)
      } else if let path {
        _ = try checkpoint(path, configuration)
      }
      if try !folder.isRuns() { try folder.requireNew() }
    }
    try folder.requireRoom(bytes: TrainingState.checkpointBytes(configuration))
    return folder
  }

  /// Opens a checkpoint, and checks what must not change when a run goes on.
  private static func checkpoint(_ path: String, _ configuration: Configuration) throws(InputError) -> CheckpointFile {
    let file = try CheckpointFile(contentsOf: path)
    try file.requireArchitecture(configuration.model)
    let (found, expected) = (configuration.training.batchSize, file.checkpoint.configuration.training.batchSize)
    guard found == expected else {
      // Steps and epochs could not be told from each other.
      throw InputError("training.batch_size", found: "\(found)", expected: "\(expected), as in \(file.path)")
    }
    return file
  }

  /// Opens the newest checkpoint of the run itself, whose epochs must be as long as this training set's: others would write
  /// over its checkpoints.
  private static func ownCheckpoint(
    _ path: String, _ configuration: Configuration, _ imageCount: Int
  ) throws(InputError) -> CheckpointFile {
    let file = try checkpoint(path, configuration)
    let before = file.checkpoint
    let stepsPerEpoch = configuration.training.stepsPerEpoch(imageCount: imageCount)
    let (epoch, rest) = before.step.quotientAndRemainder(dividingBy: stepsPerEpoch)
    guard epoch == before.epoch, (rest == 0) == (before.epochImages == 0) else {
      throw InputError(
        "the training set", found: "\(imageCount) images, \(count(stepsPerEpoch, "step")) an epoch",
        expected: "as many as the run had: \(path) is of step \(before.step), "
          + "\(before.epochImages == 0 ? "the end" : "within what follows") of epoch \(before.epoch); --resume-file \(path) begins "
          + "another run from it")
    }
    return file
  }

  /// Whether the newest checkpoint is so old that there must be one within the epoch.
  var isCheckpointDue: Bool {
    checkpointMinutes > 0 && checkpointTime.duration(to: .now).seconds >= 60 * checkpointMinutes
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
