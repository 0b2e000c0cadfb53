/// How an image's width is cut into tiles of 6 and of 4 pixels, those of 6 first.
public struct WinogradTiling: Sendable, Equatable {
  /// Tiles of 6 pixels, computed at 8 points.
  public let sixes: Int
  /// Tiles of 4 pixels, computed at 6 points.
  public let fours: Int

  /// The tiling with the fewest points, or nil where tiles don't cover the width: it is odd, or 2.
  public init?(width: Int) {
    // 6 + 4 + … is any even number from 4; each 4 in place of a 6 costs points.
    guard width >= 4, width % 2 == 0 else { return nil }
    fours = [0, 2, 1][width % 6 / 2]
    guard 4 * fours <= width else { return nil }
    sixes = (width - 4 * fours) / 6
  }

  /// All tiles.
  public var count: Int { sixes + fours }

  /// The first pixel of a tile.
  public func firstPixel(_ tile: Int) -> Int { tile <= sixes ? 6 * tile : 4 * tile + 2 * sixes }
}

/// A run of tiles in one row of tiles of bordered images, [channels][W + 2][W + 2][16].
///
/// Winograd's F(6×6, 3×3) (Lavin & Gray, "Fast algorithms for convolutional neural networks", 2016) computes 6 × 6 outputs
/// from 8 × 8 inputs by 64 products instead of 324, F(4×4, 3×3) 4 × 4 from 6 × 6 by 36 instead of 144. The 6 points of the
/// latter are the first 6 of the former, so both kinds of tiles, and those of 6 × 4 pixels, share their weights.
///
/// A strip's transformed tiles are [64][channels][tiles][lanes], positions `positionStride` and channels `channelStride`
/// apart; position 8·i + j is point i of the rows and point j of the columns. At each position they are an ordinary product
/// over the channels; columns of tiles that lack a point are left out, and so are positions in rows of tiles that lack it.
public struct WinogradStrip {
  /// Floats between rows of the images.
  public var rowStride: Int
  /// Floats between channels of the images.
  public var planeStride: Int
  /// The first row of pixels.
  public var firstRow: Int
  /// The first column of pixels.
  public var firstColumn: Int
  /// Whether tiles are 6 pixels high, not 4.
  public var isTall: Bool
  /// Tiles 6 pixels wide; they come first.
  public var sixes: Int
  /// Tiles 4 pixels wide.
  public var fours: Int
  /// 8·(W + 2)·16 floats that a transform may overwrite, W being the images' width.
  public var scratch: UnsafeMutablePointer<Float>
  /// [channels][2][8][16]: the last two columns of the input's adjoint, where the next strip of the row begins.
  public var columnCarry: UnsafeMutablePointer<Float>
  /// [channels][2][W + 2][16]: its last two rows, where the next row of tiles begins.
  public var rowCarry: UnsafeMutablePointer<Float>

  /// Describes a strip.
  ///
  /// - Parameters:
  ///   - tiling: Of the images' width, which is also their height.
  ///   - row: The row of tiles.
  ///   - tiles: Which of the row's tiles.
  ///   - scratch: See the property.
  ///   - columnCarry, rowCarry: See the properties; one each for all strips of an image, which come in order.
  public init(
    tiling: WinogradTiling, row: Int, tiles: Range<Int>, scratch: UnsafeMutablePointer<Float>,
    columnCarry: UnsafeMutablePointer<Float>, rowCarry: UnsafeMutablePointer<Float>
  ) {
    rowStride = (tiling.firstPixel(tiling.count) + 2) * laneCount
    planeStride = rowStride / laneCount * rowStride
    firstRow = tiling.firstPixel(row)
    firstColumn = tiling.firstPixel(tiles.lowerBound)
    isTall = row < tiling.sixes
    sixes = max(0, min(tiles.upperBound, tiling.sixes) - tiles.lowerBound)
    fours = tiles.count - sixes
    self.scratch = scratch
    self.columnCarry = columnCarry
    self.rowCarry = rowCarry
  }

  /// One tile by itself, without a border, its rows 8 pixels apart.
  ///
  /// - Parameter scratch: 8·8·16 floats.
  public init(isTall: Bool, isWide: Bool, scratch: UnsafeMutablePointer<Float>) {
    rowStride = 8 * laneCount
    planeStride = 0
    firstRow = 0
    firstColumn = 0
    self.isTall = isTall
    sixes = isWide ? 1 : 0
    fours = isWide ? 0 : 1
    self.scratch = scratch
    // The input's adjoint is not asked of it.
    columnCarry = scratch
    rowCarry = scratch
  }

  /// All tiles.
  public var tiles: Int { sixes + fours }
  /// Columns of pixels.
  public var width: Int { 6 * sixes + 4 * fours }
  /// Whether no strip of the row comes before.
  public var beginsRow: Bool { firstColumn == 0 }
  /// Whether no strip of the row follows.
  public var endsRow: Bool { (firstColumn + width + 2) * laneCount == rowStride }
  /// Whether no row of tiles follows.
  public var endsImage: Bool { (firstRow + rowPoints) * rowStride == planeStride }
  /// Points of the rows.
  public var rowPoints: Int { isTall ? 8 : 6 }

  /// Floats between channels of the transformed tiles: whole vectors of 16, so that two tiles of 8 lanes are one.
  public func channelStride(lanes: Int) -> Int { (tiles * lanes + laneCount - 1) / laneCount * laneCount }

  /// Floats between positions of the transformed tiles.
  ///
  /// An odd number of cache lines, so that a tile's 64 positions spread over all sets of the L1 cache: with 100 channels and
  /// 4 tiles they would crowd 4 of 64.
  public func positionStride(channels: Int, lanes: Int) -> Int {
    (channels * channelStride(lanes: lanes) / laneCount | 1) * laneCount
  }

  /// Offset of the strip's first input, which is in the border for the first tiles.
  public var inputOffset: Int { firstRow * rowStride + firstColumn * laneCount }
  /// Offset of the strip's first output.
  public var outputOffset: Int { inputOffset + rowStride + laneCount }
}
