import KernelInterface
public import Tensors

/// A rank's part of a minibatch after the forward process: what the network and the objective read.
///
/// Images stand in lane groups of 16. A lane without an image (the last group's padding) holds a finite image and a gradient
/// weight of zero. Allocated once, for the largest minibatch.
public final class DiffusedBatch {
  /// Colours C of an image.
  public let colors: Int
  /// Width and height of an image.
  public let width: Int
  /// Lane groups that fit.
  public let groupCapacity: Int
  /// x_t with a zero border: [group][C][W + 2][W + 2][16].
  public let noisy: FloatBuffer
  /// The readout's targets r (`LaneCoefficient`): [group][C][W][W][16].
  public let target: FloatBuffer
  /// [group][LaneCoefficient][16].
  public let coefficients: FloatBuffer
  /// Temporal weights y_t of every lane: [group][nb][16].
  public let basis: FloatBuffer
  /// KL of every image, summed over its elements, in nats: [group][16].
  public let divergence: AlignedBuffer<Double>
  /// Images of each group, in its first lanes: [group].
  public let imageCounts: AlignedBuffer<Int>
  /// What each lane's random numbers are keyed by: [group][16].
  public let indices: AlignedBuffer<UInt32>
  /// nb.
  public let basisCount: Int

  /// Floats from a group's targets to the next one's.
  private let targetPitch: Int

  /// Makes room for `groupCapacity` lane groups.
  public init(colors: Int, width: Int, basisCount: Int, groupCapacity: Int) {
    self.colors = colors
    self.width = width
    self.basisCount = basisCount
    self.groupCapacity = groupCapacity
    noisy = FloatBuffer(count: groupCapacity * colors * (width + 2) * (width + 2) * laneCount)
    // Random numbers come by fours of elements.
    targetPitch = (colors * width * width + 3) / 4 * 4 * laneCount
    target = FloatBuffer(count: groupCapacity * targetPitch)
    coefficients = FloatBuffer(count: groupCapacity * LaneCoefficient.allCases.count * laneCount)
    basis = FloatBuffer(count: groupCapacity * basisCount * laneCount)
    divergence = AlignedBuffer(count: groupCapacity * laneCount)
    imageCounts = AlignedBuffer(count: groupCapacity)
    imageCounts.fill(laneCount)
    indices = AlignedBuffer(count: groupCapacity * laneCount)
  }

  /// Floats of a group's bordered image.
  public var noisyStride: Int { colors * (width + 2) * (width + 2) * laneCount }
  /// Floats of a group's image without border.
  public var targetStride: Int { colors * width * width * laneCount }
  /// First pixel inside the border of a group's x_t.
  public func noisyInterior(_ group: Int) -> UnsafeMutablePointer<Float> {
    noisy.pointer + group * noisyStride + (width + 3) * laneCount
  }
  /// A group's targets.
  public func target(_ group: Int) -> UnsafeMutablePointer<Float> { target.pointer + group * targetPitch }
  /// A group's table of coefficients.
  public func coefficients(_ group: Int) -> UnsafeMutablePointer<Float> {
    coefficients.pointer + group * LaneCoefficient.allCases.count * laneCount
  }
  /// A group's temporal weights.
  public func basis(_ group: Int) -> UnsafeMutablePointer<Float> { basis.pointer + group * basisCount * laneCount }
}
