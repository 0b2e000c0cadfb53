import KernelInterface
public import Tensors

/// Winograd's transforms of all convolutions' weights, G g Gᵀ: seven times as long as the weights themselves.
///
/// Models that compute with the same parameters can have them in common, each transforming a share: those of a rank's threads,
/// and those of a host's ranks in shared memory.
public final class TransformedWeights {
  private let memory: FloatBuffer
  /// Where each layer's begin, by layer and scale; nil where a layer does without.
  private let offsets: [[Int?]]
  private let channels: Int
  private let share: Int
  private let shareCount: Int

  /// Floats that an architecture's take.
  public static func count(_ architecture: Architecture) -> Int { layOut(architecture).count }

  /// - Parameters:
  ///   - memory: `count` floats that other models use as well; nil for this one's own.
  ///   - share: Which share of every layer's this model computes, from 0.
  ///   - shareCount: How many shares there are.
  public init(_ architecture: Architecture, memory: FloatBuffer? = nil, share: Int = 0, of shareCount: Int = 1) {
    precondition(share >= 0 && share < shareCount, "a share is one of all")
    let (offsets, count) = Self.layOut(architecture)
    precondition(memory.map { $0.count >= count } ?? true, "the memory is too short")
    self.memory = memory ?? FloatBuffer(count: count)
    self.offsets = offsets
    channels = architecture.convolutionChannels
    self.share = share
    self.shareCount = shareCount
  }

  private static func layOut(_ architecture: Architecture) -> (offsets: [[Int?]], count: Int) {
    let channels = architecture.convolutionChannels
    var count = 0
    let offsets = (0..<architecture.convolutionLayers).map { layer in
      (0..<architecture.scaleCount).map { scale -> Int? in
        let isTransformed = WinogradConvolution.applies(
          inputs: layer == 0 ? architecture.colorCount : channels, outputs: channels,
          width: architecture.spatialWidth >> scale)
        guard isTransformed else { return nil }
        defer { count += 64 * channels * channels }
        return count
      }
    }
    return (offsets, count)
  }

  /// One convolution's, [64][outputs][inputs].
  struct Layer {
    private let memory: FloatBuffer
    private let offset: Int
    private let channels: Int
    private var filterCount: Int { channels * channels }
    /// Those that this model transforms.
    private let filters: Range<Int>

    fileprivate init(_ memory: FloatBuffer, offset: Int, channels: Int, filters: Range<Int>) {
      self.memory = memory
      self.offset = offset
      self.channels = channels
      self.filters = filters
    }

    /// Transforms this model's share of the weights, [outputs][inputs][3][3].
    func prepare(_ weights: UnsafePointer<Float>, kernels: any KernelSet) {
      kernels.winogradWeights(
        weights + 9 * filters.lowerBound, count: filters.count,
        transformed: memory.pointer + offset + filters.lowerBound, positionStride: filterCount)
    }

    /// Those of a position, [outputs][inputs]; those after the last are there to be prefetched only.
    private func position(_ position: Int) -> UnsafePointer<Float> {
      UnsafePointer(memory.pointer + offset + position * filterCount)
    }

    /// The products of neighbouring positions: of the weights, or of their transpose, and transformed tiles.
    ///
    /// - Parameters:
    ///   - inputs, outputs: Of position 0; positions are `positionStride` floats apart.
    ///   - channelOffsets: Where the inputs' channels are; the outputs' are `channelStride` floats apart.
    ///   - columns: Of tiles, `columnStride` floats apart.
    func product(
      _ positions: Range<Int>, isTransposed: Bool = false, inputs: UnsafePointer<Float>,
      channelOffsets: UnsafePointer<Int32>, outputs: UnsafeMutablePointer<Float>, channelStride: Int,
      positionStride: Int, columns: Int, columnStride: Int
    ) -> Product {
      let first = positions.lowerBound
      var product = Product(
        weights: position(first), rowStride: isTransposed ? 1 : channels, depthStride: isTransposed ? channels : 1,
        inputs: inputs + first * positionStride, offsets: channelOffsets, columnStride: columnStride,
        outputs: outputs + first * positionStride, outputRowStride: channelStride, outputColumnStride: columnStride,
        rows: channels, depth: channels, columns: columns, epilogue: .store)
      product.batch = StridedBatch(
        count: positions.count, leftStride: filterCount, inputStride: positionStride, resultStride: positionStride)
      product.prefetched = position(first + 1)
      product.prefetchedFloats = filterCount
      return product
    }
  }

  /// A layer's at a scale; nil where it does without.
  func layer(_ layer: Int, scale: Int) -> Layer? {
    guard let offset = offsets[layer][scale] else { return nil }
    // Whole vectors: different models write different cache lines, where channels are a multiple of 4.
    let filterCount = channels * channels
    let vectors = (filterCount + laneCount - 1) / laneCount
    func border(_ share: Int) -> Int { min(filterCount, vectors * share / shareCount * laneCount) }
    return Layer(memory, offset: offset, channels: channels, filters: border(share)..<border(share + 1))
  }
}
