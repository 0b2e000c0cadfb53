public import KernelInterface

extension VectorKernels {
  /// Computes a product with weights that differ from lane to lane; see `LaneProduct`.
  public func laneProduct(_ product: LaneProduct) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount { return halves.laneProduct(product) }
    #elseif VECTOR_WIDTH_8
      if lanes < laneCount { return laneRows(product, TileWidth<1, 8>()) }
    #endif
    laneRows(product, TileWidth<1, 16>())
  }
}

/// All rows, in tiles of four vectors.
@inline(__always)
private func laneRows<let lanes: Int>(_ product: LaneProduct, _ single: TileWidth<1, lanes>) {
  let vectors = product.columns * (lanes / Vector.scalarCount)
  for row in 0..<product.rows {
    var vector = 0
    while vector + 4 <= vectors {
      laneTile(product, row, vector, TileWidth<4, lanes>())
      vector += 4
    }
    while vector < vectors {
      laneTile(product, row, vector, single)
      vector += 1
    }
  }
}

@inline(__always)
private func laneTile<let vectors: Int, let lanes: Int>(
  _ product: LaneProduct, _ row: Int, _ first: Int, _: TileWidth<vectors, lanes>
) {
  let columns = LaneVectors<lanes>(stride: laneCount)
  var sums = InlineArray<vectors, Vector>(repeating: Vector())
  if let bias = product.laneBias {
    for v in 0..<vectors { sums[v] = load(bias + row * laneCount + columns.lane(first + v)) }
  }
  var weights = product.weights + row * product.weightRowStride
  for k in 0..<product.depth {
    let input = product.inputs + Int(product.inputOffsets[k])
    for v in 0..<vectors {
      let weight = load(weights + columns.lane(first + v))
      sums[v] = multiplyAdd(sums[v], load(input + columns.offset(first + v)), weight)
    }
    weights += product.weightDepthStride
  }
  for v in 0..<vectors {
    let offset = row * product.outputRowStride + columns.offset(first + v)
    var sum = sums[v]
    if let activations = product.activations {
      sum *= leakyReLUDerivative(load(activations + offset))
    }
    store(sum, to: product.outputs + offset)
  }
}
