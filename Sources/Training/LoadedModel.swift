internal import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// A checkpoint's model, ready to be evaluated or sampled from.
struct LoadedModel {
  let path: String
  let checkpoint: Checkpoint
  let layout: ParameterLayout
  let schedule: NoiseSchedule
  let standardization: Standardization
  /// The averaged parameters where the checkpoint has them, else its parameters.
  let parameters: FloatBuffer
  let isAverage: Bool
  let kernels: any KernelSet

  /// Every rank reads the file; collective.
  ///
  /// - Parameter place: A checkpoint, or a run's folder, which stands for its newest one.
  /// - Throws: `InputError` for what is wrong with it, the same on all ranks.
  init(contentsOf place: String, on communicator: Communicator) throws {
    kernels = try communicator.chooseKernels()
    let (path, file, layout, parameters) = try communicator.agree("read the checkpoint") {
      let path = try OutputFile.isFolder(place) ? RunFolder(path: place).newestCheckpoint() : place
      let file = try CheckpointFile(contentsOf: path)
      let layout = ParameterLayout(file.checkpoint.architecture)
      let parameters = layout.parameterBuffer()
      try file.load(into: [(prefix: file.prefixes.contains("average.") ? "average." : "", buffer: parameters)])
      return (path, file, layout, parameters)
    }
    self.path = path
    self.layout = layout
    self.parameters = parameters
    checkpoint = file.checkpoint
    isAverage = file.prefixes.contains("average.")
    standardization = Standardization(scale: checkpoint.scale, shift: checkpoint.shift)
    schedule = NoiseSchedule(checkpoint.architecture)
    try communicator.requireSameOnAllRanks(
      checkpoint.configuration.facts
        + [("the checkpoint's step", "\(checkpoint.step)"), ("the parameters' digest", parameters.digest())])
  }

  /// What a report says of the model.
  var description: String {
    "epoch \(checkpoint.epoch), step \(checkpoint.step), \(isAverage ? "averaged parameters" : "parameters as trained")"
  }

  /// The model's configuration with the folder that its data set is read from: the flag's, the one that it was trained on,
  /// the environment's, or the cache.
  func configuration(dataFolder folder: String?, isOffline: Bool) -> Configuration {
    var configuration = checkpoint.configuration
    let trained = configuration.dataset.path.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }
    let environment = ProcessInfo.processInfo.environment["DPM_DATA_DIR"].flatMap { $0.isEmpty ? nil : $0 }
    configuration.dataset.path = folder ?? trained ?? environment
    configuration.dataset.isOffline = configuration.dataset.isOffline || isOffline
    return configuration
  }
}
