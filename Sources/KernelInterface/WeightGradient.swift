/// sums[o][i] += Σ_c Σ_lane gradients[o][c] · inputs[i][c]: the weight gradient of narrow layers.
///
/// Lanes are summed without being folded: of four outputs, a *quad*, lane 4·g + k of each is brought together in one vector, and
/// multiplied by the input's lane 4·g + k. So a vector of 8 holds 4 outputs × 2 sums, which stay apart until
/// `addQuads` at the end of a canonical part of the minibatch. Sums go on from those in memory: how columns are cut into
/// calls does not change a bit.
public struct WeightGradient {
  /// Column c of output o is at `o * gradientRowStride + c * columnStride`.
  public var gradients: UnsafePointer<Float>
  /// Floats between outputs.
  public var gradientRowStride: Int
  /// Column c of input i is at `inputOffsets[i] + c * columnStride`.
  public var inputs: UnsafePointer<Float>
  /// Offsets in floats, `inputCount` of them.
  public var inputOffsets: UnsafePointer<Int32>
  /// Floats between columns, of gradients and of inputs: 16, or of kernels for 8 lanes also 8.
  public var columnStride: Int
  /// Rows of `gradients`.
  public var outputCount: Int
  /// Rows of `inputs`.
  public var inputCount: Int
  /// Terms of each sum, of as many lanes as the kernels have.
  public var columns: Int
  /// `sumCount` floats: [outputs / 4][inputs rounded up to 2][2][4], the last four those of a quad's outputs.
  public var sums: UnsafeMutablePointer<Float>
  /// `scratchCount` floats that are overwritten.
  public var scratch: UnsafeMutablePointer<Float>
  /// The sums of this shape that are computed; the other properties are those of the first.
  public var batch = StridedBatch()

  /// Describes the sums; see the properties.
  public init(
    gradients: UnsafePointer<Float>, rowStride: Int, inputs: UnsafePointer<Float>, offsets: UnsafePointer<Int32>,
    columnStride: Int, outputCount: Int, inputCount: Int, columns: Int, sums: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    self.gradients = gradients
    gradientRowStride = rowStride
    self.inputs = inputs
    inputOffsets = offsets
    self.columnStride = columnStride
    self.outputCount = outputCount
    self.inputCount = inputCount
    self.columns = columns
    self.sums = sums
    self.scratch = scratch
  }

  /// Floats between quads of the sums: two for each of four outputs, of an even number of inputs.
  public static func quadStride(inputs: Int) -> Int { (inputs + 1) / 2 * 2 * 8 }
  /// Floats of the sums.
  public static func sumCount(outputs: Int, inputs: Int) -> Int { (outputs + 3) / 4 * quadStride(inputs: inputs) }
  /// Floats of the scratch memory: 24 KiB, which the smallest L1 caches, of 32 KiB, hold beside the sums passing by.
  public static var scratchCount: Int { 6144 }
}
