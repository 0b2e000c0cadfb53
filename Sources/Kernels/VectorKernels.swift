public import KernelInterface

#if VECTOR_WIDTH_16
  internal import KernelsV3
#endif

/// The kernels of this build; its methods stand in this folder's files, one subject a file.
public struct VectorKernels: KernelSet {
  #if VECTOR_WIDTH_16 || VECTOR_WIDTH_8
    /// Lanes of each group that are computed: all 16, or the first 8 where no more hold images.
    public let lanes: Int

    /// - Parameter lanes: 16, or 8 for groups of up to 8 images, which are half the work: where vectors hold 16, products and
    ///   transforms take two columns or two tiles to a vector.
    public init(lanes: Int = laneCount) { self.lanes = lanes }
  #else
    /// Lanes of each group that are computed.
    public var lanes: Int { laneCount }

    /// The kernels have no state.
    public init() {}
  #endif

  #if VECTOR_WIDTH_16
    /// What computes the first 8 lanes of what is too little to matter.
    @inline(__always) var halves: KernelsV3.VectorKernels { KernelsV3.VectorKernels(lanes: lanes) }
  #endif

  /// Vectors that a column is computed in.
  @inline(always) var parts: Int {
    #if VECTOR_WIDTH_16
      1
    #else
      lanes / Vector.scalarCount
    #endif
  }

  /// With AVX-512 one register tile's columns; else up to 8: a row of 32 pixels has 6, whose 12 vectors tiles of 3 take evenly.
  public var tilesPerWideStrip: Int {
    #if VECTOR_WIDTH_16
      4
    #else
      8
    #endif
  }

  /// `portable`, `avx2` or `avx512`.
  public var name: String {
    #if VECTOR_WIDTH_16
      "avx512"
    #elseif VECTOR_WIDTH_8
      "avx2"
    #else
      "portable"
    #endif
  }
}
