import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("ConfigurationFile")
struct ConfigurationFileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("the file beats defaults, --set beats the file, flags beat all; the environment's folder comes last")
  func precedence() throws {
    let yaml = "training:\n  lr: 1e-2\n  epochs: 2\n  batch_size: 3\ndataset: {path: here}\n"
    let configuration = try Configuration.resolved(
      file: folder.write(yaml, as: "c.yaml"), settings: [.set("training.epochs=4"), .set("training.batch_size = 5")],
      flags: [.flag("--batch_size", "6")], dataFolder: "there")
    #expect(configuration.training.learningRate == 1e-2)
    #expect(configuration.training.epochs == 4)
    #expect(configuration.training.batchSize == 6)
    #expect(configuration.dataset.path == "here")
    #expect(try Configuration.resolved(file: nil, dataFolder: "there").dataset.path == "there")
    let flag = ConfigurationAssignment.flag("--data-dir", "x")
    #expect(try Configuration.resolved(file: nil, flags: [flag], dataFolder: "y").dataset.path == "x")
  }

  @Test("an empty file, empty sections and null leave the defaults")
  func empty() throws {
    for yaml in ["", "# nothing\n", "---\n", "training:\nmodel: {}\n", "output: {name: null, suffix: ~}\n"] {
      #expect(try Configuration.resolved(file: folder.write(yaml, as: "c.yaml")) == Configuration(), "\(yaml)")
    }
  }

  @Test(
    "values of a wrong type or size are refused with the key, the value and what is allowed",
    arguments: [
      ("training", "batch_size", "abc"), ("training", "batch_size", "0"), ("training", "batch_size", "-5"),
      ("training", "batch_size", "1.5"), ("training", "batch_size", "\"512\""), ("training", "batch_size", "null"),
      ("training", "batch_size", ""), ("training", "batch_size", "[512]"), ("training", "batch_size", "{a: 1}"),
      ("training", "batch_size", "99999999999999999999"), ("training", "batch_size", "0x10"),
      ("training", "epochs", "1.5"), ("training", "epochs", "1e3"), ("training", "epochs", "true"),
      ("training", "lr", "-1"), ("training", "lr", "0"), ("training", "lr", "nan"), ("training", "lr", "inf"),
      ("training", "lr", "1e400"), ("training", "lr", "0x1p-3"), ("training", "lr", "fast"),
      ("training", "lr", "'1e-3'"),
      ("training", "lr_decay", "1.1"), ("training", "lr_floor", "-1"), ("training", "dropout_rate", "1.0"),
      ("training", "dropout_rate", "-0.1"), ("training", "average_decay", "1"), ("training", "adam_beta2", "1"),
      ("training", "optimizer", "sgd"), ("training", "optimizer", "null"), ("training", "t_sampling", "each"),
      ("training", "seed", "-1"), ("training", "seed", "9223372036854775808"), ("training", "warmup_steps", "-1"),
      ("model", "n_scales", "0"), ("model", "n_scales", "9"), ("model", "trajectory_length", "2"),
      ("model", "n_hidden_conv", "0"), ("model", "step1_beta", "-1"), ("model", "step1_beta", "nan"),
      ("model", "spatial_width", "0"), ("model", "n_colors", "4"), ("model", "n_colors", "x"),
      ("dataset", "name", "SVHN"), ("dataset", "name", "null"), ("dataset", "path", "''"),
      ("output", "name", "a/b"), ("output", "name", ".."), ("output", "name", "''"), ("output", "suffix", "../x"),
      ("output", "directory", "\"a\\0b\""), ("output", "every_n_epochs", "0"), ("output", "keep", "-1"),
      ("output", "plot_before_training", "1"), ("distributed", "reduction", "fast"), ("distributed", "threads", "0"),
    ])
  func impossibleValue(section: String, key: String, value: String) throws {
    let path = try folder.write("# a comment\n\(section):\n  \(key): \(value)\n", as: "c.yaml")
    let error = #expect(throws: InputError.self) { try Configuration.resolved(file: path) }
    #expect(error?.subject == "\(path):3: \(section).\(key)")
    #expect(error?.expected.isEmpty == false)
    #expect(error?.found.isEmpty == false)
    #expect(error?.description.contains("\n") == false)
  }

  @Test("an error reads well, whatever the value came from")
  func wording() throws {
    let path = try folder.write("training: {lr: -1}", as: "c.yaml")
    let cases: [(() throws -> Configuration, String)] = [
      ({ try .resolved(file: path) }, "\(path):1: training.lr: -1, expected a number above 0, at most 10"),
      (
        { try .resolved(file: nil, settings: [.set("training.batch_size=abc")]) },
        "--set training.batch_size: abc, expected an integer from 1 to 1000000"
      ),
      (
        { try .resolved(file: nil, flags: [.flag("--dropout_rate", "1.0")]) },
        "--dropout_rate: 1.0, expected a number from 0 to below 1"
      ),
      (
        { try .resolved(file: nil, flags: [.flag("--dataset", "SVHN")]) },
        "--dataset: \"SVHN\", expected MNIST, CIFAR10, IMAGES, IMAGENET or DEAD-LEAVES"
      ),
      (
        { try .resolved(file: nil, flags: ConfigurationAssignment.modelArguments("n_scales=9")) },
        "--model-args n_scales: 9, expected 1 ... 8"
      ),
      (
        { try .resolved(file: nil, settings: [.set("model.spatial_width=28"), .set("model.n_scales=4")]) },
        "--set model.n_scales: 4, expected 2^(n_scales - 1) to divide spatial_width (28)"
      ),
    ]
    for (resolve, expected) in cases {
      let error = #expect(throws: InputError.self) { try resolve() }
      #expect(error?.description == expected)
    }
  }

  @Test(
    "a typo gets a proposal",
    arguments: [
      ("training.batchsize", "training.batch_size"), ("training.batch-size", "training.batch_size"),
      ("trainig.lr", "training.lr"), ("model.N_SCALES", "model.n_scales"), ("lr", "training.lr"),
      ("n_scales", "model.n_scales"), ("training.n_scales", "model.n_scales"), ("epoch", "training.epochs"),
      ("output.dir", nil), ("training.momentum", nil), ("", nil), ("nonsense.at.all", nil),
    ])
  func typo(key: String, proposal: String?) throws {
    let error = #expect(throws: InputError.self) {
      try Configuration.resolved(
        file: nil, settings: [ConfigurationAssignment(subject: "--set \(key)", key: key, value: "1")])
    }
    #expect(error?.subject == "--set \(key)")
    if let proposal {
      #expect(error?.found == "unknown key; did you mean \(proposal)?")
    } else {
      #expect(error?.found == "unknown key")
      #expect(error?.expected.isEmpty == false)
    }
  }

  @Test(
    "unknown keys and sections, duplicates and what is no YAML are refused with their line",
    arguments: [
      ("training:\n  batchsize: 1\n", ":2: training.batchsize: unknown key; did you mean training.batch_size?"),
      ("trainings:\n  lr: 1\n", ":1: trainings: unknown section; did you mean training?"),
      ("lr: 1\n", ":1: lr: unknown section, expected model, dataset, training, output, distributed"),
      ("training: 5\n", ":1: training: a value, expected keys"),
      ("training: [lr]\n", ":1: training: a value, expected keys"),
      ("MNIST\n", ": no section, expected model"),
      ("- 1\n", ": no section, expected model"),
      ("training:\n  lr: 1\n  lr: 2\n", ": lr twice, expected every key once"),
      ("training:\n  lr: 1\ntraining:\n  lr: 1\n", ": training twice, expected every key once"),
      ("training:\n\tlr: 1\n", ":2:1: found character that cannot start any token, expected YAML"),
      ("training: {lr: 1\n", ":2:1: did not find expected ',' or '}', expected YAML"),
      ("training: *x\n", ": found undefined alias, expected YAML"),
      ("training: {}\n---\ntraining: {}\n", ": but found another document, expected YAML"),
    ])
  func brokenFile(yaml: String, expected: String) throws {
    let path = try folder.write(yaml, as: "c.yaml")
    let error = #expect(throws: InputError.self) { try Configuration.resolved(file: path) }
    #expect(error?.description.hasPrefix(path) == true)
    #expect(error?.description.contains(expected) == true, "\(error.map(String.init(describing:)) ?? "")")
    #expect(error?.description.contains("\n") == false)
  }

  @Test("a file that is missing, a folder, too long, deeply nested or no text is refused")
  func unreadableFile() throws {
    let long = try folder.write(String(repeating: "# long\n", count: 200_000), as: "long.yaml")
    let deep = try folder.write("training: " + String(repeating: "[", count: 100_000), as: "deep.yaml")
    let binary = try folder.write([0xFF, 0xFE, 0x00], as: "binary.yaml")
    let zero = try folder.write([0x61, 0x00, 0x62], as: "zero.yaml")
    for path in [folder.file("missing.yaml"), folder.path, long, deep, binary, zero] {
      let error = #expect(throws: InputError.self, "\(path)") { try Configuration.resolved(file: path) }
      #expect(error?.subject.hasPrefix(path) == true)
      #expect(error?.description.contains("\n") == false)
    }
  }

  @Test("a configuration file that is cut off or changed anywhere is read or refused, never a crash")
  func mutations() throws {
    let whole = Array(Configuration().yaml.utf8)
    let characters = Array("#:{}[]&*!|>'\"%@`,-? \t\n0é".utf8)
    for _ in 0..<500 {
      var bytes = whole
      bytes[Int.random(in: 0..<bytes.count)] = characters.randomElement() ?? 0
      if Bool.random() { bytes.removeLast(Int.random(in: 0..<bytes.count)) }
      let path = try folder.write(bytes, as: "c.yaml")
      do { _ = try Configuration.resolved(file: path) } catch { #expect(!error.description.contains("\n")) }
    }
  }

  @Test(
    "a checkpoint's configuration that is damaged is refused",
    arguments: [
      "", "[]", "1", "{", #"{"model":1}"#, #"{"model":{"n_scales":[1]}}"#, #"{"model":{"n_scales":"1"}}"#,
      #"{"model":{"n_scalez":1}}"#, #"{"extra":{"a":1}}"#, #"{"training":{"lr":1e999}}"#,
      #"{"model":"# + String(repeating: "[", count: 100_000),
    ])
  func damagedJSON(json: String) {
    let error = #expect(throws: InputError.self) { try Configuration(json: json, source: "c.safetensors") }
    #expect(error?.subject.hasPrefix("c.safetensors") == true)
  }
}
