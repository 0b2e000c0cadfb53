import KernelInterface
public import Tensors

/// What the sampler asks of a network: the readouts m and g of a batch's noisy images.
public protocol ReadoutNetwork: AnyObject {
  /// Computes [group][2·C][H·W][16] from the batch's x_t and temporal basis.
  func readouts(batch: DiffusedBatch, groups: Int, into readouts: FloatBuffer)
}

/// The reverse trajectory: from noise at t = T-1 down to t = 1, for lane groups of samples (MODEL.md, "Sampling").
///
/// Sample i depends on the seed and on i alone, not on how many are drawn, in which order, or on which rank.
public final class Sampler {
  private let forwardProcess: ForwardProcess
  private let network: any ReadoutNetwork
  private let kernels: any KernelSet
  private let batch: DiffusedBatch
  private let readouts: FloatBuffer
  private let image: FloatBuffer
  private let noise: FloatBuffer
  private let times = AlignedBuffer<Int>(count: laneCount)
  private let indices: AlignedBuffer<UInt32>
  /// The elements that need noise, in pieces that begin at multiples of 4.
  private var noisyElements: [Range<Int>] = []
  private let inverseRootLength: Float

  /// Makes room for `capacity` samples at a time.
  public init(
    forwardProcess: ForwardProcess, network: any ReadoutNetwork, colors: Int, width: Int, capacity: Int,
    kernels: any KernelSet
  ) {
    self.forwardProcess = forwardProcess
    self.network = network
    self.kernels = kernels
    let schedule = forwardProcess.schedule
    let groups = max(1, (capacity + laneCount - 1) / laneCount)
    batch = DiffusedBatch(
      colors: colors, width: width, basisCount: schedule.temporalBasisCount, groupCapacity: groups)
    readouts = FloatBuffer(count: groups * 2 * batch.targetStride)
    let elements = (colors * width * width + 3) / 4 * 4 * laneCount
    image = FloatBuffer(count: elements)
    noise = FloatBuffer(count: elements)
    indices = AlignedBuffer(count: groups * laneCount)
    inverseRootLength = 1 / Float(schedule.trajectoryLength).squareRoot()
  }

  private var elements: Int { batch.colors * batch.width * batch.width }

  /// Draws samples.
  ///
  /// - Parameters:
  ///   - samples: Which samples, by their numbers in the seed's endless sequence; a number may come several times, each
  ///     time with the same noise.
  ///   - starts: Of each sample the number whose starting noise it has; nil for its own. Posteriors of one noisy picture share it.
  ///   - seed: Chooses the sequence.
  ///   - factor: r(x), or nil for plain samples.
  ///   - startTime: The first time whose step is taken, of an x_t that `factor` makes; nil for T-1.
  ///   - stopAfter: The last time whose step is taken; 1 is the end of the trajectory.
  ///   - wants: Whether x_t is to be visited, for t from T-1 (the start) to 0 (the samples); what it throws ends the drawing.
  ///   - visit: Called with t and x_t, standardized, [samples][C][H][W].
  public func sample(
    _ samples: some RandomAccessCollection<Int>, starts: [Int]? = nil, seed: UInt64,
    factor: (any PosteriorFactor)? = nil, from startTime: Int? = nil, stopAfter lastTime: Int = 1,
    wants: (Int) throws -> Bool, visit: (Int, [Float]) throws -> Void
  ) rethrows {
    let numbers = Array(samples)
    guard !numbers.isEmpty else { return }
    let groups = (numbers.count + laneCount - 1) / laneCount
    precondition(groups <= batch.groupCapacity, "more samples than there is room for")
    precondition(starts.map { $0.count == numbers.count } ?? true, "a start for each sample")
    let firstTime = startTime ?? forwardProcess.schedule.trajectoryLength - 1
    let start = CounterRandom(seed: seed, purpose: .samplingStart, step: 0)
    noisyElements = [0..<elements]
    setIndices(starts ?? numbers, groups: groups)
    for group in 0..<groups {
      draw(start, into: image, group)
      factor?.start(lanes(image), group: group)
      setImage(group)
    }
    setIndices(numbers, groups: groups)
    noisyElements = noisyElements(isFixed: factor?.isFixed ?? [])
    if try wants(firstTime) { try visit(firstTime, unpacked(numbers.count)) }
    for time in stride(from: firstTime, through: lastTime, by: -1) {
      takeStep(time, count: numbers.count, seed: seed, factor: factor)
      if try wants(time - 1) { try visit(time - 1, unpacked(numbers.count)) }
    }
  }

