public import KernelInterface

// One image's convolution: 16 of its tiles to a vector. They are brought together in scratch, where the transforms of lane groups
// find them as one tile of 16 images.

extension VectorKernels {
  /// transformed = Bᵀ x B of tiles of one image, [64][channels][tiles].
  public func winogradInput(
    _ image: UnsafePointer<Float>, channels: Int, tiles: PlanarTiles, transformed: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let positionStride = tiles.positionStride(channels: channels)
    for channel in 0..<channels {
      let plane = image + channel * tiles.planeStride
      let result = transformed + channel * tiles.channelStride
      // Behind each width's last tile are lanes without meaning; tiles of four overwrite those of six.
      for isWide in [true, false] {
        let strip = WinogradStrip(isTall: tiles.isTall, isWide: isWide, scratch: scratch + 64 * laneCount)
        let range = tiles.range(isWide: isWide)
        for first in stride(from: range.lowerBound, to: range.upperBound, by: laneCount) {
          tiles.offsets.withUnsafeBufferPointer { offsets in
            for tile in first..<min(first + laneCount, range.upperBound) {
              gather(
                plane + offsets[tile], rowStride: tiles.rowStride, rows: tiles.rowPoints, columns: isWide ? 8 : 6,
                to: scratch + tile - first)
            }
          }
          transform(
            InputTransform(
              images: scratch, strip: strip, transformed: result + first, positionStride: positionStride),
            channels: 1, strip: strip)
        }
      }
    }
  }

  /// image = leakyReLU(Aᵀ m A + bias) of tiles of one image.
  public func winogradOutput(
    _ products: UnsafePointer<Float>, channels: Int, tiles: PlanarTiles, bias: UnsafePointer<Float>,
    image: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
  ) {
    let positionStride = tiles.positionStride(channels: channels)
    for channel in 0..<channels {
      // Outputs begin behind the border.
      let plane = image + channel * tiles.planeStride + tiles.rowStride + 1
      for isWide in [true, false] {
        let strip = WinogradStrip(isTall: tiles.isTall, isWide: isWide, scratch: scratch + 64 * laneCount)
        let range = tiles.range(isWide: isWide)
        for first in stride(from: range.lowerBound, to: range.upperBound, by: laneCount) {
          transform(
            OutputTransform(
              products: products + channel * tiles.channelStride + first, positionStride: positionStride,
              bias: bias + channel, images: scratch, strip: strip),
            channels: 1, strip: strip)
          tiles.offsets.withUnsafeBufferPointer { offsets in
            for tile in first..<min(first + laneCount, range.upperBound) {
              scatter(
                scratch + tile - first, rows: tiles.isTall ? 6 : 4, columns: isWide ? 6 : 4,
                to: plane + offsets[tile], rowStride: tiles.rowStride)
            }
          }
        }
      }
    }
  }
}

extension PlanarTiles {
  /// The tiles of a width.
  @inline(__always)
  fileprivate func range(isWide: Bool) -> Range<Int> { isWide ? 0..<sixes : sixes..<count }
}

/// Copies a tile into one lane, [8][8][16].
@inline(__always)
private func gather(
  _ pixels: UnsafePointer<Float>, rowStride: Int, rows: Int, columns: Int, to lane: UnsafeMutablePointer<Float>
) {
  for i in 0..<rows {
    for j in 0..<columns { lane[(8 * i + j) * laneCount] = pixels[i * rowStride + j] }
  }
}

/// Copies a tile out of one lane, [8][8][16].
@inline(__always)
private func scatter(
  _ lane: UnsafePointer<Float>, rows: Int, columns: Int, to pixels: UnsafeMutablePointer<Float>, rowStride: Int
) {
  for i in 0..<rows {
    for j in 0..<columns { pixels[i * rowStride + j] = lane[(8 * i + j) * laneCount] }
  }
}
