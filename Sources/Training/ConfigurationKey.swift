internal import Collectives
internal import Datasets
internal import Diffusion
internal import Network
internal import Tensors

/// A value as it was written, before its key gives it a type.
struct ConfigurationScalar: Equatable, Sendable {
  let text: String
  /// Whether it stood in quotes: then it is text, even where it looks like a number.
  var isQuoted = false
}

/// A value as it is printed.
enum ConfigurationValue: Equatable, Sendable {
  case nothing
  /// A number or a truth value.
  case literal(String)
  /// One of a few words.
  case word(String)
  case text(String)

  /// In YAML's spelling.
  var yaml: String {
    if case .word(let word) = self { word } else { json }
  }

  /// In JSON's spelling.
  var json: String {
    switch self {
    case .nothing: "null"
    case .literal(let text): text
    case .word(let text), .text(let text): quoted(text)
    }
  }
}

/// One key of the configuration: its name, what it means, how it is read, checked and printed.
///
/// `all` is the one list that the YAML reader and writer, `--set`, the flags and the checkpoint's JSON go by.
struct ConfigurationKey: Sendable {
  /// Section and key, as in `training.batch_size`.
  let name: String
  /// What it means, in a few words.
  let comment: String
  let read: @Sendable (Configuration) -> ConfigurationValue
  /// Checks a value (nil: null) and puts it in its place; `subject` is what an error names.
  let assign: @Sendable (inout Configuration, ConfigurationScalar?, _ subject: String) throws(InputError) -> Void

  /// The part before the dot.
  var section: Substring { name.prefix { $0 != "." } }
  /// The part behind the dot.
  var key: Substring { name.drop { $0 != "." }.dropFirst() }