  private func lanes(_ buffer: FloatBuffer) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: buffer.pointer, count: elements * laneCount)
  }

  /// What noise is keyed by, lane by lane; lanes behind the last repeat it.
  private func setIndices(_ numbers: [Int], groups: Int) {
    for lane in 0..<groups * laneCount {
      indices[lane] = UInt32(truncatingIfNeeded: numbers[min(lane, numbers.count - 1)])
    }
  }

  private func draw(_ stream: CounterRandom, into buffer: FloatBuffer, _ group: Int) {
    for piece in noisyElements {
      kernels.normals(
        buffer.pointer, from: piece.lowerBound, count: piece.count, indices: indices.pointer + group * laneCount,
        step: stream.step, key: stream.key)
    }
  }

  /// Blocks of four elements that are not fixed altogether, put together where they touch.
  private func noisyElements(isFixed: [Bool]) -> [Range<Int>] {
    guard !isFixed.isEmpty else { return [0..<elements] }
    var pieces: [Range<Int>] = []
    for first in stride(from: 0, to: elements, by: 4) {
      let block = first..<min(first + 4, elements)
      if block.allSatisfy({ isFixed[$0] }) { continue }
      if let last = pieces.last, last.upperBound == first {
        pieces[pieces.count - 1] = last.lowerBound..<block.upperBound
      } else {
        pieces.append(block)
      }
    }
    return pieces
  }

  /// One reverse step of all groups: x ← μ' + σ'·N(0, I).
  private func takeStep(_ time: Int, count: Int, seed: UInt64, factor: (any PosteriorFactor)?) {
    times.fill(time)
    let groups = (count + laneCount - 1) / laneCount
    for group in 0..<groups {
      forwardProcess.setTimes(
        times, imageCount: min(laneCount, count - group * laneCount), gradientWeight: 0, in: batch, group: group)
    }
    network.readouts(batch: batch, groups: groups, into: readouts)
    let stream = CounterRandom(seed: seed, purpose: .samplingStep, step: time)
    let row = batch.width * laneCount
    let plane = batch.width * row
    for group in 0..<groups {
      // μ into `image`, σ in place of g, one colour after the other.
      for color in 0..<batch.colors {
        let mean = readouts.pointer + group * 2 * batch.targetStride + 2 * color * plane
        for y in 0..<batch.width {
          kernels.reverseMoments(
            mean: mean + y * row, logit: mean + plane + y * row, image: imageRow(group, color, y),
            columns: batch.width, inverseRootLength: inverseRootLength, coefficients: batch.coefficients(group))
        }
        (image.pointer + color * plane).update(from: mean, count: plane)
        // σ of all colours, packed behind each other in the first half of the group's readouts.
        (readouts.pointer + group * 2 * batch.targetStride + color * plane).update(from: mean + plane, count: plane)
      }
      let deviation = UnsafeMutableBufferPointer(
        start: readouts.pointer + group * 2 * batch.targetStride, count: elements * laneCount)
      factor?.modify(mean: lanes(image), deviation: deviation, group: group)
      draw(stream, into: noise, group)
      for piece in noisyElements {
        for index in piece.lowerBound * laneCount..<piece.upperBound * laneCount {
          image.pointer[index] += deviation[index] * noise.pointer[index]
        }
      }
      setImage(group)
    }
  }

  private func imageRow(_ group: Int, _ color: Int, _ y: Int) -> UnsafeMutablePointer<Float> {
    let rowStride = (batch.width + 2) * laneCount
    return batch.noisyInterior(group) + (color * (batch.width + 2) + y) * rowStride
  }

  /// Moves `image` into the batch's bordered image of a group.
  private func setImage(_ group: Int) {
    let row = batch.width * laneCount
    for color in 0..<batch.colors {
      for y in 0..<batch.width {
        imageRow(group, color, y).update(from: image.pointer + (color * batch.width + y) * row, count: row)
      }
    }
  }

  /// The batch's images out of their lanes: [count][C][H][W].
  private func unpacked(_ count: Int) -> [Float] {
    var images = [Float](repeating: 0, count: count * elements)
    for sample in 0..<count {
      var element = 0
      for color in 0..<batch.colors {
        for y in 0..<batch.width {
          let row = imageRow(sample / laneCount, color, y) + sample % laneCount
          for x in 0..<batch.width {
            images[sample * elements + element] = row[x * laneCount]
            element += 1
          }
        }
      }
    }
    return images
  }
}
