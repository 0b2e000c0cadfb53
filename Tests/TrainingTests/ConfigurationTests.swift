import Collectives
import Datasets
import Diffusion
import Foundation
import Network
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("Configuration")
struct ConfigurationTests {
  @Test("the defaults are the reference's MNIST model and recipe, with t drawn per image")
  func defaults() throws {
    let configuration = try Configuration.resolved(file: nil)
    #expect(configuration == Configuration())
    #expect(configuration.model == Architecture())
    #expect(configuration.dataset.name == .mnist)
    #expect(configuration.dataset.path == nil)
    #expect(configuration.training.batchSize == 512)
    #expect(configuration.training.optimizer == .rmsprop)
    #expect(configuration.training.learningRate == 1e-3)
    #expect(abs(configuration.training.learningRateDecay - 0.997_700_063_822_553_3) < 1e-15)
    #expect(configuration.training.learningRateFloor == 1e-4)
    #expect(configuration.training.timeSampling == .perImage)
    #expect(configuration.output.everyEpochs == 25)
  }

  @Test("Adam warms up for 50 steps, unless the user says otherwise")
  func warmup() throws {
    #expect(try settings("training.optimizer=adam").training.warmupSteps == 50)
    #expect(try settings("training.optimizer=ADAM", "training.warmup_steps=0").training.warmupSteps == 0)
    #expect(try settings("training.optimizer=rmsprop").training.warmupSteps == 0)
    #expect(try settings("training.warmup_steps=7").training.warmupSteps == 7)
  }

  @Test("a data set's shape completes the model")
  func completion() throws {
    let completed = try settings("dataset.name=cifar10").completed(for: ImageShape(colors: 3, height: 32, width: 32))
    #expect(completed.spatialWidth == 32)
    #expect(completed.model.spatialWidth == 32)
    #expect(completed.model.colorCount == 3)
    #expect(completed.yaml.contains("  spatial_width: 32 "))
    #expect(completed.json.contains(#""spatial_width":32,"n_colors":3"#))
  }

  @Test("a stated shape that the data set does not have is refused, as is a model that does not fit")
  func wrongShape() throws {
    let digits = ImageShape(colors: 1, height: 28, width: 28)
    #expect(
      throws: InputError("model.spatial_width", found: "32", expected: "28, as MNIST's images have")
    ) { try settings("model.spatial_width=32").completed(for: digits) }
    #expect(throws: InputError("model.n_colors", found: "3", expected: "1, as MNIST's images have")) {
      try settings("model.n_colors=3").completed(for: digits)
    }
    let error = #expect(throws: InputError.self) { try settings("model.n_scales=4").completed(for: digits) }
    #expect(error?.subject == "model.n_scales")
    let size = #expect(throws: InputError.self) {
      try settings("model.n_hidden_dense_lower=65536", "model.n_layers_dense_lower=90").completed(for: digits)
    }
    #expect(size?.subject == "model")
    // 16 images of this size would have more numbers than 32 bits count.
    let large = #expect(throws: InputError.self) {
      try settings("dataset.name=dead-leaves", "model.spatial_width=1024", "model.n_hidden_conv=200").completed(
        for: ImageShape(colors: 1, height: 1024, width: 1024))
    }
    #expect(large?.subject == "model.spatial_width")
  }

  @Test("YAML and JSON are read back as the same configuration, to the last bit")
  func roundTrip() throws {
    var configuration = Configuration()
    #expect(try readBack(configuration) == configuration)
    configuration.spatialWidth = 28
    configuration.colorCount = 1
    configuration.model.firstStepBeta = 0.1 + 0.2
    configuration.dataset = .init(name: .cifar10, path: "/data \"set\": #é 🙂\\n\u{2028}'")
    configuration.training.learningRate = 1e-5
    configuration.training.learningRateFloor = .leastNonzeroMagnitude
    configuration.training.learningRateDecay = 1
    configuration.training.dropoutRate = 1.0.nextDown
    configuration.training.averageDecay = 1.0 / 3
    configuration.training.optimizer = .adam
    configuration.training.timeSampling = .shared
    configuration.training.seed = UInt64(Int64.max)
    configuration.output = .init(
      directory: "null", name: "true", suffix: "1e3", everyEpochs: 7, sampleCount: 16, keptCheckpoints: 0,
      plotsBeforeTraining: true,
      writesEvents: true)
    configuration.distributed = .init(reduction: .mpi, threads: 3)
    #expect(try readBack(configuration) == configuration)
  }

  @Test("random numbers survive YAML and JSON")
  func randomNumbers() throws {
    var configuration = Configuration()
    for _ in 0..<50 {
      configuration.training.learningRate = Double.random(in: 0.001...1) * pow(10, .random(in: -200...0))
      configuration.training.averageDecay = .random(in: 0..<1)
      configuration.training.seed = .random(in: 0...UInt64(Int64.max))
      #expect(try readBack(configuration) == configuration)
    }
  }

  @Test("every value of the configuration has a key that prints and reads it")
  func completeness() {
    var values = 0
    func count(_ value: Any) {
      let children = Mirror(reflecting: value).children.filter { $0.label != nil }
      guard !children.isEmpty, Mirror(reflecting: value).displayStyle == .struct else { return values += 1 }
      for child in children { count(child.value) }
    }
    count(Configuration())
    // The model's own copies of width and colours have no keys besides those two.
    #expect(values - 2 == ConfigurationKey.all.count)
  }

  @Test(
    "the shipped configurations are read and say what they promise",
    arguments: ["quickstart", "mnist", "mnist-reference", "cifar10"])
  func shipped(name: String) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let configuration = try Configuration.resolved(file: root.appendingPathComponent("configs/\(name).yaml").path)
    switch name {
    case "mnist": #expect(configuration == Configuration())
    case "mnist-reference":
      var expected = Configuration()
      expected.training.timeSampling = .shared
      #expect(configuration == expected)
    case "cifar10":
      let reference = try Configuration.resolved(
        file: nil,
        flags: [.flag("--batch-size", "200"), .flag("--dataset", "CIFAR10")]
          + .init(
            ConfigurationAssignment.modelArguments(
              "n_hidden_dense_lower=1000,n_hidden_dense_lower_output=5,n_hidden_conv=100,n_layers_conv=6,"
                + "n_layers_dense_lower=6,n_layers_dense_upper=4,n_hidden_dense_upper=100")))
      #expect(configuration.model == reference.model)
      #expect(configuration.training == reference.training)
      #expect(configuration.dataset == reference.dataset)
    default:
      #expect(configuration.training.optimizer == .adam)
      #expect(configuration.training.learningRate == 2e-3)
      #expect(FileManager.default.fileExists(atPath: root.path + "/" + (configuration.dataset.path ?? "")))
    }
  }

  private func settings(_ texts: String...) throws -> Configuration {
    try Configuration.resolved(file: nil, settings: texts.map { try .set($0) })
  }

  /// The configuration from its YAML, having compared it with the one from its JSON.
  private func readBack(_ configuration: Configuration) throws -> Configuration {
    let folder = try TemporaryFolder()
    let fromYAML = try Configuration.resolved(file: folder.write(configuration.yaml, as: "config.yaml"))
    #expect(try Configuration(json: configuration.json, source: "json") == fromYAML)
    return fromYAML
  }
}
