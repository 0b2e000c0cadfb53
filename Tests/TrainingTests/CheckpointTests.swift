import Foundation
import Network
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite("Checkpoint")
struct CheckpointTests {
  let folder: TemporaryFolder
  let layout: ParameterLayout
  let checkpoint: Checkpoint
  var path: String { folder.file("c.safetensors") }

  init() throws {
    folder = try TemporaryFolder()
    checkpoint = Self.checkpoint()
    layout = ParameterLayout(checkpoint.architecture)
  }

  /// A checkpoint of a model with every kind of tensor.
  static func checkpoint(_ change: (inout Configuration) -> Void = { _ in }) -> Checkpoint {
    var configuration = Configuration()
    configuration.spatialWidth = 4
    configuration.colorCount = 3
    configuration.model.trajectoryLength = 10
    configuration.model.temporalBasisCount = 3
    configuration.model.denseLowerWidth = 5
    configuration.model.denseLowerLayers = 11
    configuration.model.convolutionChannels = 3
    configuration.model.convolutionLayers = 2
    configuration.model.scaleCount = 2
    configuration.training.seed = 12_345_678_901_234_567
    change(&configuration)
    return Checkpoint(
      configuration: configuration, scale: 3.2457, shift: -0.1 - 0.3, epoch: 25, step: 3000, optimizerSteps: 2999,
      epochObjectiveSum: -1.0 / 3, epochImages: 512, version: "0.1.0")
  }