  /// The key of a full name.
  static func named(_ name: some StringProtocol) -> ConfigurationKey? { byName[String(name)] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The sections, in the order of files.
  static let sections = ["model", "dataset", "training", "output", "distributed"]

  /// Every key, in the order of files.
  static let all: [ConfigurationKey] = model + dataset + training + output + distributed

  // Sizes of the model have no ranges here: `Architecture.validate` checks them, also against each other.
  private static let model: [ConfigurationKey] = [
    .optionalInteger("model.spatial_width", \.spatialWidth, "pixels of a side; null: the data set's"),
    .optionalInteger("model.n_colors", \.colorCount, "values of a pixel; null: the data set's"),
    .integer("model.trajectory_length", \.model.trajectoryLength, "T, steps of the trajectory"),
    .integer("model.n_temporal_basis", \.model.temporalBasisCount, "bumps that a step's coefficients are made from"),
    .integer("model.n_hidden_dense_lower", \.model.denseLowerWidth, "width of the dense branch; 0: no such branch"),
    .integer("model.n_hidden_dense_lower_output", \.model.denseLowerOutputs, "its outputs for each pixel"),
    .integer("model.n_hidden_dense_upper", \.model.denseUpperWidth, "width of the per-pixel layers"),
    .integer("model.n_hidden_conv", \.model.convolutionChannels, "channels of the convolutions"),
    .integer("model.n_layers_conv", \.model.convolutionLayers, "3x3 convolutions in a row"),
    .integer("model.n_layers_dense_lower", \.model.denseLowerLayers, "layers of the dense branch; 0: no such branch"),
    .integer("model.n_layers_dense_upper", \.model.denseUpperLayers, "per-pixel layers"),
    .integer("model.n_t_per_minibatch", \.model.timesPerMinibatch, "draws of t that a minibatch is averaged over"),
    .integer("model.n_scales", \.model.scaleCount, "resolutions of each convolution"),
    .number("model.step1_beta", \.model.firstStepBeta, .any, "lower bound of the first step's beta"),
  ]

  private static let dataset: [ConfigurationKey] = [
    .choice(
      "dataset.name", \.dataset.name, DatasetName.all.map { ($0.rawValue, $0) }, "",
      parse: { text, subject throws(InputError) in try DatasetName(text, subject: subject) }),
    .text("dataset.path", \.dataset.path, .path, "folder of its files; null: DPM_DATA_DIR, or downloaded ones"),
    .boolean("dataset.offline", \.dataset.isOffline, "download nothing"),
    .boolean("dataset.strict", \.dataset.isStrict, "end at the first picture that cannot be decoded"),
  ]

  private static let training: [ConfigurationKey] = [
    .integer("training.batch_size", \.training.batchSize, in: 1...1_000_000, "images of a step, over all ranks"),
    .integer("training.epochs", \.training.epochs, in: 1...1_000_000, "passes through the training set"),
    .number("training.lr", \.training.learningRate, .positive(most: 10), "learning rate"),
    .number("training.lr_decay", \.training.learningRateDecay, .positive(most: 1), "its factor after every epoch"),
    .number("training.lr_floor", \.training.learningRateFloor, .notNegative(most: 10), "where its decay ends"),
    .choice("training.optimizer", \.training.optimizer, OptimizerRule.allCases.map { ($0.rawValue, $0) }, ""),
    .number("training.adam_beta1", \.training.adamBeta1, .fraction, "Adam's decay of the mean gradient"),
    .number("training.adam_beta2", \.training.adamBeta2, .fraction, "Adam's decay of the mean square"),
    .integer(warmupSteps, \.training.warmupSteps, in: 0...1_000_000, "steps until the learning rate is reached"),
    .number("training.average_decay", \.training.averageDecay, .fraction, "of averaged weights; 0: none are kept"),
    .choice(
      "training.t_sampling", \.training.timeSampling, TimeSampling.allCases.map { ($0.rawValue, $0) },
      "how t is drawn"),
    .number("training.dropout_rate", \.training.dropoutRate, .fraction, "chance of dropping a layer's input"),
    .integer("training.seed", \.training.seed, in: 0...UInt64(Int64.max), "of all random numbers"),
  ]

  /// The key whose default depends on the optimizer.
  static let warmupSteps = "training.warmup_steps"

  private static let output: [ConfigurationKey] = [
    .text(
      "output.directory", read: { $0.output.directory }, write: { $0.output.directory = $1 ?? "runs" }, .path,
      "where runs' folders are made"),
    .text("output.name", \.output.name, .folderName, "the run's folder; null: made from data set and time"),
    .text(
      "output.suffix", read: { $0.output.suffix }, write: { $0.output.suffix = $1 ?? "" }, .suffix,
      "part of a name that is made"),
    .integer("output.every_n_epochs", \.output.everyEpochs, in: 1...1_000_000, "between bounds, checkpoints, figures"),
    .integer("output.samples", \.output.sampleCount, in: 1...10_000, "images of each kind in figures of samples"),
    .integer("output.keep", \.output.keptCheckpoints, in: 0...1_000_000, "newest checkpoints kept; 0: all"),
    .number(
      "output.checkpoint_minutes", \.output.checkpointMinutes, .notNegative(most: 1e6),
      "until one more, which the next replaces; 0: none"),
    .boolean("output.plot_before_training", \.output.plotsBeforeTraining, "figures of the untrained network"),
    .boolean("output.tensorboard", \.output.writesEvents, "numbers and figures for TensorBoard too"),
  ]

  private static let distributed: [ConfigurationKey] = [
    .choice(
      "distributed.reduction", \.distributed.reduction, [("reproducible", .fixedOrder), ("mpi", .mpi)],
      "order of the ranks' sums"),
    .choice(
      "distributed.wire_precision", \.distributed.wirePrecision, WirePrecision.allCases.map { ($0.rawValue, $0) },
      "format in which gradients travel; the rounding of 16 bits is made up for in the next step"),
    .integer("distributed.threads", \.distributed.threads, in: ThreadCount.range, "threads of a rank"),
    .integer(
      "distributed.timeout", \.distributed.timeout, in: 1...1_000_000,
      "seconds that a rank waits for the others before it ends the job"),
  ]
}

/// A text in double quotes, as YAML and JSON both read it.
func quoted(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\":
      quoted.unicodeScalars.append("\\")
      quoted.unicodeScalars.append(scalar)
    // YAML forbids control characters and folds the line separators, which JSON would allow.
    case ..<" ", "\u{7F}"..."\u{A0}", "\u{2028}", "\u{2029}", "\u{FEFF}", "\u{FFFE}", "\u{FFFF}":
      let digits = String(scalar.value, radix: 16)
      quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: quoted.unicodeScalars.append(scalar)
    }
  }
  return quoted + "\""
}
