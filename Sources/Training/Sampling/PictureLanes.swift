internal import Datasets
internal import KernelInterface
internal import Tensors

/// Pictures as posterior factors see them: standardized, 16 images to a lane group.
struct PictureLanes {
  /// [C][H][W] each.
  let pictures: [[UInt8]]
  let standardization: Standardization
  /// Samples of each picture, one behind the other.
  var samplesPerPicture = 1

  /// The pictures of some samples, [group][C·H·W][16]; lanes behind the last repeat it.
  func lanes(_ samples: some RandomAccessCollection<Int>) -> FloatBuffer {
    let numbers = Array(samples)
    let elements = pictures.first?.count ?? 0
    let groups = (numbers.count + laneCount - 1) / laneCount
    let buffer = FloatBuffer(count: groups * elements * laneCount)
    for sample in 0..<groups * laneCount {
      let picture = pictures[numbers[min(sample, numbers.count - 1)] / samplesPerPicture]
      let first = sample / laneCount * elements * laneCount + sample % laneCount
      for (element, pixel) in picture.enumerated() {
        buffer.pointer[first + element * laneCount] = standardization.value(ofPixel: pixel)
      }
    }
    return buffer
  }
}
