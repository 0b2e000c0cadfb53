internal import Foundation

public import Collectives
public import Datasets
public import Diffusion
public import Network
public import Tensors

/// Everything that a run is made from, resolved: defaults, then the YAML file, `--set`, and flags.
///
/// `init()` gives the reference's MNIST model and recipe, but for one thing: t is drawn per image. Values are checked
/// where they are assigned (`ConfigurationKey`).
public struct Configuration: Equatable, Sendable {
  /// The network and the trajectory; image size and colours hold only where `spatialWidth` and `colorCount` are known.
  public var model = Architecture()
  /// Width of the images where it is known: stated by the user, or completed from the data set.
  public var spatialWidth: Int? { didSet { if let spatialWidth { model.spatialWidth = spatialWidth } } }
  /// Colours of the images where they are known: stated by the user, or completed from the data set.
  public var colorCount: Int? { didSet { if let colorCount { model.colorCount = colorCount } } }
  /// What is trained on.
  public var dataset = Dataset()
  /// How it is trained.
  public var training = Training()
  /// What is written, and where.
  public var output = Output()
  /// How the work is shared out.
  public var distributed = Distribution()

  /// The images.
  public struct Dataset: Equatable, Sendable {
    /// Which data set.
    public var name = DatasetName.mnist
    /// The folder with its files; nil leaves it to `DPM_DATA_DIR`, then to the cache of downloaded ones.
    public var path: String?
    /// Whether nothing may be downloaded.
    public var isOffline = false
    /// Whether a single picture of a folder that cannot be decoded is an error.
    public var isStrict = false
  }

  /// The recipe (MODEL.md, "Training recipe").
  public struct Training: Equatable, Sendable {
    /// Images of a minibatch, over all ranks.
    public var batchSize = 512
    /// Passes through the training set: after 1000 the reference's learning rate has come down to its floor.
    public var epochs = 1000
    /// The first epoch's learning rate.
    public var learningRate = 1e-3
    /// What the learning rate is multiplied by after every epoch: by default a tenth in 1000 epochs.
    public var learningRateDecay = pow(10, -1.0 / 1000)
    /// Where the decay ends; a learning rate that starts lower stays what it is.
    public var learningRateFloor = 1e-4
    /// How gradients become steps.
    public var optimizer = OptimizerRule.rmsprop
    /// Adam's decay of the mean gradient.
    public var adamBeta1 = 0.9
    /// Adam's decay of the mean squared gradient.
    public var adamBeta2 = 0.99
    /// Steps over which the learning rate rises from zero.
    public var warmupSteps = 0
    /// Decay of the averaged weights, by step; 0 keeps none.
    public var averageDecay = 0.0
    /// How t is drawn.
    public var timeSampling = TimeSampling.perImage
    /// Probability that an input of a layer is dropped.
    public var dropoutRate = 0.0
    /// What all random numbers are keyed by.
    public var seed: UInt64 = 1
  }

  /// The run's folder.
  public struct Output: Equatable, Sendable {
    /// Where runs' folders are made.
    public var directory = "runs"
    /// The run's folder in it; nil makes a name from data set, suffix and time.
    public var name: String?
    /// Part of a name that is made; empty for none.
    public var suffix = ""
    /// Epochs from one test bound, checkpoint and set of figures to the next.
    public var everyEpochs = 25
    /// Images of each kind in the figures of samples: 7 × 7, as the reference has them.
    public var sampleCount = 49
    /// Newest checkpoints that are kept; 0 keeps all.
    public var keptCheckpoints = 10
    /// Minutes after the last checkpoint until there is one within an epoch, to go on from after a failure; 0 for none.
    public var checkpointMinutes = 30.0
    /// Whether there are figures of the untrained network.
    public var plotsBeforeTraining = false
    /// Whether numbers and figures are written for TensorBoard too.
    public var writesEvents = false
  }

  /// The ranks.
  public struct Distribution: Equatable, Sendable {
    /// How gradients are summed.
    public var reduction = Reduction.fixedOrder
    /// In which format gradients and updates travel between ranks.
    public var wirePrecision = WirePrecision.float32
    /// Threads of a rank.
    public var threads = 1
    /// Seconds after which a rank that waits in one operation ends the job.
    public var timeout = 300
  }

  /// The reference's MNIST model and recipe, with t drawn per image.
  public init() {}

  /// The configuration of a run on images of this shape, with nothing left open.
  ///
  /// - Throws: `InputError` if the user stated another shape, or the model does not fit this one.
  public func completed(for shape: ImageShape) throws(InputError) -> Configuration {
    let images = "as \(dataset.name.rawValue.uppercased())'s images have"
    if let spatialWidth, spatialWidth != shape.width {
      throw InputError("model.spatial_width", found: "\(spatialWidth)", expected: "\(shape.width), \(images)")
    }
    if let colorCount, colorCount != shape.colors {
      throw InputError("model.n_colors", found: "\(colorCount)", expected: "\(shape.colors), \(images)")
    }
    var completed = self
    completed.spatialWidth = shape.width
    completed.colorCount = shape.colors
    try completed.model.validate()
    try completed.model.validateSizes()
    // Element counts and MPI's own counts are 32 bits; and 2³¹ parameters are 8 GiB, four times over while training.
    let parameters = ParameterLayout(completed.model).parameterCount
    guard parameters < 1 << 31 else {
      throw InputError("model", found: "\(parameters) parameters", expected: "fewer than 2^31")
    }
    return completed
  }
}

extension Configuration.Training {
  /// Steps of an epoch.
  func stepsPerEpoch(imageCount: Int) -> Int {
    Minibatch.count(imageCount: imageCount, batchSize: batchSize)
  }
}

extension Configuration {
  /// What of the recipe another configuration had otherwise, by key.
  func recipeChanges(since before: Configuration) -> [(name: String, before: String, now: String)] {
    zip(before.facts, facts).compactMap { before, now in
      guard before.value != now.value, now.name.hasPrefix("training.") else { return nil }
      return (now.name, before.value, now.value)
    }
  }
}
