import Foundation
public import Network
public import Tensors

/// A file of Goldens: numbers that another implementation computed in double precision, with their tolerances.
public struct GoldenFile {
  /// The file's name without extension.
  public let name: String
  private let tensors: SafetensorsFile
  private let facts: [String: Any]

  /// Opens a golden file of the tests' resources.
  public init(_ name: String) throws {
    self.name = name
    tensors = try SafetensorsFile(contentsOf: Self.path("\(name).safetensors"))
    let index = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: Self.path("index.json"))))
    guard let entries = index as? [String: Any], let facts = entries[name] as? [String: Any] else {
      throw InputError("index.json", found: "no \(name)", expected: "an entry for every golden file")
    }
    self.facts = facts
  }

  /// The path of a file in Goldens.
  public static func path(_ file: String) -> String {
    Bundle.module.bundleURL.appendingPathComponent("Goldens").appendingPathComponent(file).path
  }

  /// A number of the file's entry in index.json.
  public func number(_ key: String) throws -> Double {
    guard let number = facts[key] as? NSNumber else { throw InputError(name, found: "no number \(key)") }
    return number.doubleValue
  }

  /// A tolerance by its key; with none, the entry's only one.
  public func tolerance(_ key: String? = nil) throws -> Double {
    guard let key else { return try number("tolerance") }
    guard let tolerances = facts["tolerance"] as? [String: NSNumber], let tolerance = tolerances[key] else {
      throw InputError(name, found: "no tolerance \(key)")
    }
    return tolerance.doubleValue
  }

  /// The times that the file has numbers for.
  public var times: [Int] { (facts["times"] as? [NSNumber] ?? []).map(\.intValue) }

  /// [k, bound] of every tensor whose weights are hashed (Goldens/README.md).
  public var hashedWeights: [String: (number: Int, bound: Double)] {
    (facts["hashed_weights"] as? [String: [NSNumber]] ?? [:]).mapValues { ($0[0].intValue, $0[1].doubleValue) }
  }

  /// The network's sizes.
  public func architecture() throws -> Architecture {
    guard let sizes = facts["config"] as? [String: NSNumber] else { throw InputError(name, found: "no config") }
    func size(_ key: String) -> Int { sizes[key]?.intValue ?? -1 }
    var architecture = Architecture()
    architecture.spatialWidth = size("spatial_width")
    architecture.colorCount = size("n_colors")
    architecture.trajectoryLength = size("trajectory_length")
    architecture.temporalBasisCount = size("n_temporal_basis")
    architecture.denseLowerWidth = size("n_hidden_dense_lower")
    architecture.denseLowerOutputs = size("n_hidden_dense_lower_output")
    architecture.denseUpperWidth = size("n_hidden_dense_upper")
    architecture.convolutionChannels = size("n_hidden_conv")
    architecture.convolutionLayers = size("n_layers_conv")
    architecture.denseLowerLayers = size("n_layers_dense_lower")
    architecture.denseUpperLayers = size("n_layers_dense_upper")
    architecture.scaleCount = size("n_scales")
    architecture.firstStepBeta = sizes["step1_beta"]?.doubleValue ?? -1
    try architecture.validate()
    return architecture
  }

  /// Names of all tensors.
  public var names: [String] { tensors.names }
  /// A tensor's shape.
  public func shape(_ tensor: String) throws -> [Int] { try tensors.shape(of: tensor) }
  /// A floating-point tensor's values.
  public func doubles(_ tensor: String) throws -> [Double] { try tensors.doubles(tensor) }
  /// A tensor of bytes.
  public func bytes(_ tensor: String) throws -> [UInt8] { try tensors.bytes(tensor) }
  /// A tensor of whole numbers.
  public func integers(_ tensor: String) throws -> [Int] { try tensors.integers(tensor) }

  /// One parameter's values, stored or hashed.
  private func parameter(_ name: String, count: Int) throws -> [Double] {
    guard let (number, bound) = hashedWeights[name] else { return try doubles(name) }
    return (0..<count).map { Double(Self.hashedWeight(number, $0, bound)) }
  }

  /// The parameters, laid out for an architecture.
  public func parameters(_ layout: ParameterLayout) throws -> FloatBuffer {
    let parameters = layout.parameterBuffer()
    for entry in layout.entries {
      for (index, value) in try parameter(entry.name, count: entry.count).enumerated() {
        parameters[entry.offset + index] = Float(value)
      }
    }
    return parameters
  }

  /// The reference model with the file's parameters.
  public func referenceModel() throws -> ReferenceModel {
    let architecture = try architecture()
    var parameters: NamedTensors = [:]
    for (name, shape) in ReferenceModel.parameterShapes(architecture) {
      parameters[name] = try parameter(name, count: shape.reduce(1, *))
    }
    return ReferenceModel(architecture, parameters: parameters)
  }

  /// Standardized pixels without dequantization, one array for each image.
  public func scaledImages() throws -> [[Double]] {
    let (scale, shift) = (try number("scale"), try number("shift"))
    return try images(bytes("pixels").map { Double($0) / 255 * scale + shift })
  }

  /// A tensor [images][C][H][W], one array for each image.
  public func images(_ tensor: String) throws -> [[Double]] { try images(doubles(tensor)) }

  private func images(_ values: [Double]) throws -> [[Double]] {
    let elements = try architecture().imageElements
    return stride(from: 0, to: values.count, by: elements).map { Array(values[$0..<$0 + elements]) }
  }

  /// The images with the dequantization and noise of `prefix`, at the given times: one for all images, or one for each.
  public func draws(_ prefix: String, times: [Int]) throws -> [ReferenceDraw] {
    let width = try number("scale") / 255
    let uniform = try images("\(prefix).uniform")
    let noise = try images("\(prefix).noise")
    return try scaledImages().enumerated().map { index, image in
      ReferenceDraw(
        clean: zip(image, uniform[index]).map { $0 + ($1 - 0.5) * width }, noise: noise[index],
        time: times[min(index, times.count - 1)])
    }
  }

  /// Entry `index` of tensor `number`: (2u - 1)·bound, u from the upper 24 bits of a hash (Goldens/README.md).
  private static func hashedWeight(_ number: Int, _ index: Int, _ bound: Double) -> Float {
    var x = UInt64(number) << 32 &+ UInt64(index)
    x = x &+ 0x9E37_79B9_7F4A_7C15
    x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
    x ^= x >> 31
    return Float((2 * Double(x >> 40) * 0x1p-24 - 1) * bound)
  }
}
