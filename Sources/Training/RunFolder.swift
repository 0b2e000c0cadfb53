internal import Datasets
public import Foundation
public import Tensors

/// Where a run writes: the paths in its folder (FORMATS.md, "Run folder"), and what is done with the folder as a whole.
///
/// A value without any hold on the folder; `create` and `reopen` give the lock that keeps other runs out, on rank 0.
public struct RunFolder: Equatable, Sendable {
  /// The folder.
  public let path: String

  /// The folder at a path, whether it exists yet or not.
  public init(path: String) { self.path = path }

  /// The folder of a new run: in the output directory, of the name given, or `dataset[-suffix]-YYYYMMDD-HHMMSS`.
  public init(_ configuration: Configuration, date: Date = Date()) {
    let output = configuration.output
    let suffix = output.suffix.isEmpty ? "" : "-\(output.suffix)"
    let name = output.name ?? "\(configuration.dataset.name.rawValue)\(suffix)-\(Self.stamp(date))"
    path = "\(output.directory)/\(name)"
  }

  /// The folder of the run that `--resume` goes on with.
  ///
  /// - Parameters:
  ///   - configurationFile: The file that the command was given: a run's own `config.yaml` names its folder.
  ///   - flag: What an error names.
  /// - Throws: `InputError` if nothing names a run.
  public init(
    resuming configuration: Configuration, configurationFile: String?, flag: String = "--resume"
  ) throws(InputError) {
    if let name = configuration.output.name {
      path = "\(configuration.output.directory)/\(name)"
    } else if let configurationFile, let folder = Self.folder(ofConfigurationFile: configurationFile) {
      path = folder
    } else {
      throw InputError(
        flag, found: "no run's name", expected: "--name NAME, or the config.yaml in the run's folder")
    }
  }

  // MARK: - Paths

  /// The resolved configuration, which repeats the run.
  public var configurationPath: String { "\(path)/\(Self.configurationName)" }
  /// One line of numbers an epoch.
  public var metrics: MetricsFile { MetricsFile("\(path)/metrics.jsonl") }
  /// The untrained network's line, with its test bound, of a run that began with figures: `metrics` has a line an epoch and no more.
  var untrained: MetricsFile { MetricsFile(figurePath("metrics.jsonl", epoch: 0)) }
  /// What was printed.
  public var logPath: String { "\(path)/train.log" }
  /// The page that shows the run.
  public var pagePath: String { "\(path)/report.html" }

  /// A checkpoint after so many epochs.
  ///
  /// - Parameter step: The finished steps, where the next epoch has been begun; nil at an epoch's end.
  public func checkpointPath(epoch: Int, step: Int? = nil) -> String {
    "\(checkpointsPath)/\(Self.epochName(epoch))\(step.map { "-step-\($0)" } ?? "")\(Self.checkpointSuffix)"
  }

  /// A figure of the whole run.
  public func figurePath(_ name: String) -> String { "\(figuresPath)/\(name)" }

  /// A figure after so many epochs; `createFiguresFolder` makes its folder.
  public func figurePath(_ name: String, epoch: Int) -> String { "\(figuresPath)/\(Self.epochName(epoch))/\(name)" }

  // MARK: - Files

  /// Makes the folder of a new run, and locks it.
  ///
  /// - Returns: The lock: the folder is the run's as long as it is held.
  /// - Throws: `InputError` if it exists already, or cannot be made.
  public func create() throws(InputError) -> FolderLock {
    try Self.makeFolders(upTo: URL(fileURLWithPath: path).deletingLastPathComponent().path)
    guard mkdir(path, 0o777) == 0 else {
      if errno == EEXIST { throw existsAlready }
      throw InputError(systemFault: path, expected: "a folder that can be made")
    }
    let lock = try FolderLock(folder: path)
    try Self.makeFolders(upTo: checkpointsPath)
    try Self.makeFolders(upTo: figuresPath)
    return lock
  }

  private var existsAlready: InputError {
    InputError(
      path, found: "exists already",
      expected: "--resume to go on with it, --resume-or-start if it has no checkpoint yet, or another --name")
  }

  /// Whether `create` would make the folder, as far as can be told without trying.
  ///
  /// - Throws: `InputError` as `create` would.
  func requireNew() throws(InputError) {
    guard access(path, F_OK) != 0 else { throw existsAlready }
    let parent = Self.nearestFolder(to: URL(fileURLWithPath: path).deletingLastPathComponent().path)
    var status = stat()
    if stat(parent, &status) == 0, status.st_mode & S_IFMT != S_IFDIR {
      throw InputError(parent, found: "a file", expected: "a folder")
    }
    try Self.requireWritable(parent)
  }

