public import KernelInterface

extension VectorKernels {
  /// Computes a product with weights that differ from lane to lane; see `LaneProduct`.
  public func laneProduct(_ product: LaneProduct) {
    // Columns are contiguous, so a column is `vectorsPerColumn` vectors and four vectors make a tile on every CPU.
    let vectors = product.columns * vectorsPerColumn
    for row in 0..<product.rows {
      var vector = 0
      while vector + 4 <= vectors {
        laneTile(product, row, vector, TileWidth<4>())
        vector += 4
      }
      while vector < vectors {
        laneTile(product, row, vector, TileWidth<1>())
        vector += 1
      }
    }
  }
}

@inline(__always)
private func laneTile<let vectors: Int>(_ product: LaneProduct, _ row: Int, _ first: Int, _: TileWidth<vectors>) {
  var sums = InlineArray<vectors, Vector>(repeating: Vector())
  if let bias = product.laneBias {
    for v in 0..<vectors { sums[v] = load(bias + row * laneCount + subvector(first + v)) }
  }
  var weights = product.weights + row * product.weightRowStride
  let inputs = product.inputs + first * Vector.scalarCount
  for k in 0..<product.depth {
    let input = inputs + Int(product.inputOffsets[k])
    for v in 0..<vectors {
      let weight = load(weights + subvector(first + v))
      sums[v] = multiplyAdd(sums[v], load(input + v * Vector.scalarCount), weight)
    }
    weights += product.weightDepthStride
  }
  let offset = row * product.outputRowStride + first * Vector.scalarCount
  for v in 0..<vectors {
    var sum = sums[v]
    if let activations = product.activations {
      sum *= leakyReLUDerivative(load(activations + offset + v * Vector.scalarCount))
    }
    store(sum, to: product.outputs + offset + v * Vector.scalarCount)
  }
}

/// Offset within a lane group of the vector with this number.
@inline(__always)
private func subvector(_ vector: Int) -> Int { (vector % vectorsPerColumn) * Vector.scalarCount }
