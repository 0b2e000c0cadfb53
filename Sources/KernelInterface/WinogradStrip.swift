/// A run of 4×4 tiles in one row of tiles of bordered images, [channels][W + 2][W + 2][16].
///
/// Winograd's F(4×4, 3×3) (Lavin & Gray, "Fast algorithms for convolutional neural networks", 2016) computes 4 × 4 outputs
/// from 6 × 6 inputs by 36 products instead of 144. A strip's transformed tiles are [36][channels][tiles][lanes], positions `positionStride` apart: at each of
/// the 36 positions an ordinary product over the channels.
public struct WinogradStrip {
  /// Floats between rows of the images.
  public var rowStride: Int
  /// Floats between channels of the images.
  public var planeStride: Int
  /// The row of tiles.
  public var tileRow: Int
  /// The first tile.
  public var firstTile: Int
  /// Tiles of the strip.
  public var tiles: Int
  /// 6·(4·tiles + 2)·16 floats that a transform may overwrite.
  public var scratch: UnsafeMutablePointer<Float>

  /// Describes a strip; see the properties.
  public init(width: Int, tileRow: Int, firstTile: Int, tiles: Int, scratch: UnsafeMutablePointer<Float>) {
    rowStride = (width + 2) * laneCount
    planeStride = (width + 2) * rowStride
    self.tileRow = tileRow
    self.firstTile = firstTile
    self.tiles = tiles
    self.scratch = scratch
  }

  /// Floats between positions of the transformed tiles.
  ///
  /// An odd number of cache lines, so that a tile's 36 positions spread over all sets of the L1 cache: with 100 channels and
  /// 4 tiles they would crowd 4 of 64.
  public func positionStride(channels: Int, lanes: Int) -> Int {
    ((channels * tiles * lanes + laneCount - 1) / laneCount | 1) * laneCount
  }

  /// Offset of the strip's first input, which is in the border for the first tiles.
  public var inputOffset: Int { 4 * tileRow * rowStride + 4 * firstTile * laneCount }
  /// Offset of the strip's first output.
  public var outputOffset: Int { inputOffset + rowStride + laneCount }
}
