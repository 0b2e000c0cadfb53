internal import CPlatform
public import KernelInterface

extension VectorKernels {
  /// Adds lane-wise dot products of rows; see `LaneDot`.
  public func laneDot(_ dot: LaneDot) {
    // Rows of `right` that stay in the L1 cache while all of `left` passes by.
    let panel = max(12, panelFloats / (dot.columns * laneCount) / 12 * 12)
    var first = 0
    while first < dot.rightRows {
      let end = min(dot.rightRows, first + panel)
      dotPanel(dot, first..<end)
      first = end
    }
  }

  @inline(__always)
  private func dotPanel(_ dot: LaneDot, _ others: Range<Int>) {
    var row = 0
    #if REGISTERS_32
      while row + 5 <= dot.leftRows {
        dotRows(dot, parts, row, others, TileHeight<5>(), TileWidth<4, 1>())
        row += 5
      }
    #elseif VECTOR_WIDTH_8
      while row + 3 <= dot.leftRows {
        dotRows(dot, parts, row, others, TileHeight<3>(), TileWidth<4, 1>())
        row += 3
      }
    #endif
    while row + 2 <= dot.leftRows {
      dotRows(dot, parts, row, others, TileHeight<2>(), TileWidth<4, 1>())
      row += 2
    }
    if row < dot.leftRows { dotRows(dot, parts, row, others, TileHeight<1>(), TileWidth<4, 1>()) }
  }
}

/// Floats of a panel of `right`, at most: 16 KiB.
private let panelFloats = 4096

@inline(__always)
private func dotRows<let rows: Int, let vectors: Int>(
  _ dot: LaneDot, _ parts: Int, _ row: Int, _ others: Range<Int>, _ height: TileHeight<rows>,
  _ width: TileWidth<vectors, 1>
) {
  var other = others.lowerBound
  while other + vectors <= others.upperBound {
    dotTile(dot, parts, row, other, height, width)
    other += vectors
  }
  while other + 2 <= others.upperBound {
    dotTile(dot, parts, row, other, height, TileWidth<2, 1>())
    other += 2
  }
  if other < others.upperBound { dotTile(dot, parts, row, other, height, TileWidth<1, 1>()) }
}

@inline(__always)
private func dotTile<let rows: Int, let others: Int>(
  _ dot: LaneDot, _ parts: Int, _ row: Int, _ other: Int, _ height: TileHeight<rows>, _ width: TileWidth<others, 1>
) {
  let rowStride = dot.rightRows
  let first = row * rowStride + other
  if dot.keepsLanes {
    for part in 0..<parts {
      let tile = dotProducts(dot, row, other, part * Vector.scalarCount, height, width)
      let sums = dot.sums + first * laneCount + part * Vector.scalarCount
      for r in 0..<rows {
        for o in 0..<others {
          let sum = sums + (r * rowStride + o) * laneCount
          store(load(sum) + tile[r][o], to: sum)
        }
      }
    }
    return
  }
  let sums = dot.sums + first * quarterCount
  #if VECTOR_WIDTH_16
    let tile = dotProducts(dot, row, other, 0, height, width)
    for r in 0..<rows {
      let row = sums + r * rowStride * quarterCount
      var o = 0
      // Four folded at once fill a vector.
      while o + 4 <= others {
        let four = row + o * quarterCount
        store(load(four) + cvector_quarters(tile[r][o], tile[r][o + 1], tile[r][o + 2], tile[r][o + 3]), to: four)
        o += 4
      }
      while o < others {
        addFour(quarters(tile[r][o]), to: row + o * quarterCount)
        o += 1
      }
    }
  #elseif VECTOR_WIDTH_8
    var tile = dotProducts(dot, row, other, 0, height, width)
    if parts == 2 {
      // The first half's sums wait in memory: registers hold one half's and what it reads.
      withUnsafeTemporaryAllocation(of: Vector.self, capacity: rows * others) { first in
        guard let first = first.baseAddress else { return }
        for r in 0..<rows { for o in 0..<others { first[r * others + o] = tile[r][o] } }
        cvector_keep_in_memory(first)
        tile = dotProducts(dot, row, other, Vector.scalarCount, height, width)
        for r in 0..<rows { for o in 0..<others { tile[r][o] = first[r * others + o] + tile[r][o] } }
      }
    }
    for r in 0..<rows {
      let row = sums + r * rowStride * quarterCount
      var o = 0
      // Two folded at once fill a vector.
      while o + 2 <= others {
        let two = row + o * quarterCount
        store(load(two) + cvector_halves(tile[r][o], tile[r][o + 1]), to: two)
        o += 2
      }
      while o < others {
        addFour(tile[r][o].lowHalf + tile[r][o].highHalf, to: row + o * quarterCount)
        o += 1
      }
    }
  #else
    var lanes = InlineArray<rows, InlineArray<others, SIMD16<Float>>>(
      repeating: InlineArray(repeating: SIMD16<Float>()))
    withUnsafeMutableBytes(of: &lanes) { bytes in
      guard let base = bytes.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
      for part in 0..<vectorsPerColumn {
        let lane = part * Vector.scalarCount
        let tile = dotProducts(dot, row, other, lane, height, width)
        for r in 0..<rows {
          for o in 0..<others { store(tile[r][o], to: base + (r * others + o) * laneCount + lane) }
        }
      }
    }
    for r in 0..<rows {
      for o in 0..<others { addFour(quarters(lanes[r][o]), to: sums + (r * rowStride + o) * quarterCount) }
    }
  #endif
}

