public import KernelInterface

extension VectorKernels {
  /// Adds lane-wise dot products of rows; see `LaneDot`.
  public func laneDot(_ dot: LaneDot) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount { return halves.laneDot(dot) }
    #endif
    for part in 0..<parts {
      let lane = part * Vector.scalarCount
      var row = 0
      while row + 2 <= dot.leftRows {
        dotRows(dot, row, lane, TileHeight<2>())
        row += 2
      }
      if row < dot.leftRows { dotRows(dot, row, lane, TileHeight<1>()) }
    }
  }

  /// sums[i] += the 16 lanes of lanes[i], added by a fixed binary tree (i with i + 8, then + 4, + 2, + 1).
  public func addLanes(_ lanes: UnsafePointer<Float>, count: Int, into sums: UnsafeMutablePointer<Float>) {
    for index in 0..<count {
      let sixteen = UnsafeRawPointer(lanes + index * laneCount).loadUnaligned(as: SIMD16<Float>.self)
      let eight = sixteen.lowHalf + sixteen.highHalf
      let four = eight.lowHalf + eight.highHalf
      let two = four.lowHalf + four.highHalf
      sums[index] += two[0] + two[1]
    }
  }
}

@inline(__always)
private func dotRows<let rows: Int>(_ dot: LaneDot, _ row: Int, _ lane: Int, _ height: TileHeight<rows>) {
  var other = 0
  while other + 4 <= dot.rightRows {
    dotTile(dot, row, other, lane, height, TileHeight<4>())
    other += 4
  }
  while other < dot.rightRows {
    dotTile(dot, row, other, lane, height, TileHeight<1>())
    other += 1
  }
}

/// The products of some rows of `left` and of `right`, summed over the columns, for one vector of lanes.
@inline(__always)
private func dotTile<let rows: Int, let others: Int>(
  _ dot: LaneDot, _ row: Int, _ other: Int, _ lane: Int, _: TileHeight<rows>, _: TileHeight<others>
) {
  let rowStride = dot.rightRows * laneCount
  let sums = dot.sums + row * rowStride + other * laneCount + lane
  var tile = InlineArray<rows, InlineArray<others, Vector>>(repeating: InlineArray(repeating: Vector()))
  for r in 0..<rows { for o in 0..<others { tile[r][o] = load(sums + r * rowStride + o * laneCount) } }
  var left = dot.left + row * dot.leftRowStride + lane
  var right = InlineArray<others, UnsafePointer<Float>>(repeating: dot.right + lane)
  for o in 0..<others { right[o] += Int(dot.rightOffsets[other + o]) }
  var rightColumn = 0
  for _ in 0..<dot.columns {
    var leftVectors = InlineArray<rows, Vector>(repeating: Vector())
    for r in 0..<rows { leftVectors[r] = load(left + r * dot.leftRowStride) }
    for o in 0..<others {
      let vector = load(right[o] + rightColumn)
      for r in 0..<rows { tile[r][o] = multiplyAdd(tile[r][o], leftVectors[r], vector) }
    }
    left += dot.leftColumnStride
    rightColumn += dot.rightColumnStride
  }
  for r in 0..<rows { for o in 0..<others { store(tile[r][o], to: sums + r * rowStride + o * laneCount) } }
}
