import CPlatform
public import KernelInterface
import Kernels

#if arch(x86_64)
  import KernelsV3
  import KernelsV4
#endif

/// The builds of the kernels that this CPU can run, and the choice among them.
public enum KernelChoice {
  /// Every build that this CPU can run, the fastest last.
  public static func available() -> [any KernelSet] {
    var kernels: [any KernelSet] = [Kernels.VectorKernels()]
    #if arch(x86_64)
      let level = cplatform_x86_level()
      if level >= 3 { kernels.append(KernelsV3.VectorKernels()) }
      if level >= 4 { kernels.append(KernelsV4.VectorKernels()) }
    #endif
    return kernels
  }

  /// What computes groups of up to 8 images with the same bits and less work; `kernels` itself where nothing does.
  public static func forHalfGroups(_ kernels: any KernelSet) -> any KernelSet {
    #if arch(x86_64)
      if kernels.name == "avx512" { return KernelsV4.VectorKernels(lanes: laneCount / 2) }
      if kernels.name == "avx2" { return KernelsV3.VectorKernels(lanes: laneCount / 2) }
    #endif
    return kernels
  }

  /// The fastest build, or the one that the environment variable DPM_SIMD asks for.
  ///
  /// - Parameter request: DPM_SIMD's value: `avx2`, `avx512`, `portable`; nil or empty for the fastest.
  /// - Throws: `InputError` where the request is none of these or the CPU cannot run it.
  public static func kernels(requested request: String?) throws(InputError) -> any KernelSet {
    let available = available()
    guard let request, !request.isEmpty else { return available[available.count - 1] }
    for kernels in available where kernels.name == request { return kernels }
    let names = available.map(\.name).joined(separator: ", ")
    throw InputError("DPM_SIMD", found: request, expected: "one that this CPU can run: \(names)")
  }
}