/// The tile's products, summed over the columns, for one vector of lanes.
@inline(__always)
private func dotProducts<let rows: Int, let others: Int>(
  _ dot: LaneDot, _ row: Int, _ other: Int, _ lane: Int, _: TileHeight<rows>, _: TileWidth<others, 1>
) -> InlineArray<rows, InlineArray<others, Vector>> {
  var tile = InlineArray<rows, InlineArray<others, Vector>>(repeating: InlineArray(repeating: Vector()))
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
  return tile
}

@inline(__always)
private func addFour(_ terms: SIMD4<Float>, to sums: UnsafeMutablePointer<Float>) {
  let memory = UnsafeMutableRawPointer(sums)
  memory.storeBytes(of: memory.loadUnaligned(as: SIMD4<Float>.self) + terms, as: SIMD4<Float>.self)
}

/// Sums of lanes i, i + 4, i + 8 and i + 12: the first two rounds of the tree.
@inline(__always)
private func quarters(_ lanes: SIMD16<Float>) -> SIMD4<Float> {
  let eight = lanes.lowHalf + lanes.highHalf
  return eight.lowHalf + eight.highHalf
}

extension VectorKernels {
  /// sums[i] += the 16 lanes of lanes[i], added by a fixed binary tree (i with i + 8, then + 4, + 2, + 1).
  public func addLanes(_ lanes: UnsafePointer<Float>, count: Int, into sums: UnsafeMutablePointer<Float>) {
    addTotals(count, sums) { quarters(UnsafeRawPointer(lanes + $0 * laneCount).loadUnaligned(as: SIMD16<Float>.self)) }
  }

  /// sums[i] += the four numbers of quarters[i]: the last two rounds of `addLanes`.
  public func addQuarters(_ quarters: UnsafePointer<Float>, count: Int, into sums: UnsafeMutablePointer<Float>) {
    addTotals(count, sums) { UnsafeRawPointer(quarters + $0 * quarterCount).loadUnaligned(as: SIMD4<Float>.self) }
  }
}

/// sums[i] += (0 + 2) + (1 + 3) of the i-th four numbers.
@inline(__always)
private func addTotals(_ count: Int, _ sums: UnsafeMutablePointer<Float>, _ four: (Int) -> SIMD4<Float>) {
  var index = 0
  // Four at a time: the two additions of four sums are then one vector addition each.
  while index + 4 <= count {
    let (a, b, c, d) = (four(index), four(index + 1), four(index + 2), four(index + 3))
    let ab = SIMD4(lowHalf: a.lowHalf, highHalf: b.lowHalf) + SIMD4(lowHalf: a.highHalf, highHalf: b.highHalf)
    let cd = SIMD4(lowHalf: c.lowHalf, highHalf: d.lowHalf) + SIMD4(lowHalf: c.highHalf, highHalf: d.highHalf)
    let even = SIMD4(ab[0], ab[2], cd[0], cd[2])
    let odd = SIMD4(ab[1], ab[3], cd[1], cd[3])
    let result = UnsafeMutableRawPointer(sums + index)
    result.storeBytes(of: result.loadUnaligned(as: SIMD4<Float>.self) + (even + odd), as: SIMD4<Float>.self)
    index += 4
  }
  while index < count {
    let numbers = four(index)
    let two = numbers.lowHalf + numbers.highHalf
    sums[index] += two[0] + two[1]
    index += 1
  }
}
