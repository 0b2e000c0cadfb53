public import KernelInterface

extension VectorKernels {
  /// Computes a product with weights that differ from lane to lane; see `LaneProduct`.
  public func laneProduct(_ product: LaneProduct) {
    #if VECTOR_WIDTH_8
      if lanes < laneCount {
        laneRows(product, parts: TileWidth<1, 1>())
        return
      }
      laneRows(product, parts: TileWidth<1, 2>())
    #elseif VECTOR_WIDTH_16
      laneRows(product, parts: TileWidth<1, 1>())
    #else
      laneRows(product, parts: TileWidth<1, 4>())
    #endif
  }
}

/// All rows, in tiles of four vectors.
@inline(__always)
private func laneRows<let parts: Int>(_ product: LaneProduct, parts single: TileWidth<1, parts>) {
  let vectors = product.columns * parts
  for row in 0..<product.rows {
    var vector = 0
    while vector + 4 <= vectors {
      laneTile(product, row, vector, TileWidth<4, parts>())
      vector += 4
    }
    while vector < vectors {
      laneTile(product, row, vector, single)
      vector += 1
    }
  }
}

@inline(__always)
private func laneTile<let vectors: Int, let parts: Int>(
  _ product: LaneProduct, _ row: Int, _ first: Int, _: TileWidth<vectors, parts>
) {
  var sums = InlineArray<vectors, Vector>(repeating: Vector())
  if let bias = product.laneBias {
    for v in 0..<vectors { sums[v] = load(bias + row * laneCount + subvector(first + v, parts)) }
  }
  var weights = product.weights + row * product.weightRowStride
  for k in 0..<product.depth {
    let input = product.inputs + Int(product.inputOffsets[k])
    for v in 0..<vectors {
      let weight = load(weights + subvector(first + v, parts))
      sums[v] = multiplyAdd(sums[v], load(input + vectorOffset(first + v, laneCount, parts)), weight)
    }
    weights += product.weightDepthStride
  }
  for v in 0..<vectors {
    let offset = row * product.outputRowStride + vectorOffset(first + v, laneCount, parts)
    var sum = sums[v]
    if let activations = product.activations {
      sum *= leakyReLUDerivative(load(activations + offset))
    }
    store(sum, to: product.outputs + offset)
  }
}

/// Offset within a lane group of the vector with this number.
@inline(__always)
private func subvector(_ vector: Int, _ parts: Int) -> Int { (vector % parts) * Vector.scalarCount }
