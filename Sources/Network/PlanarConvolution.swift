import KernelInterface
import Tensors

/// The forward pass of a 3×3 convolution of one image, planar, bordered [channels][W + 2][W + 2].
///
/// The same sums as a lane group's (`WinogradConvolution`), whose lanes are here 16 tiles of one image.
final class PlanarConvolution: PlanarForward {
  private let channels: Int
  private let bias: Int
  private let transformedWeights: TransformedWeights.Layer
  private let kernels: any KernelSet
  private let bands: [Band]
  private let memory: Memory

  /// What all layers use one after the other.
  final class Memory {
    fileprivate let tiles: FloatBuffer
    fileprivate let scratch = FloatBuffer(count: PlanarTiles.scratchCount)

    /// - Parameter tilings: Of all widths.
    init(channels: Int, tilings: [WinogradTiling]) {
      let positionStride =
        tilings.flatMap(PlanarTiles.bands).map { $0.positionStride(channels: channels) }.max() ?? 0
      tiles = FloatBuffer(count: 65 * positionStride)
    }
  }

  private struct Band {
    let tiles: PlanarTiles
    let channelOffsets: AlignedBuffer<Int32>
  }

  init(
    channels: Int, tiling: WinogradTiling, bias: Int, transformedWeights: TransformedWeights.Layer, memory: Memory,
    kernels: any KernelSet
  ) {
    self.channels = channels
    self.bias = bias
    self.transformedWeights = transformedWeights
    self.memory = memory
    self.kernels = kernels
    bands = PlanarTiles.bands(tiling).map { tiles in
      let offsets = AlignedBuffer<Int32>(count: channels)
      for channel in 0..<channels { offsets[channel] = Int32(channel * tiles.channelStride) }
      return Band(tiles: tiles, channelOffsets: offsets)
    }
  }

  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) {
    for band in bands {
      let positionStride = band.tiles.positionStride(channels: channels)
      // A position's products take the place of the position's before, which have served.
      let products = memory.tiles.pointer
      let tiles = products + positionStride
      kernels.winogradInput(
        input, channels: channels, tiles: band.tiles, transformed: tiles, scratch: memory.scratch.pointer)
      for row in 0..<band.tiles.rowPoints {
        multiply(8 * row..<8 * row + 6, band, vectors: band.tiles.vectors, of: tiles, into: products)
        // Only tiles of six have the last two points.
        let vectors = (band.tiles.sixes + laneCount - 1) / laneCount
        if vectors > 0 { multiply(8 * row + 6..<8 * row + 8, band, vectors: vectors, of: tiles, into: products) }
      }
      kernels.winogradOutput(
        products, channels: channels, tiles: band.tiles, bias: parameters + bias, image: output,
        scratch: memory.scratch.pointer)
    }
  }

  /// The products of some positions with the weights.
  private func multiply(
    _ positions: Range<Int>, _ band: Band, vectors: Int, of tiles: UnsafePointer<Float>,
    into products: UnsafeMutablePointer<Float>
  ) {
    kernels.product(
      transformedWeights.product(
        positions, inputs: tiles, channelOffsets: band.channelOffsets.pointer, outputs: products,
        channelStride: band.tiles.channelStride, positionStride: band.tiles.positionStride(channels: channels),
        columns: vectors, columnStride: laneCount))
  }
}
