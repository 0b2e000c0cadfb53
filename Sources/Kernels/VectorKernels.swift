public import KernelInterface

/// The kernels of this build; its methods stand in this folder's files, one subject a file.
public struct VectorKernels: KernelSet {
  #if VECTOR_WIDTH_8
    /// Lanes of each group that are computed: all 16, or the first 8 where no more hold images.
    public let lanes: Int

    /// - Parameter lanes: 16, or 8 for groups of up to 8 images: half the work on CPUs whose vectors hold 8, and on those
    ///   that compute 16 in two halves.
    public init(lanes: Int = laneCount) { self.lanes = lanes }
  #else
    /// Lanes of each group that are computed.
    public var lanes: Int { laneCount }

    /// The kernels have no state.
    public init() {}
  #endif

  /// Vectors that a column is computed in.
  @inline(always) var parts: Int { lanes / Vector.scalarCount }

  /// `portable`, `avx2` or `avx512`.
  public var name: String {
    #if REGISTERS_32
      "avx512"
    #elseif VECTOR_WIDTH_8
      "avx2"
    #else
      "portable"
    #endif
  }
}
