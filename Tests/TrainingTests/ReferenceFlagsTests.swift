import Network
import Tensors
import Testing

@testable import Training

@Suite("ReferenceFlags")
struct ReferenceFlagsTests {
  @Test(
    "each flag of the reference sets its key, spelled with hyphens or underscores",
    arguments: [
      ("--batch-size", "200"), ("--batch_size", "200"), ("--lr", "0.01"), ("--suffix", "try"), ("--output-dir", "out"),
      ("--output_dir", "out"), ("--ext-every-n", "5"), ("--ext_every_n", "5"), ("--dropout_rate", "0.5"),
      ("--dropout-rate", "0.5"), ("--dataset", "cifar10"), ("--plot_before_training", "true"),
      ("--plot-before-training", "true"), ("--epochs", "3"), ("--seed", "9"), ("--data-dir", "data"),
      ("--name", "first"), ("--threads", "2"),
    ])
  func flags(flag: String, value: String) throws {
    let configuration = try Configuration.resolved(file: nil, flags: [.flag(flag, value)])
    let changed = ConfigurationKey.all.filter { $0.read(configuration) != $0.read(Configuration()) }
    #expect(changed.count == 1)
    let printed = changed.first?.read(configuration)
    #expect([.literal(value), .word(value), .text(value)].contains(printed))
  }

  @Test("every flag stands for a key that exists")
  func keysExist() {
    for (flag, key) in ConfigurationAssignment.flags { #expect(ConfigurationKey.named(key) != nil, "\(flag)") }
  }

  @Test("the reference's CIFAR-10 command gives the published model")
  func modelArguments() throws {
    let flags = try ConfigurationAssignment.modelArguments(
      "n_hidden_dense_lower=1000, n_hidden_dense_lower_output=5,n_hidden_conv = 100,n_layers_conv=6,"
        + "n_layers_dense_lower=6,n_layers_dense_upper=4,n_hidden_dense_upper=100,")
    let model = try Configuration.resolved(file: nil, flags: flags).model
    #expect(model.denseLowerWidth == 1000)
    #expect(model.denseLowerOutputs == 5)
    #expect(model.convolutionChannels == 100)
    #expect(model.convolutionLayers == 6)
    #expect(model.denseLowerLayers == 6)
    #expect(model.denseUpperLayers == 4)
    #expect(model.denseUpperWidth == 100)
    #expect(try ConfigurationAssignment.modelArguments(" ").isEmpty)
  }

  @Test("lists that are none are refused", arguments: ["n_scales", "=2", "n_scales=2,,n_hidden_conv=3", "a=1,a=2"])
  func brokenModelArguments(text: String) {
    let error = #expect(throws: InputError.self) { try ConfigurationAssignment.modelArguments(text) }
    #expect(error?.subject == "--model-args")
  }

  @Test("an unknown model argument gets a proposal")
  func unknownModelArgument() throws {
    let error = #expect(throws: InputError.self) {
      try Configuration.resolved(file: nil, flags: ConfigurationAssignment.modelArguments("n_scale=2"))
    }
    #expect(error?.description == "--model-args n_scale: unknown key; did you mean model.n_scales?")
  }

  @Test("--set without a key or a value is refused", arguments: ["training.lr", "=1", "", "  = 1"])
  func brokenSetting(text: String) {
    #expect(throws: InputError("--set", found: "\"\(text)\"", expected: "key=value, as in training.lr=2e-3")) {
      try ConfigurationAssignment.set(text)
    }
  }
}
