internal import Foundation
public import Tensors

/// One line of `metrics.jsonl`: what an epoch came to.
public struct Metrics: Equatable, Sendable {
  /// Finished epochs.
  public var epoch: Int
  /// Finished steps.
  public var step: Int
  /// Images seen.
  public var images: Int
  /// J on the epoch's minibatches, in bits/pixel.
  public var trainObjective: Double
  /// The epoch's learning rate.
  public var learningRate: Double
  /// Wall-clock seconds of the epoch's training.
  public var seconds: Double
  /// Images per second, over all ranks.
  public var imagesPerSecond: Double
  /// Ranks that trained.
  public var ranks: Int
  /// Seconds in which ranks waited for each other and did nothing else; of the rank that waited longest.
  public var exposedCommunicationSeconds: Double
  /// Seconds from the beginning of each step's first message to the end of its last; of the rank with most.
  public var communicationSeconds: Double
  /// Steps in which some tensor's gradient was not finite.
  public var badSteps: Int
  /// J on the test set, in bits/pixel, where it was evaluated.
  public var testObjective: Double?
  /// Its standard error.
  public var testStandardError: Double?
  /// What the test objective is to be compared with, where it was evaluated.
  public var yardstick: Yardstick?
  /// Norms of the epoch's last full minibatch; nil where a signal cut the epoch behind it.
  public var norms: StepNorms?

  /// An epoch's record; see the properties.
  public init(
    epoch: Int, step: Int, images: Int, trainObjective: Double, learningRate: Double, seconds: Double,
    imagesPerSecond: Double, ranks: Int, exposedCommunicationSeconds: Double,
    communicationSeconds: Double, badSteps: Int,
    testObjective: Double? = nil, testStandardError: Double? = nil, yardstick: Yardstick? = nil,
    norms: StepNorms? = nil
  ) {
    self.epoch = epoch
    self.step = step
    self.images = images
    self.trainObjective = trainObjective
    self.learningRate = learningRate
    self.seconds = seconds
    self.imagesPerSecond = imagesPerSecond
    self.ranks = ranks
    self.exposedCommunicationSeconds = exposedCommunicationSeconds
    self.communicationSeconds = communicationSeconds
    self.badSteps = badSteps
    self.testObjective = testObjective
    self.testStandardError = testStandardError
    self.yardstick = yardstick
    self.norms = norms
  }
}

extension Metrics: Codable {
  enum CodingKeys: String, CodingKey {
    case epoch, step, images
    case trainObjective = "train_objective"
    case learningRate = "learning_rate"
    case seconds
    case imagesPerSecond = "images_per_second"
    case ranks
    case exposedCommunicationSeconds = "exposed_communication_seconds"
    case communicationSeconds = "communication_seconds"
    case badSteps = "bad_steps"
    case testObjective = "test_objective"
    case testStandardError = "test_standard_error"
    // All in the sign of J, lower is better, to be drawn beside the objectives.
    case pixelGaussians = "pixel_gaussians_objective"
    case fullGaussian = "full_gaussian_objective"
    case ceiling = "ceiling_objective"
    case gradientNorm = "gradient_norm"
    case updateRatio = "update_ratio"
    case layerGradientNorms = "layer_gradient_norms"
    case layerUpdateRatios = "layer_update_ratios"
  }

