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
    var index = 0
    // Four at a time: the last two additions of four sums are then one vector addition each.
    while index + 4 <= count {
      let a = fourSums(lanes + index * laneCount)
      let b = fourSums(lanes + (index + 1) * laneCount)
      let c = fourSums(lanes + (index + 2) * laneCount)
      let d = fourSums(lanes + (index + 3) * laneCount)
      let ab = SIMD4(lowHalf: a.lowHalf, highHalf: b.lowHalf) + SIMD4(lowHalf: a.highHalf, highHalf: b.highHalf)
      let cd = SIMD4(lowHalf: c.lowHalf, highHalf: d.lowHalf) + SIMD4(lowHalf: c.highHalf, highHalf: d.highHalf)
      let even = SIMD4(ab[0], ab[2], cd[0], cd[2])
      let odd = SIMD4(ab[1], ab[3], cd[1], cd[3])
      let result = UnsafeMutableRawPointer(sums + index)
      result.storeBytes(of: result.loadUnaligned(as: SIMD4<Float>.self) + (even + odd), as: SIMD4<Float>.self)
      index += 4
    }
    while index < count {
      let four = fourSums(lanes + index * laneCount)
      let two = four.lowHalf + four.highHalf
      sums[index] += two[0] + two[1]
      index += 1
    }
  }
}

/// Sums of lanes i, i + 4, i + 8 and i + 12, in the order of the tree.
@inline(__always)
private func fourSums(_ lanes: UnsafePointer<Float>) -> SIMD4<Float> {
  let sixteen = UnsafeRawPointer(lanes).loadUnaligned(as: SIMD16<Float>.self)
  let eight = sixteen.lowHalf + sixteen.highHalf
  return eight.lowHalf + eight.highHalf
}
