public import KernelInterface

extension VectorKernels {
  /// Computes a product by register tiles; see `Product`.
  ///
  /// Panels of rows are the outermost loop, whose weights stay in the L2 cache while all columns pass by; then tiles of columns;
  /// then blocks of depth, whose inputs stay in the L1 cache while the panel's rows pass by.
  public func product(_ product: Product) {
    #if VECTOR_WIDTH_8
      if parts == 2 && product.inputColumnStride == laneCount && product.outputColumnStride == laneCount {
        // Vectors that follow one another: tiles need not end where columns do.
        var vectors = product
        vectors.inputColumnStride = Vector.scalarCount
        vectors.outputColumnStride = Vector.scalarCount
        vectors.columns *= 2
        VectorKernels(lanes: Vector.scalarCount).productBatch(vectors)
        return
      }
    #elseif VECTOR_WIDTH_16
      if product.inputColumnStride < laneCount && product.outputColumnStride < laneCount {
        // Columns of 8 that follow one another: two are one of 16.
        var pairs = product
        pairs.inputColumnStride = laneCount
        pairs.outputColumnStride = laneCount
        pairs.columns = (product.columns + 1) / 2
        VectorKernels().productBatch(pairs)
        return
      }
    #endif
    productBatch(product)
  }

  @inline(__always)
  private func productBatch(_ product: Product) {
    // Rows of whole tiles of 5 or of 4, as for a panel; and no half of a vector left, which would be a run of its own.
    let isOneRun =
      product.isRun && product.rows % 20 == 0 && (product.columns <= evenColumns || parts > 1)
      && product.columns * lanes % Vector.scalarCount == 0
    guard product.batch.count > 1 && !isOneRun else { return productPanels(product) }
    // One by one: the outputs of one may take the place of the inputs of the one before, and what all tiles of one shape
    // have read is gone from the L1 cache when those of another come.
    var member = product
    member.batch = StridedBatch()
    for _ in 0..<product.batch.count {
      productPanels(member)
      member.weights += product.batch.leftStride
      member.inputs += product.batch.inputStride
      member.outputs += product.batch.resultStride
      if case .leakyReLUGradient(let activations) = member.epilogue {
        member.epilogue = .leakyReLUGradient(activations: activations + product.batch.resultStride)
      }
      if let prefetched = member.prefetched { member.prefetched = prefetched + product.prefetchedFloats }
    }
  }

  private func productPanels(_ product: Product) {
    var row = 0
    // Whole tiles, of 5 rows or of 4, but for the last. Packed inputs serve all rows: to pack them again for every panel
    // would cost more than weights from the L3 cache.
    let isWhole = product.depth < deep || product.packing != nil
    let panelRows = isWhole ? product.rows : max(20, panelFloats / product.depth / 20 * 20)
    while row < product.rows {
      let end = min(product.rows, row + panelRows)
      productPanel(product, row..<end)
      row = end
    }
  }