  /// Reads a line; null stands for a number that was not finite.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double { try values.decode(Double?.self, forKey: key) ?? .nan }
    func optionalNumber(_ key: CodingKeys) throws -> Double? { values.contains(key) ? try number(key) : nil }
    epoch = try values.decode(Int.self, forKey: .epoch)
    step = try values.decode(Int.self, forKey: .step)
    images = try values.decode(Int.self, forKey: .images)
    trainObjective = try number(.trainObjective)
    learningRate = try number(.learningRate)
    seconds = try number(.seconds)
    imagesPerSecond = try number(.imagesPerSecond)
    ranks = try values.decode(Int.self, forKey: .ranks)
    exposedCommunicationSeconds = try number(.exposedCommunicationSeconds)
    // The first runs did not write it.
    communicationSeconds = try optionalNumber(.communicationSeconds) ?? exposedCommunicationSeconds
    badSteps = try values.decode(Int.self, forKey: .badSteps)
    testObjective = try optionalNumber(.testObjective)
    testStandardError = try optionalNumber(.testStandardError)
    if let pixelGaussians = try optionalNumber(.pixelGaussians), let ceiling = try optionalNumber(.ceiling) {
      yardstick = Yardstick(
        pixelGaussians: pixelGaussians, fullGaussian: try optionalNumber(.fullGaussian), ceiling: ceiling)
    }
    if let gradientNorm = try optionalNumber(.gradientNorm), let updateRatio = try optionalNumber(.updateRatio) {
      func layers(_ key: CodingKeys) throws -> [String: Double] {
        try values.decodeIfPresent([String: Double?].self, forKey: key)?.mapValues { $0 ?? .nan } ?? [:]
      }
      norms = StepNorms(
        gradient: gradientNorm, updateRatio: updateRatio, gradients: try layers(.layerGradientNorms),
        updateRatios: try layers(.layerUpdateRatios))
    }
  }

  /// Writes the record; JSON has no infinities and NaNs, they become null.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    func put(_ number: Double, _ key: CodingKeys) throws {
      try values.encode(NullUnlessFinite(wrappedValue: number), forKey: key)
    }
    try values.encode(epoch, forKey: .epoch)
    try values.encode(step, forKey: .step)
    try values.encode(images, forKey: .images)
    try put(trainObjective, .trainObjective)
    try put(learningRate, .learningRate)
    try put(seconds, .seconds)
    try put(imagesPerSecond, .imagesPerSecond)
    try values.encode(ranks, forKey: .ranks)
    try put(exposedCommunicationSeconds, .exposedCommunicationSeconds)
    try put(communicationSeconds, .communicationSeconds)
    try values.encode(badSteps, forKey: .badSteps)
    if let testObjective { try put(testObjective, .testObjective) }
    if let testStandardError { try put(testStandardError, .testStandardError) }
    if let yardstick {
      try put(yardstick.pixelGaussians, .pixelGaussians)
      if let fullGaussian = yardstick.fullGaussian { try put(fullGaussian, .fullGaussian) }
      try put(yardstick.ceiling, .ceiling)
    }
    if let norms {
      func finite(_ numbers: [String: Double]) -> [String: Double?] { numbers.mapValues { $0.isFinite ? $0 : nil } }
      try put(norms.gradient, .gradientNorm)
      try put(norms.updateRatio, .updateRatio)
      try values.encode(finite(norms.gradients), forKey: .layerGradientNorms)
      try values.encode(finite(norms.updateRatios), forKey: .layerUpdateRatios)
    }
  }
}

/// The file `metrics.jsonl`: one JSON object a line, one line an epoch.
public struct MetricsFile: Sendable {
  /// Where it is.
  public let path: String

  /// The file at a path, whether it exists yet or not.
  public init(_ path: String) { self.path = path }

  /// Most bytes that are read: a million epochs of a deep network have about that.
  private static let mostBytes = 1 << 30

  /// Appends a line, which is on the disk when this returns.
  ///
  /// - Throws: `InputError` with the system's text.
  public func append(_ metrics: Metrics) throws(InputError) {
    let encoder = JSONEncoder()
    // Sorted, so that all lines have one order.
    encoder.outputFormatting = .sortedKeys
    guard let line = try? encoder.encode(metrics) else { preconditionFailure("metrics are always JSON") }
    try GrowingFile(path).append(Array(line) + [UInt8(ascii: "\n")])
  }

  /// All lines that can be read; a half-written one has been lost.
  ///
  /// - Throws: `InputError` if the file exists and cannot be read.
  public func read() throws(InputError) -> [Metrics] { try lines().map(\.metrics) }

  /// Drops the lines that a run wrote after a checkpoint, and a half-written one, so that it can go on from there.
  ///
  /// - Parameter step: The checkpoint's; lines with more steps go.
  /// - Throws: `InputError` if the file cannot be read or written.
  public func cut(afterStep step: Int) throws(InputError) {
    guard access(path, F_OK) == 0 else { return }
    let kept = try lines().filter { $0.metrics.step <= step }
    try AtomicFile.write(kept.map { $0.text + "\n" }.joined(), to: path)
  }

  private func lines() throws(InputError) -> [(text: Substring, metrics: Metrics)] {
    guard access(path, F_OK) == 0 else { return [] }
    let decoder = JSONDecoder()
    return try TextFile.read(path, most: Self.mostBytes).split(separator: "\n").compactMap { text in
      (try? decoder.decode(Metrics.self, from: Data(text.utf8))).map { (text, $0) }
    }
  }
}