  /// Whether checkpoints can be written, of so many bytes each, as far as can be told without trying.
  ///
  /// - Throws: `InputError` with the folder and what is missing.
  func requireRoom(bytes: Int) throws(InputError) {
    let folder = Self.nearestFolder(to: checkpointsPath)
    try Self.requireWritable(folder)
    try requireFreeSpace(bytes: bytes, in: folder, advice: " at least, which a checkpoint takes")
  }

  private static func requireWritable(_ folder: String) throws(InputError) {
    guard access(folder, W_OK | X_OK) == 0 else {
      throw InputError(systemFault: folder, expected: "a folder that can be written to")
    }
  }

  /// The lowest folder on the way to a path that there is.
  private static func nearestFolder(to path: String) -> String {
    var folder = URL(fileURLWithPath: path).path
    while access(folder, F_OK) != 0, errno == ENOENT || errno == ENOTDIR, folder != "/" {
      folder = URL(fileURLWithPath: folder).deletingLastPathComponent().path
    }
    return folder
  }

  /// Whether there is a `config.yaml`.
  var hasConfiguration: Bool { access(configurationPath, F_OK) == 0 }

  /// Locks the folder of an earlier run to go on with it, and sweeps what a killed process left half-written.
  ///
  /// - Throws: `InputError` if there is no such run, or another process is at it.
  public func reopen() throws(InputError) -> FolderLock {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: checkpointsPath, isDirectory: &isFolder), isFolder.boolValue else {
      throw InputError(
        path, found: "no run's folder",
        expected: "one with checkpoints in it; --resume-or-start begins where there is none")
    }
    let lock = try FolderLock(folder: path)
    try Self.makeFolders(upTo: figuresPath)
    let figureFolders = figures().map { "\(figuresPath)/\(Self.epochName($0.epoch))" }
    for folder in [path, checkpointsPath, figuresPath] + figureFolders { AtomicFile.sweepLeftovers(in: folder) }
    return lock
  }

  /// Makes the folder, or locks the one that is there: an earlier run's, which may have died before it had anything in it.
  ///
  /// - Throws: `InputError` as `create` and `reopen`, or if the folder is no run's.
  public func createOrReopen() throws(InputError) -> FolderLock {
    guard try isRuns() else { return try create() }
    try Self.makeFolders(upTo: checkpointsPath)
    return try reopen()
  }

  /// Whether there is a folder, and not of anything else than a run.
  ///
  /// - Throws: `InputError` if it is of something else.
  func isRuns() throws(InputError) -> Bool {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { return false }
    // What is there before the configuration is; and leftovers, whose names begin with a dot.
    let first = [FolderLock.fileName, Self.checkpointsName, Self.figuresName]
    guard
      names.contains(Self.configurationName) && names.contains(Self.checkpointsName)
        || names.allSatisfy({ first.contains($0) || $0.hasPrefix(".") })
    else {
      throw InputError(path, found: "a folder that is no run's", expected: "another --name")
    }
    return true
  }

  /// Removes what a run wrote that has no checkpoint, so that another begins in its place.
  ///
  /// - Throws: `InputError` with the system's text.
  func clear() throws(InputError) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let events = names.filter { $0.hasPrefix(RunEvents.filePrefix) }.map { "\(path)/\($0)" }
    for path in [metrics.path, logPath, pagePath, figuresPath] + events where access(path, F_OK) == 0 {
      do { try FileManager.default.removeItem(atPath: path) } catch {
        throw InputError(path, found: "\(error.localizedDescription)", expected: "a file that can be removed")
      }
    }
    try Self.makeFolders(upTo: figuresPath)
  }

  /// Writes `config.yaml`.
  ///
  /// Without the run's name: repeated, the run makes a folder of its own.
  ///
  /// - Throws: `InputError` with the system's text.
  public func write(_ configuration: Configuration, version: String) throws(InputError) {
    var repeatable = configuration
    repeatable.output.name = nil
    try AtomicFile.write(
      "# dpm-train \(version), as resolved: `dpm-train \(Self.configurationName)` repeats the run.\n\(repeatable.yaml)",
      to: configurationPath)
  }

  /// Makes the folder of an epoch's figures.
  ///
  /// - Throws: `InputError` with the system's text.
  public func createFiguresFolder(epoch: Int) throws(InputError) {
    try Self.makeFolders(upTo: "\(figuresPath)/\(Self.epochName(epoch))")
  }

  /// What figures there are, by epoch, ascending; names in alphabetical order.
  func figures() -> [(epoch: Int, names: [String])] {
    func contents(_ path: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
    return contents(figuresPath).compactMap { name in
      guard let match = name.wholeMatch(of: /epoch-([0-9]{4,18})/), let epoch = Int(match.1) else { return nil }
      let names = contents("\(figuresPath)/\(name)").filter { $0.hasSuffix(".png") && !$0.hasPrefix(".") }
      return (epoch, names.sorted())
    }.sorted { $0.epoch < $1.epoch }
  }

  /// All checkpoints, from the oldest to the newest.
  public func checkpoints() -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: checkpointsPath)) ?? []
    let found = names.compactMap { name in Self.position(ofCheckpoint: name).map { (position: $0, name: name) } }
    return found.sorted { $0.position < $1.position }.map { "\(checkpointsPath)/\($0.name)" }
  }

  /// The newest checkpoint.
  ///
  /// - Throws: `InputError` if there is none.
  public func newestCheckpoint() throws(InputError) -> String {
    guard let newest = checkpoints().last else {
      throw InputError(
        checkpointsPath, found: "no checkpoint",
        expected: "one at least, epoch-….safetensors; dpm-train --resume-or-start begins without")
    }
    return newest
  }

  /// Removes all checkpoints but the newest; of those within an epoch, which only serve to go on from, all that are not the last.
  ///
  /// - Parameter count: How many of those at epochs' ends stay; 0: all.
  public func pruneCheckpoints(keeping count: Int) {
    let all = checkpoints()
    let kept = all.filter { !Self.isWithinEpoch($0) }.suffix(count > 0 ? count : all.count) + all.suffix(1)
    // One that cannot be removed costs space, which is no reason to stop training.
    for path in all where !kept.contains(path) { unlink(path) }
  }

  // MARK: - Names

  private static let configurationName = "config.yaml"
  private static let checkpointsName = "checkpoints"
  private static let figuresName = "figures"
  private static let checkpointSuffix = ".safetensors"
  private var checkpointsPath: String { "\(path)/\(Self.checkpointsName)" }
  private var figuresPath: String { "\(path)/\(Self.figuresName)" }

  private static func epochName(_ epoch: Int) -> String { "epoch-" + padded(epoch, to: 4) }

  /// The epoch and the step of a checkpoint's name; nil for other names.
  private static func position(ofCheckpoint name: String) -> (epoch: Int, step: Int)? {
    guard let match = name.wholeMatch(of: /epoch-([0-9]{4,18})(?:-step-([0-9]{1,18}))?\.safetensors/),
      let epoch = Int(match.1)
    else { return nil }
    return (epoch, match.2.flatMap { Int($0) } ?? 0)
  }

  private static func isWithinEpoch(_ checkpoint: String) -> Bool { checkpoint.contains(/-step-[0-9]+\.safetensors$/) }

  /// The run's folder that a file is the `config.yaml` of; nil if it is not.
  private static func folder(ofConfigurationFile file: String) -> String? {
    let url = URL(fileURLWithPath: file)
    let folder = url.deletingLastPathComponent()
    guard url.lastPathComponent == configurationName,
      FileManager.default.fileExists(atPath: folder.appendingPathComponent(checkpointsName).path)
    else { return nil }
    return folder.path
  }

  /// `YYYYMMDD-HHMMSS` in local time.
  private static func stamp(_ date: Date) -> String {
    var seconds = time_t(date.timeIntervalSince1970.rounded(.down))
    var local = tm()
    localtime_r(&seconds, &local)
    let day = [local.tm_year + 1900, local.tm_mon + 1, local.tm_mday].map { padded(Int($0), to: 2) }
    let time = [local.tm_hour, local.tm_min, local.tm_sec].map { padded(Int($0), to: 2) }
    return "\(day.joined())-\(time.joined())"
  }

  private static func padded(_ number: Int, to width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Makes a folder with all that it lies in; one that exists is no error.
  private static func makeFolders(upTo path: String) throws(InputError) {
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw InputError(path, found: "a file", expected: "a folder") }
      return
    }
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    if parent != path && path.contains("/") { try makeFolders(upTo: parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw InputError(systemFault: path, expected: "a folder that can be made")
    }
  }
}
