internal import Foundation
internal import Reports
internal import Tensors

/// A run's events for TensorBoard: `tensorboard --logdir runs` shows every run under its folder's name.
struct RunEvents: Sendable {
  /// What the names of all such files begin with: TensorFlow's, TensorBoard reads several in the order of their names.
  static let filePrefix = "events.out.tfevents."

  private let file: EventFile
  private let folder: RunFolder

  /// Begins a file in the run's folder.
  ///
  /// - Parameter step: Finished steps; 0 for a new run.
  /// - Throws: `InputError` where it cannot be written.
  init(_ folder: RunFolder, step: Int) throws(InputError) {
    let now = Date().timeIntervalSince1970
    let name = "\(Self.filePrefix)\(Int(now)).\(ProcessInfo.processInfo.hostName).\(getpid())"
    self.folder = folder
    file = try EventFile("\(folder.path)/\(name)", time: now, firstStep: step > 0 ? step + 1 : nil)
  }

  /// Appends an epoch's numbers; of the untrained network its test bound alone.
  ///
  /// - Throws: `InputError` where they cannot be written.
  func append(_ metrics: Metrics) throws(InputError) {
    var numbers: [(String, Double)] = []
    if metrics.epoch > 0 {
      numbers += [
        ("objective/training", metrics.trainObjective), ("optimizer/learning_rate", metrics.learningRate),
        ("speed/images_per_second", metrics.imagesPerSecond),
        ("speed/exposed_communication_seconds", metrics.exposedCommunicationSeconds),
      ]
    }
    if let objective = metrics.testObjective { numbers.append(("objective/test", objective)) }
    if let error = metrics.testStandardError { numbers.append(("objective/test_standard_error", error)) }
    if let norms = metrics.norms {
      numbers += [("optimizer/gradient_norm", norms.gradient), ("optimizer/update_ratio", norms.updateRatio)]
      numbers += norms.gradients.sorted { $0.key < $1.key }.map { ("gradient_norm/\($0.key)", $0.value) }
      numbers += norms.updateRatios.sorted { $0.key < $1.key }.map { ("update_ratio/\($0.key)", $0.value) }
    }
    try append(numbers.map { ($0, .scalar($1)) }, step: metrics.step)
  }

  /// Appends an epoch's figures: where trajectories end, parameters, gradients.
  ///
  /// - Throws: `InputError` where a figure cannot be read, or they cannot be written.
  func appendFigures(epoch: Int, step: Int) throws(InputError) {
    var pictures: [(tag: String, value: EventFile.Value)] = []
    let names = folder.figures().last { $0.epoch == epoch }?.names ?? []
    for name in RunPageFigures.throughEpochs where names.contains(name) {
      let png = try RunPageFigures.read(folder.figurePath(name, epoch: epoch))
      pictures.append((RunPageFigures.title(name), .picture(Array(png))))
    }
    try append(pictures, step: step)
  }

  private func append(_ values: [(tag: String, value: EventFile.Value)], step: Int) throws(InputError) {
    try file.append(values, step: step, time: Date().timeIntervalSince1970)
  }
}
