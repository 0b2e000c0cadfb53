public import KernelInterface
import Tensors

/// Inverted dropout of layers' inputs: each value is dropped with the probability `rate`, the others grow by 1/(1 - rate).
///
/// Masks are counter-based like all random numbers, keyed by image: they do not depend on the ranks. Values are dropped in
/// place. Behind an activation nothing else is needed for the backward pass: the sign of what was kept is still there, and
/// what was dropped has no gradient.
public final class Dropout {
  /// The layer whose input is meant; every one has masks of its own.
  enum Site: Equatable {
    case convolution(Int)
    case denseLower(Int)
    case denseUpper(Int, row: Int)

    /// What the site's stream is keyed by.
    fileprivate var number: Int {
      switch self {
      case .convolution(let layer): layer
      case .denseLower(let layer): 128 + layer
      case .denseUpper(let layer, let row): 256 + layer * 1024 + row
      }
    }
  }

  /// The probability of dropping a value, 0 ..< 1.
  public let rate: Float
  private let seed: UInt64
  private let kernels: any KernelSet
  private let uniforms: FloatBuffer
  /// The step that masks are keyed by.
  private var step = 0

  /// Makes room for the masks of an architecture; nil for a rate of zero.
  public init?(rate: Double, seed: UInt64, architecture: Architecture, kernels: any KernelSet) {
    guard rate > 0 else { return nil }
    self.rate = Float(rate)
    self.seed = seed
    self.kernels = kernels
    let image = bordered(max(architecture.upperInputs, architecture.colorCount), architecture.spatialWidth)
    let widest = max(architecture.denseLowerWidths.max() ?? 0, architecture.denseUpperWidths.max() ?? 0)
    uniforms = FloatBuffer(count: max(image, widest * architecture.spatialWidth * laneCount) + 4 * laneCount)
  }

  /// Takes new masks from here on.
  public func begin(step: Int) { self.step = step }

  /// Where a site's masks come from.
  func stream(_ site: Site) -> CounterRandom {
    // Not the factor that `CounterRandom` gives purposes: a site's stream would be another purpose's.
    CounterRandom(seed: seed &+ UInt64(site.number) &* 0xD1B5_4A32_D192_ED03, purpose: .dropout, step: step)
  }

  /// Drops values of 16 images, [elements][16].
  func apply(_ values: UnsafeMutablePointer<Float>, elements: Int, site: Site, indices: UnsafePointer<UInt32>) {
    let stream = stream(site)
    kernels.uniforms(
      uniforms.pointer, from: 0, count: elements, indices: indices, step: stream.step, key: stream.key)
    kernels.applyDropout(values, uniforms: uniforms.pointer, count: elements * laneCount, rate: rate)
  }

  /// Takes a gradient with respect to dropped values back to the values themselves.
  func applyGradient(dropped: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int) {
    kernels.applyDropoutGradient(dropped: dropped, gradient: gradient, count: count, rate: rate)
  }
}
