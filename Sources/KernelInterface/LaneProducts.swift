/// outputs[r][c] = Σ_k weights[r][k] · inputs[k][c] where every lane has weights of its own.
///
/// The temporal readout: each image has its own t, hence its own combination of the last layer's coefficients.
public struct LaneProduct {
  /// The 16 weights of (r, k) are at `r * weightRowStride + k * weightDepthStride`.
  public var weights: UnsafePointer<Float>
  /// Floats between rows of the weights.
  public var weightRowStride: Int
  /// Floats between neighbours in depth.
  public var weightDepthStride: Int
  /// Column c at depth k is the 16 floats at `inputOffsets[k] + c * 16`.
  public var inputs: UnsafePointer<Float>
  /// Offsets in floats, `depth` of them.
  public var inputOffsets: UnsafePointer<Int32>
  /// Column c of row r is at `r * outputRowStride + c * 16`.
  public var outputs: UnsafeMutablePointer<Float>
  /// Floats between rows of the outputs.
  public var outputRowStride: Int
  /// Rows of weights and outputs.
  public var rows: Int
  /// Terms of each sum.
  public var depth: Int
  /// Columns of inputs and outputs.
  public var columns: Int
  /// `bias + 16 * row` is where the sums start; nil: at zero.
  public var laneBias: UnsafePointer<Float>?
  /// Outputs of a leaky ReLU, addressed like `outputs`, whose derivative the sums are multiplied by; nil: by nothing.
  public var activations: UnsafePointer<Float>?

  /// Describes a product; see the properties.
  public init(
    weights: UnsafePointer<Float>, rowStride: Int, depthStride: Int,
    inputs: UnsafePointer<Float>, offsets: UnsafePointer<Int32>,
    outputs: UnsafeMutablePointer<Float>, outputRowStride: Int,
    rows: Int, depth: Int, columns: Int,
    laneBias: UnsafePointer<Float>? = nil, activations: UnsafePointer<Float>? = nil
  ) {
    self.weights = weights
    weightRowStride = rowStride
    weightDepthStride = depthStride
    self.inputs = inputs
    inputOffsets = offsets
    self.outputs = outputs
    self.outputRowStride = outputRowStride
    self.rows = rows
    self.depth = depth
    self.columns = columns
    self.laneBias = laneBias
    self.activations = activations
  }
}