  @inline(__always)
  private func productPanel(_ product: Product, _ rows: Range<Int>) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount {
        productTiles(product, rows, TileWidth<1, 8>())
      } else {
        productTiles(product, rows, TileWidth<1, 16>())
      }
    #elseif VECTOR_WIDTH_8
      if lanes < laneCount {
        productTiles(product, rows, TileWidth<1, 8>())
      } else {
        productColumns(product, rows, 0..<product.columns, TileWidth<2, 16>())
      }
    #else
      productColumns(product, rows, 0..<product.columns, TileWidth<4, 16>())
    #endif
  }

  #if VECTOR_WIDTH_16 || VECTOR_WIDTH_8
    /// Computes a panel by tiles as wide as the registers hold, but for the last.
    @inline(__always)
    private func productTiles<let lanes: Int>(_ product: Product, _ rows: Range<Int>, _ single: TileWidth<1, lanes>) {
      var column = 0
      /// Vectors that are left.
      var vectors: Int { (product.columns - column) / LaneVectors<lanes>.perVector }
      @inline(__always) func compute<let wide: Int>(_ width: TileWidth<wide, lanes>, tiles: Int) {
        let end = column + tiles * LaneVectors<lanes>.count(vectors: wide)
        productColumns(product, rows, column..<end, width)
        column = end
      }
      #if VECTOR_WIDTH_16
        // 4 and 1 would leave the last column's five sums waiting for one another.
        let fives = vectors > 1 && vectors % 4 == 1 ? 1 : 0
        compute(TileWidth<4, lanes>(), tiles: (vectors - 5 * fives) / 4)
        compute(TileWidth<5, lanes>(), tiles: fives)
        compute(TileWidth<3, lanes>(), tiles: vectors / 3)
      #else
        // 3 and 1 would leave a single column's sums waiting for one another.
        let fours = vectors > 1 && vectors % 3 == 1 ? 1 : 0
        compute(TileWidth<3, lanes>(), tiles: (vectors - 4 * fours) / 3)
      #endif
      compute(TileWidth<2, lanes>(), tiles: vectors / 2)
      compute(single, tiles: vectors)
      if LaneVectors<lanes>.perVector > 1 && column < product.columns {
        // Half a vector: the column is computed twice, and stored twice in one place.
        var last = product
        last.inputs += column * product.inputColumnStride
        last.outputs += column * product.outputColumnStride
        if case .leakyReLUGradient(let activations) = product.epilogue {
          last.epilogue = .leakyReLUGradient(activations: activations + column * product.outputColumnStride)
        }
        last.inputColumnStride = 0
        last.outputColumnStride = 0
        productColumns(last, rows, 0..<2, single)
      }
    }
  #endif

  /// Computes columns of a panel, a whole number of tiles.
  @inline(__always)
  private func productColumns<let vectors: Int, let lanes: Int>(
    _ product: Product, _ rows: Range<Int>, _ columns: Range<Int>, _ width: TileWidth<vectors, lanes>
  ) {
    guard !columns.isEmpty else { return }
    guard !product.isRun else { return productRows(product, rows, columns, 0..<product.depth, width) }
    let step = LaneVectors<lanes>.count(vectors: vectors)
    for column in stride(from: columns.lowerBound, to: columns.upperBound, by: step) {
      productBlocks(product, rows, column..<column + step, width)
    }
  }
}

/// Vectors across a tile from which on five rows no longer fit the registers.
#if VECTOR_WIDTH_16
  private let wideTile = 5
#else
  private let wideTile = 3
#endif

/// Columns, of one vector each, up to which all tiles are of one width.
#if VECTOR_WIDTH_16
  private let evenColumns = 5
#else
  private let evenColumns = 4
#endif

/// Floats of a panel's weights, at most: 512 KiB.
private let panelFloats = 131072

/// Computes a tile's columns of a panel, block by block of the depth.
@inline(__always)
private func productBlocks<let vectors: Int, let lanes: Int>(
  _ product: Product, _ rows: Range<Int>, _ columns: Range<Int>, _ width: TileWidth<vectors, lanes>
) {
  let blocks = depthBlocks(product, floats: vectors * Vector.scalarCount)
  for block in 0..<blocks {
    let depth = product.depth * block / blocks..<product.depth * (block + 1) / blocks
    // The depth of what is added to the outputs is not cut, and may be too long.
    if let packing = product.packing, depth.count * vectors * Vector.scalarCount <= Product.packedFloats {
      productRows(pack(product, columns.lowerBound, depth, into: packing, width), rows, columns, depth, width)
    } else {
      productRows(product, rows, columns, depth, width)
    }
  }
}