  @Test(
    "state and description are read back, bit for bit",
    arguments: [
      [""], ["", "optimizer."], ["", "optimizer.", "optimizer.first_moment.", "average."],
    ])
  func roundTrip(prefixes: [String]) throws {
    let state = prefixes.enumerated().map { (prefix: $1, buffer: filledBuffer(salt: $0)) }
    try checkpoint.write(to: path, state: state)
    let file = try CheckpointFile(contentsOf: path)
    #expect(file.checkpoint == checkpoint)
    #expect(file.prefixes == prefixes)
    let loaded = prefixes.map { (prefix: $0, buffer: FloatBuffer(count: layout.count)) }
    try file.load(into: loaded)
    for (before, after) in zip(state, loaded) { #expect(areEqual(before.buffer, after.buffer)) }
    try file.requireArchitecture(checkpoint.architecture)
  }

  @Test("an epoch whose objective is no longer finite is read back", arguments: [Double.nan, .infinity, -.infinity])
  func brokenObjective(sum: Double) throws {
    var checkpoint = checkpoint
    checkpoint.epochObjectiveSum = sum
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0))])
    let read = try CheckpointFile(contentsOf: path).checkpoint.epochObjectiveSum
    #expect(read.isNaN == sum.isNaN && (sum.isNaN || read == sum))
  }

  @Test("tensors have the format's names, shapes and order; padding is not stored")
  func tensors() throws {
    try checkpoint.write(
      to: path, state: [("", filledBuffer(salt: 0)), ("optimizer.", filledBuffer(salt: 1))])
    let file = try SafetensorsFile(contentsOf: path)
    let names =
      ["conv.0", "conv.1"].flatMap { layer in
        ["scale0", "scale1"].flatMap { ["\(layer).\($0).weight", "\(layer).\($0).bias"] }
      } + (0..<11).flatMap { ["dense_lower.\($0).weight", "dense_lower.\($0).bias"] }
      + (0..<2).flatMap { ["dense_upper.\($0).weight", "dense_upper.\($0).bias"] }
    #expect(file.names == names + names.map { "optimizer.\($0)" })
    #expect(try file.shape(of: "conv.1.scale0.weight") == [3, 3, 3, 3])
    #expect(try file.shape(of: "dense_lower.0.weight") == [5, 48])
    #expect(try file.shape(of: "dense_lower.10.bias") == [32])
    let entry = try #require(layout[name: "dense_upper.1.bias"])
    let stored = try file.floats("optimizer.dense_upper.1.bias")
    #expect(stored == (entry.range).map { filledBuffer(salt: 1)[$0] })
    let size = try folder.bytes("c.safetensors").count
    #expect(size > 8 * layout.parameterCount && size < 8 * layout.parameterCount + 12_000)
  }

  @Test("metadata are those of the format, as strings")
  func metadata() throws {
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0))])
    let metadata = try SafetensorsFile(contentsOf: path).metadata
    #expect(metadata["format"] == "dpm-1")
    #expect(metadata["scale"] == "3.2457")
    #expect(metadata["shift"] == "-0.4")
    #expect(metadata["epoch"] == "25")
    #expect(metadata["step"] == "3000")
    #expect(metadata["seed"] == "12345678901234567")
    #expect(metadata["version"] == "0.1.0")
    let object =
      try JSONSerialization.jsonObject(with: Data((metadata["config"] ?? "").utf8)) as? [String: [String: Any]]
    #expect(object?["model"]?["n_colors"] as? Int == 3)
    #expect(object?["model"]?["spatial_width"] as? Int == 4)
    #expect(object?["training"]?["optimizer"] as? String == "rmsprop")
  }

  @Test("a file with no more than the format asks for is read")
  func foreignFile() throws {
    try rewrite { metadata, _ in
      metadata = metadata.filter {
        ["format", "config", "scale", "shift", "epoch", "step", "seed", "version"].contains($0.key)
      }
      metadata["config"] =
        #"{"model": {"trajectory_length": 10, "n_temporal_basis": 3, "n_hidden_dense_lower": 5, "#
        + #""n_layers_dense_lower": 11, "n_hidden_conv": 3, "n_layers_conv": 2, "n_scales": 2, "n_colors": 3, "#
        + #""spatial_width": 4}}"#
      metadata["scale"] = "3"
    }
    let file = try CheckpointFile(contentsOf: path)
    #expect(file.checkpoint.architecture == checkpoint.architecture)
    #expect(file.checkpoint.scale == 3)
    #expect(file.checkpoint.optimizerSteps == 3000)
    let buffer = FloatBuffer(count: layout.count)
    try file.load(into: [("", buffer)])
    #expect(areEqual(buffer, filledBuffer(salt: 0)))
  }

  @Test("a checkpoint of another architecture is refused with the first key that differs")
  func otherArchitecture() throws {
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0))])
    let file = try CheckpointFile(contentsOf: path)
    var architecture = checkpoint.architecture
    architecture.convolutionChannels = 100
    architecture.scaleCount = 1
    #expect(throws: InputError(path, found: "a model of n_hidden_conv 3", expected: "100")) {
      try file.requireArchitecture(architecture)
    }
    architecture = checkpoint.architecture
    architecture.spatialWidth = 28
    #expect(throws: InputError(path, found: "a model of spatial_width 4", expected: "28")) {
      try file.requireArchitecture(architecture)
    }
    architecture = checkpoint.architecture
    architecture.firstStepBeta = 0.002
    #expect(throws: InputError(path, found: "a model of step1_beta 0.001", expected: "0.002")) {
      try file.requireArchitecture(architecture)
    }
    architecture = checkpoint.architecture
    architecture.timesPerMinibatch = 4
    #expect(throws: Never.self) { try file.requireArchitecture(architecture) }
  }

  @Test("a part of the state that the file lacks is named")
  func missingPart() throws {
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0))])
    let file = try CheckpointFile(contentsOf: path)
    let error = #expect(throws: InputError.self) {
      try file.load(into: [("average.", FloatBuffer(count: layout.count))])
    }
    #expect(error == InputError(path, found: "no tensors average.…", expected: "those, which the run's average needs"))
  }

  @Test(
    "metadata that are missing or impossible are named",
    arguments: [
      ("format", nil, "no format"), ("format", "dpm-2", "format dpm-2"), ("config", nil, "no config"),
      ("config", "{}", "no spatial_width"), ("config", "x", "a damaged configuration"), ("scale", nil, "no scale"),
      ("scale", "0", "scale 0"), ("scale", "-1", "scale -1"), ("scale", "nan", "scale nan"),
      ("shift", "inf", "shift inf"),
      ("epoch", "-1", "epoch -1"), ("epoch", "1.5", "epoch 1.5"), ("step", "", "step "), ("seed", "x", "seed x"),
      ("seed", "99999999999999999999", "seed 9"), ("version", nil, "no version"),
      ("optimizer", "adam", "optimizer adam"),
      ("optimizer_steps", "-2", "optimizer_steps -2"), ("epoch_images", "x", "epoch_images x"),
      ("epoch_objective_sum", "x", "epoch_objective_sum x"),
    ])
  func brokenMetadata(key: String, value: String?, found: String) throws {
    try rewrite { metadata, _ in metadata[key] = value }
    let error = #expect(throws: InputError.self) { try CheckpointFile(contentsOf: path) }
    #expect(error?.subject.hasPrefix(path) == true)
    #expect(error?.found.hasPrefix(found) == true, "\(error.map(String.init(describing:)) ?? "")")
  }

  @Test("tensors that are missing, too many, or of another shape or type are named")
  func brokenTensors() throws {
    let cases: [(String, (inout [String: [Int]]) -> Void)] = [
      ("no tensor conv.0.scale1.bias", { $0["conv.0.scale1.bias"] = nil }),
      ("tensor conv.0.scale1.bias of F32 [4]", { $0["conv.0.scale1.bias"] = [4] }),
      ("tensor dense_lower.0.weight of F32 [48, 5]", { $0["dense_lower.0.weight"] = [48, 5] }),
      ("tensor conv.2.scale0.weight", { $0["conv.2.scale0.weight"] = [3, 3, 3, 3] }),
      ("tensor optimizer.extra", { $0["optimizer.extra"] = [1] }),
      ("no tensor average.conv.0.scale0.weight", { $0["average.conv.0.scale0.bias"] = [3] }),
    ]
    for (found, change) in cases {
      try rewrite { _, shapes in change(&shapes) }
      let error = #expect(throws: InputError.self) { try CheckpointFile(contentsOf: path) }
      #expect(error?.found == found)
    }
    let golden = GoldenFile.path("tiny-grey.safetensors")
    #expect(throws: InputError(golden, found: "no format in its metadata", expected: "a dpm-1 checkpoint")) {
      try CheckpointFile(contentsOf: golden)
    }
  }

  @Test("any changed byte of a tensor is noticed, and the tensor named")
  func damage() throws {
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0)), ("optimizer.", filledBuffer(salt: 1))])
    let whole = try folder.bytes("c.safetensors")
    let dataStart = whole.count - 8 * layout.parameterCount
    for _ in 0..<200 {
      var bytes = whole
      bytes[.random(in: dataStart..<whole.count)] ^= UInt8(1) << UInt8.random(in: 0..<8)
      let file = try CheckpointFile(contentsOf: folder.write(bytes, as: "damaged"))
      let state = ["", "optimizer."].map { (prefix: $0, buffer: FloatBuffer(count: layout.count)) }
      let error = #expect(throws: InputError.self) { try file.load(into: state) }
      #expect(error?.found.contains("is damaged: checksum") == true)
    }
  }

  @Test("a file that is cut off or whose header is changed is refused or read, never a crash")
  func hostileHeader() throws {
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0))])
    let whole = try folder.bytes("c.safetensors")
    let dataStart = whole.count - 4 * layout.parameterCount
    for round in 0..<600 {
      var bytes = whole
      if round.isMultiple(of: 3) {
        bytes.removeLast(.random(in: 1...whole.count))
      } else {
        bytes[.random(in: 0..<dataStart)] = .random(in: 0x20...0x7E)
      }
      let damaged = try folder.write(bytes, as: "damaged")
      do throws(InputError) {
        let file = try CheckpointFile(contentsOf: damaged)
        let count = ParameterLayout(file.checkpoint.architecture).count
        try file.load(into: [("", FloatBuffer(count: count))])
        #expect(count == layout.count)
      } catch {
        #expect(!error.description.contains("\n"))
      }
    }
  }

  @Test("a checkpoint that cannot be written leaves the older one")
  func failingWrite() throws {
    try checkpoint.write(to: path, state: [("", filledBuffer(salt: 0))])
    #expect(throws: InputError.self) {
      try checkpoint.write(to: folder.file("missing/c.safetensors"), state: [("", filledBuffer(salt: 1))])
    }
    #expect(try CheckpointFile(contentsOf: path).checkpoint == checkpoint)
  }

  /// A buffer of numbers that differ everywhere, with zeros as padding.
  private func filledBuffer(salt: Int) -> FloatBuffer {
    let buffer = FloatBuffer(count: layout.count)
    for entry in layout.entries { for index in entry.range { buffer[index] = Float(index) / 7 + Float(salt) * 1e-3 } }
    return buffer
  }

  private func areEqual(_ first: FloatBuffer, _ second: FloatBuffer) -> Bool {
    first.count == second.count && (0..<first.count).allSatisfy { first[$0].bitPattern == second[$0].bitPattern }
  }

  /// Writes a checkpoint of only parameters, with metadata and shapes changed behind its back.
  private func rewrite(_ change: (inout [String: String], inout [String: [Int]]) -> Void) throws {
    let buffer = filledBuffer(salt: 0)
    try checkpoint.write(to: path, state: [("", buffer)])
    let original = try SafetensorsFile(contentsOf: path)
    var metadata = original.metadata
    var shapes = Dictionary(uniqueKeysWithValues: layout.entries.map { ($0.name, $0.shape) })
    change(&metadata, &shapes)
    var writer = SafetensorsWriter(metadata: metadata)
    for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) {
      let start = buffer.pointer + (layout[name: name]?.offset ?? 0)
      writer.add(name, shape: shape, values: UnsafeBufferPointer(start: start, count: shape.reduce(1, *)))
    }
    try AtomicFile.write(to: path) { file throws(InputError) in
      try writer.write { bytes throws(InputError) in try file.append(bytes) }
    }
    withExtendedLifetime(buffer) {}
  }
}
