public import KernelInterface

extension VectorKernels {
  /// Adds lane-wise dot products of rows; see `LaneDot`.
  public func laneDot(_ dot: LaneDot) {
    var part = 0
    while part < vectorsPerColumn {
      var row = 0
      #if VECTOR_WIDTH_16
        while row + 5 <= dot.leftRows {
          dotRows(dot, part, row, TileHeight<5>(), TileWidth<4>())
          row += 5
        }
      #elseif VECTOR_WIDTH_8
        while row + 3 <= dot.leftRows {
          dotRows(dot, part, row, TileHeight<3>(), TileWidth<3>())
          row += 3
        }
      #endif
      while row + 2 <= dot.leftRows {
        dotRows(dot, part, row, TileHeight<2>(), TileWidth<3>())
        row += 2
      }
      if row < dot.leftRows { dotRows(dot, part, row, TileHeight<1>(), TileWidth<3>()) }
      part += 1
    }
  }
}

@inline(__always)
private func dotRows<let rows: Int, let vectors: Int>(
  _ dot: LaneDot, _ part: Int, _ row: Int, _ height: TileHeight<rows>, _ width: TileWidth<vectors>
) {
  var other = 0
  while other + vectors <= dot.rightRows {
    dotTile(dot, part, row, other, height, width)
    other += vectors
  }
  while other < dot.rightRows {
    dotTile(dot, part, row, other, height, TileWidth<1>())
    other += 1
  }
}

@inline(__always)
private func dotTile<let rows: Int, let others: Int>(
  _ dot: LaneDot, _ part: Int, _ row: Int, _ other: Int, _: TileHeight<rows>, _: TileWidth<others>
) {
  let lane = part * Vector.scalarCount
  let sums = dot.sums + (row * dot.rightRows + other) * laneCount + lane
  let sumRowStride = dot.rightRows * laneCount
  var tile = InlineArray<rows, InlineArray<others, Vector>>(repeating: InlineArray(repeating: Vector()))
  for r in 0..<rows {
    for o in 0..<others { tile[r][o] = load(sums + r * sumRowStride + o * laneCount) }
  }
  var left = dot.left + row * dot.leftRowStride + lane
  var right = InlineArray<others, UnsafePointer<Float>>(repeating: dot.right + lane)
  for o in 0..<others { right[o] += Int(dot.rightOffsets[other + o]) }
  let leftRowStride = dot.leftRowStride
  var rightColumn = 0
  for _ in 0..<dot.columns {
    var leftVectors = InlineArray<rows, Vector>(repeating: Vector())
    for r in 0..<rows { leftVectors[r] = load(left + r * leftRowStride) }
    for o in 0..<others {
      let vector = load(right[o] + rightColumn)
      for r in 0..<rows { tile[r][o] = multiplyAdd(tile[r][o], leftVectors[r], vector) }
    }
    left += dot.leftColumnStride
    rightColumn += dot.rightColumnStride
  }
  for r in 0..<rows {
    for o in 0..<others { store(tile[r][o], to: sums + r * sumRowStride + o * laneCount) }
  }
}

extension VectorKernels {
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
