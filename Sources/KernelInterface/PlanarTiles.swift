/// Tiles of Winograd's convolution of one image, as lanes: rows of tiles of one height, all of their columns.
///
/// For a single image, whose lane group would have 15 of 16 lanes empty. It is planar, bordered [channels][W + 2][W + 2], and its
/// tiles, cut as a lane group's are (`WinogradTiling`), take the lanes: transformed they are [64][channels][tiles], tiles of six
/// columns first, at each position an ordinary product over the channels. Bits are those of the image's lane in a group.
public struct PlanarTiles {
  /// Floats between rows of the image.
  public let rowStride: Int
  /// Floats between channels of the image.
  public let planeStride: Int
  /// Whether tiles are 6 pixels high, not 4.
  public let isTall: Bool
  /// Tiles 6 pixels wide; they come first.
  public let sixes: Int
  /// Tiles 4 pixels wide.
  public let fours: Int
  /// Offset of each tile's first input, which is in the border for the first tiles.
  public let offsets: [Int]

  /// Most tiles together: the transforms of 100 channels fit an L2 cache of 1 MiB.
  private static let mostTiles = 32

  private init(_ tiling: WinogradTiling, rows: Range<Int>) {
    let side = tiling.firstPixel(tiling.count) + 2
    rowStride = side
    planeStride = side * side
    isTall = rows.lowerBound < tiling.sixes
    sixes = rows.count * tiling.sixes
    fours = rows.count * tiling.fours
    func offsets(_ columns: Range<Int>) -> [Int] {
      rows.flatMap { row in columns.map { tiling.firstPixel(row) * side + tiling.firstPixel($0) } }
    }
    self.offsets = offsets(0..<tiling.sixes) + offsets(tiling.sixes..<tiling.count)
  }

  /// All tiles of an image, in bands of rows of one height.
  public static func bands(_ tiling: WinogradTiling) -> [PlanarTiles] {
    let rows = max(1, mostTiles / tiling.count)
    return [0..<tiling.sixes, tiling.sixes..<tiling.count].flatMap { range in
      stride(from: range.lowerBound, to: range.upperBound, by: rows).map {
        PlanarTiles(tiling, rows: $0..<min($0 + rows, range.upperBound))
      }
    }
  }

  /// All tiles.
  public var count: Int { sixes + fours }
  /// Points of the rows.
  public var rowPoints: Int { isTall ? 8 : 6 }
  /// Vectors of 16 that hold all tiles.
  public var vectors: Int { (count + laneCount - 1) / laneCount }
  /// Floats between channels of the transformed tiles: whole vectors, with room behind each width's last one.
  public var channelStride: Int {
    func rounded(_ tiles: Int) -> Int { (tiles + laneCount - 1) / laneCount * laneCount }
    return rounded(max(rounded(sixes), sixes + rounded(fours)))
  }
  /// Floats between positions of the transformed tiles, an odd number of cache lines (`WinogradStrip.positionStride`).
  public func positionStride(channels: Int) -> Int { (channels * channelStride / laneCount | 1) * laneCount }

  /// Floats of scratch that a transform needs: a tile's pixels, and what lies between its two passes.
  public static let scratchCount = 2 * 8 * 8 * laneCount
}