/// The product with a tile's inputs of a block where the rows find them one after the other.
@inline(__always)
private func pack<let vectors: Int, let lanes: Int>(
  _ product: Product, _ column: Int, _ depth: Range<Int>, into packing: UnsafeMutablePointer<Float>,
  _: TileWidth<vectors, lanes>
) -> Product {
  let columns = LaneVectors<lanes>(stride: product.inputColumnStride)
  let step = vectors * Vector.scalarCount
  let offsets = UnsafeMutableRawPointer(packing + Product.packedFloats).assumingMemoryBound(to: Int32.self)
  let inputs = product.inputs + column * product.inputColumnStride
  var target = packing
  for k in depth {
    let input = inputs + Int(product.inputOffsets[k])
    for v in 0..<vectors {
      store(columns.vector(at: input + columns.offset(v)), to: target + v * Vector.scalarCount)
    }
    offsets[k - depth.lowerBound] = Int32((k - depth.lowerBound) * step)
    target += step
  }
  var packed = product
  packed.inputColumnStride = lanes
  packed.inputs = UnsafePointer(packing - column * packed.inputColumnStride)
  packed.inputOffsets = UnsafePointer(offsets - depth.lowerBound)
  return packed
}

/// Depth from which on weights are cut into panels and depth into blocks: shallow products lie in the caches.
private let deep = 128

extension Product {
  /// Whether all tiles of a width are computed in one go: nothing is brought together between them.
  ///
  /// Vectors of whole cache lines need no packing where they are few.
  fileprivate var isRun: Bool { depth < deep && (packing == nil || Vector.scalarCount == laneCount) }
}

/// How many blocks the depth is cut into; sums of one are where the next begins, so the bits are those of one.
///
/// - Parameter floats: A tile's inputs at one depth.
private func depthBlocks(_ product: Product, floats: Int) -> Int {
  // What is added to the outputs has no place for sums that are not complete.
  if case .accumulate = product.epilogue { return 1 }
  return max(1, (product.depth * floats + Product.inputBlockFloats / 2) / Product.inputBlockFloats)
}

/// Computes whole columns of tiles, by rows of 5 or 4, then the rest.
@inline(__always)
private func productRows<let vectors: Int, let lanes: Int>(
  _ product: Product, _ rows: Range<Int>, _ columns: Range<Int>, _ depth: Range<Int>, _ width: TileWidth<vectors, lanes>
) {
  var row = rows.lowerBound
  @inline(__always) func compute<let tileRows: Int>(_ height: TileHeight<tileRows>, isRest: Bool) {
    let tiles = (rows.upperBound - row) / tileRows
    guard tiles > 0 else { return }
    var run = TileRun(rows: row..<row + tiles * tileRows, columns: columns, depth: depth)
    if columns.lowerBound == 0, row == rows.lowerBound, let prefetched = product.prefetched {
      run.lines = prefetched
      let tileCount = tiles * (columns.count / LaneVectors<lanes>.count(vectors: vectors))
      run.linesPerTile = (product.prefetchedFloats / laneCount + tileCount - 1) / tileCount
    }
    if isRest { product.computeRest(run, height, width) } else { product.compute(run, height, width) }
    row = run.rows.upperBound
  }
  #if VECTOR_WIDTH_8
    // Six fit too where nothing is left over by five.
    if vectors == 2 && rows.count % 5 != 0 { compute(TileHeight<6>(), isRest: false) }
  #endif
  #if VECTOR_WIDTH_16
    // Five sums would wait for one another: two multiplications begin in each cycle, and each takes four.
    if vectors == 1 && product.depth >= deep { compute(TileHeight<8>(), isRest: false) }
  #endif
  #if VECTOR_WIDTH_16 || VECTOR_WIDTH_8
    if vectors < wideTile { compute(TileHeight<5>(), isRest: false) }
    compute(TileHeight<4>(), isRest: vectors < wideTile)
    compute(TileHeight<2>(), isRest: true)
  #else
    compute(TileHeight<2>(), isRest: false)
  #endif
  compute(TileHeight<1>(), isRest: true)
}
