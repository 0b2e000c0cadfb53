/// Where every parameter lies in the one buffer that holds them all, and the checkpoint's name and shape of each.
///
/// The same layout serves gradients and the optimizer's state: optimizer, all-reduce and checkpoint see one vector.
/// The dense branch's tensors stand in the order in which the backward pass completes them, then all others (upper branch,
/// convolutions from the last to the first), so that a bucket of the all-reduce is a contiguous range.
public struct ParameterLayout: Equatable, Sendable {
  /// One parameter tensor.
  public struct Entry: Equatable, Sendable {
    /// Its name in checkpoints (FORMATS.md, "Checkpoint").
    public let name: String
    /// Its shape, row-major: `[out, in, 3, 3]`, `[out, in]` or `[out]`.
    public let shape: [Int]
    /// Its elements in the buffer, as an offset of floats.
    public let offset: Int
    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Its range in the buffer.
    public var range: Range<Int> { offset..<offset + count }
  }

  /// All tensors, in the buffer's order.
  public let entries: [Entry]
  /// Elements of the buffer with the padding between tensors: zero in initial parameters, without meaning later.
  public let count: Int
  /// Elements without padding: the number of parameters.
  public let parameterCount: Int
  private let indexByName: [String: Int]

  /// Lays out the parameters of an architecture.
  public init(_ architecture: Architecture) {
    var entries: [Entry] = []
    var offset = 0
    func add(_ name: String, _ shape: [Int]) {
      let entry = Entry(name: name, shape: shape, offset: offset)
      entries.append(entry)
      // Every tensor starts on a cache line: vectors of 16 floats never straddle two tensors.
      offset += (entry.count + 15) / 16 * 16
    }
    func addLayers(_ name: String, _ widths: [Int]) {
      for layer in (0..<max(0, widths.count - 1)).reversed() {
        add("\(name).\(layer).weight", [widths[layer + 1], widths[layer]])
        add("\(name).\(layer).bias", [widths[layer + 1]])
      }
    }
    addLayers("dense_lower", architecture.denseLowerWidths)
    addLayers("dense_upper", architecture.denseUpperWidths)
    for layer in (0..<architecture.convolutionLayers).reversed() {
      let inputs = layer == 0 ? architecture.colorCount : architecture.convolutionChannels
      for scale in 0..<architecture.scaleCount {
        add("conv.\(layer).scale\(scale).weight", [architecture.convolutionChannels, inputs, 3, 3])
        add("conv.\(layer).scale\(scale).bias", [architecture.convolutionChannels])
      }
    }
    self.entries = entries
    count = offset
    parameterCount = entries.reduce(0) { $0 + $1.count }
    indexByName = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
  }

  /// The tensor of a name, or nil where the architecture has none of it.
  public subscript(name name: String) -> Entry? { indexByName[name].map { entries[$0] } }

  /// A tensor that the architecture is known to have.
  func entry(_ name: String) -> Entry {
    guard let entry = self[name: name] else { preconditionFailure("no parameter is called \(name)") }
    return entry
  }
}
