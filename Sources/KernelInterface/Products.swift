/// Images in a lane group: one SIMD lane is one image, whatever the CPU's vectors hold.
///
/// 16 is fixed, not chosen by the CPU, so that every code path adds the same numbers in the same order.
public let laneCount = 16

/// Slope of the leaky ReLU for negative inputs (MODEL.md, "Network").
public let leakyReLUSlope: Float = 0.05

/// What happens to a product's sums before they are stored.
public enum Epilogue {
  /// Stored as they are.
  case store
  /// Added to what the output holds: two sums, each complete, of a tree.
  case accumulate
  /// What the output holds is where the sums start: a sum that goes on.
  case resume
  /// `bias[row]` is where the sums start.
  case bias(UnsafePointer<Float>)
  /// `bias[row]` is where the sums start; the leaky ReLU follows.
  case biasLeakyReLU(UnsafePointer<Float>)
  /// Multiplied by the leaky ReLU's derivative where its output was `activations` (addressed like the output).
  case leakyReLUGradient(activations: UnsafePointer<Float>)
}

/// outputs[r][c] = Σ_k weights[r][k] · inputs[k][c]: the one product that every layer is made of.
///
/// A column is a vector of 16 floats: one pixel of 16 images, one tile of a Winograd transform, or 16 neighbouring features of
/// one image. Rows and depth have strides, the depth of the inputs a table of offsets: with it a 3×3 convolution is this
/// product too (offset of (channel, ky, kx)), without any im2col.
public struct Product {
  /// Element (r, k) is at `r * weightRowStride + k * weightDepthStride`.
  public var weights: UnsafePointer<Float>
  /// Floats between rows of the weights.
  public var weightRowStride: Int
  /// Floats between neighbours in depth.
  public var weightDepthStride: Int
  /// Column c at depth k is the 16 floats at `inputOffsets[k] + c * inputColumnStride`.
  public var inputs: UnsafePointer<Float>
  /// Offsets in floats, `depth` of them.
  public var inputOffsets: UnsafePointer<Int32>
  /// Floats between columns of the inputs: 16 or more; of kernels for 8 lanes also 8, as of the outputs, and then rows have
  /// room for an even number of columns.
  public var inputColumnStride: Int
  /// Column c of row r is the 16 floats at `r * outputRowStride + c * outputColumnStride`.
  public var outputs: UnsafeMutablePointer<Float>
  /// Floats between rows of the outputs.
  public var outputRowStride: Int
  /// Floats between columns of the outputs.
  public var outputColumnStride: Int
  /// Rows of weights and outputs.
  public var rows: Int
  /// Terms of each sum, at least one.
  public var depth: Int
  /// Columns of inputs and outputs.
  public var columns: Int
  /// The products of this shape that are computed; the other properties are those of the first.
  ///
  /// A product's outputs may overwrite the inputs of those before it. Activations of an epilogue are addressed like the
  /// outputs; a bias is that of all.
  public var batch = StridedBatch()
  /// Memory that the next product will read, fetched while this one computes: `prefetchedFloats` floats; nil for none.
  ///
  /// Each of a batch fetches the floats that follow those of the one before.
  public var prefetched: UnsafePointer<Float>?
  /// See `prefetched`.
  public var prefetchedFloats = 0
  /// `packingCount` floats that are overwritten: a block of inputs is brought together there before all rows read it.
  ///
  /// For many rows and inputs that lie far apart, or across cache lines. nil: inputs are read where they are, and so
  /// are shallow products' of vectors that are whole cache lines.
  public var packing: UnsafeMutablePointer<Float>?
  /// What is done to the sums.
  public var epilogue: Epilogue

  /// Describes a product; see the properties.
  public init(
    weights: UnsafePointer<Float>, rowStride: Int, depthStride: Int,
    inputs: UnsafePointer<Float>, offsets: UnsafePointer<Int32>, columnStride: Int,
    outputs: UnsafeMutablePointer<Float>, outputRowStride: Int, outputColumnStride: Int,
    rows: Int, depth: Int, columns: Int, epilogue: Epilogue
  ) {
    self.weights = weights
    weightRowStride = rowStride
    weightDepthStride = depthStride
    self.inputs = inputs
    inputOffsets = offsets
    inputColumnStride = columnStride
    self.outputs = outputs
    self.outputRowStride = outputRowStride
    self.outputColumnStride = outputColumnStride
    self.rows = rows
    self.depth = depth
    self.columns = columns
    self.epilogue = epilogue
  }

  /// Floats of `packing`: a block of inputs, and the offsets of its depth, whose inputs are one vector of 8 at least.
  public static var packingCount: Int { packedFloats + packedFloats / 8 }
  /// Floats of the largest block of inputs that is packed.
  public static var packedFloats: Int { inputBlockFloats * 3 / 2 }
  /// Floats of a block of inputs, about: 24 KiB, which leaves the smallest L1 caches, of 32 KiB, room for weights and sums.
  public static var inputBlockFloats: Int { 6144 }
}

/// sums[r][k] += Σ_c left[r][c] · right[k][c], lane by lane: the weight gradient of the temporal readout.
///
/// Lanes stay apart, because the weights of each are another combination of the parameters.
public struct LaneDot {
  /// Column c of row r is at `r * leftRowStride + c * leftColumnStride`.
  public var left: UnsafePointer<Float>
  /// Floats between rows.
  public var leftRowStride: Int
  /// Floats between columns.
  public var leftColumnStride: Int
  /// Column c of row k is at `rightOffsets[k] + c * rightColumnStride`.
  public var right: UnsafePointer<Float>
  /// Offsets in floats, `rightRows` of them.
  public var rightOffsets: UnsafePointer<Int32>
  /// Floats between columns.
  public var rightColumnStride: Int
  /// [leftRows][rightRows][16].
  public var sums: UnsafeMutablePointer<Float>
  /// Rows of `left`.
  public var leftRows: Int
  /// Rows of `right`.
  public var rightRows: Int
  /// Terms of each sum.
  public var columns: Int

  /// Describes the sums; see the properties.
  public init(
    left: UnsafePointer<Float>, leftRowStride: Int, leftColumnStride: Int, leftRows: Int,
    right: UnsafePointer<Float>, rightOffsets: UnsafePointer<Int32>, rightColumnStride: Int, rightRows: Int,
    columns: Int, sums: UnsafeMutablePointer<Float>
  ) {
    self.left = left
    self.leftRowStride = leftRowStride
    self.leftColumnStride = leftColumnStride
    self.leftRows = leftRows
    self.right = right
    self.rightOffsets = rightOffsets
    self.rightColumnStride = rightColumnStride
    self.rightRows = rightRows
    self.columns = columns
    self.sums = sums
  }
}
