public import KernelInterface

/// The kernels of this build; its methods stand in this folder's files, one subject a file.
public struct VectorKernels: KernelSet {
  /// The kernels have no state.
  public init() {}

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
