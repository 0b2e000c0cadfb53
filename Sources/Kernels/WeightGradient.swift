internal import CPlatform
public import KernelInterface

extension VectorKernels {
  /// Adds a weight gradient to its sums; see `WeightGradient`.
  ///
  /// Works on as many outputs and columns as fit the scratch memory: first brings the gradients into the order in which the
  /// register tiles read them, then multiplies.
  public func addWeightGradient(_ gradient: WeightGradient) {
    #if VECTOR_WIDTH_16
      if lanes < laneCount { return addWeightGradient(gradient, halves: 1) }
      addWeightGradient(gradient, halves: 2)
    #else
      addWeightGradient(gradient, halves: lanes / 8)
    #endif
  }

  /// - Parameter halves: Eights of lanes that are computed of a column.
  @inline(__always)
  private func addWeightGradient(_ gradient: WeightGradient, halves: Int) {
    var member = gradient
    for _ in 0..<gradient.batch.count {
      for firstOutput in stride(from: 0, to: gradient.outputCount, by: panelOutputs) {
        let panel = QuadPanel(
          member, outputs: firstOutput..<min(firstOutput + panelOutputs, gradient.outputCount))
        let count = panel.capacity / halves
        for first in stride(from: 0, to: gradient.columns, by: count) {
          let columns = first..<min(first + count, gradient.columns)
          panel.pack(columns: columns, halves: halves)
          panel.multiply(columns: columns, halves: halves)
        }
      }
      member.gradients += gradient.batch.leftStride
      member.inputs += gradient.batch.inputStride
      member.sums += gradient.batch.resultStride
    }
  }

  /// totals[output][input] += the sums of `WeightGradient`, both of each.
  public func addQuads(
    _ sums: UnsafePointer<Float>, outputs: Int, inputs: Int, into totals: UnsafeMutablePointer<Float>
  ) {
    let quadStride = WeightGradient.quadStride(inputs: inputs)
    for output in 0..<outputs {
      let row = sums + output / 4 * quadStride + output % 4
      for input in 0..<inputs { totals[output * inputs + input] += row[8 * input] + row[8 * input + 4] }
    }
  }
}

/// Outputs of a panel, at most.
private let panelOutputs = 64

/// Eight lanes of some columns, a *step* each, of a panel's outputs by quads: [steps][4][quads][8], where the second index is k
/// of lanes k and 4 + k of a quad's four outputs.
private struct QuadPanel {
  let gradient: WeightGradient
  let outputs: Range<Int>
  /// The last may lack outputs, which are zeros here.
  let quads: Int
  let quadStride: Int

  @inline(__always)
  init(_ gradient: WeightGradient, outputs: Range<Int>) {
    self.gradient = gradient
    self.outputs = outputs
    quads = (outputs.count + 3) / 4
    quadStride = WeightGradient.quadStride(inputs: gradient.inputCount)
  }

  /// Steps that the scratch memory has room for.
  var capacity: Int { WeightGradient.scratchCount / (32 * quads) }

  @inline(__always)
  func pack(columns: Range<Int>, halves: Int) {
    let rowStride = gradient.gradientRowStride
    let (whole, rest) = (outputs.count / 4, Int32(outputs.count % 4))
    let stepStride = 32 * quads
    var step = gradient.scratch
    for column in columns {
      var rows = gradient.gradients + outputs.lowerBound * rowStride + column * gradient.columnStride
      var packed = step
      // Both halves of a cache line, and no row to be looked for in whole quads.
      @inline(__always) func pack(_ count: Int32) {
        for half in 0..<halves {
          cvector_pack_quad(rows + 8 * half, rowStride, count, packed + half * stepStride, 8 * quads)
        }
      }
      for _ in 0..<whole {
        pack(4)
        rows += 4 * rowStride
        packed += 8
      }
      if rest > 0 { pack(rest) }
      step += halves * stepStride
    }
  }

  /// Adds the products of the packed columns and those of all inputs.
  @inline(__always)
  func multiply(columns: Range<Int>, halves: Int) {
    // Vectors of four hold half of an input's eight numbers.
    for part in stride(from: 0, to: 8, by: min(8, Vector.scalarCount)) {
      let tiles = QuadTiles(panel: self, columns: columns, halves: halves, part: part)
      var quad = 0
      while quad + 5 <= quads {
        tiles.rows(quad, TileHeight<5>())
        quad += 5
      }
      while quad + 2 <= quads {
        tiles.rows(quad, TileHeight<2>())
        quad += 2
      }
      if quad < quads { tiles.rows(quad, TileHeight<1>()) }
    }
  }
}

/// Register tiles of some quads and inputs.
private struct QuadTiles {
  let panel: QuadPanel
  /// Of the panel.
  let steps: Int
  /// Offset of the first step in an input.
  let firstStep: Int
  /// Floats between steps of an input.
  let stepStride: Int
  let part: Int

  @inline(__always)
  init(panel: QuadPanel, columns: Range<Int>, halves: Int, part: Int) {
    self.panel = panel
    self.part = part
    steps = columns.count * halves
    firstStep = columns.lowerBound * panel.gradient.columnStride
    stepStride = panel.gradient.columnStride / halves
  }

  @inline(__always)
  func rows<let quads: Int>(_ quad: Int, _ height: TileHeight<quads>) {
    let vectors = (panel.gradient.inputCount + inputsPerVector - 1) / inputsPerVector
    var vector = 0
    #if VECTOR_WIDTH_16
      vector = vectors / 4 * 4
      compute(quad, 0..<vector, height, TileWidth<4, 8>())
    #endif
    compute(quad, vector..<vectors / 2 * 2, height, TileWidth<2, 8>())
    compute(quad, vectors / 2 * 2..<vectors, height, TileWidth<1, 8>())
  }

  /// Computes tiles side by side, storing the sums of one while the next begins (ProductTiles.swift).
  @inline(__always)
  private func compute<let quads: Int, let vectors: Int>(
    _ quad: Int, _ range: Range<Int>, _: TileHeight<quads>, _: TileWidth<vectors, 8>
  ) {
    guard !range.isEmpty else { return }
    let gradient = panel.gradient
    let quadStride = panel.quadStride
    let vectorStride = 8 * inputsPerVector
    let packedStride = 8 * panel.quads
    let packed = UnsafePointer(gradient.scratch + 8 * quad + part)
    let firstQuad = panel.outputs.lowerBound / 4 + quad
    var sums = gradient.sums + firstQuad * quadStride + range.lowerBound * vectorStride + part
    var tile = InlineArray<vectors, InlineArray<quads, Vector>>(repeating: InlineArray(repeating: Vector()))
    // Of an odd number of inputs the last is there twice: what its other sums become nobody reads.
    var inputs = InlineArray<vectors, UnsafePointer<Float>>(repeating: gradient.inputs)
    var others = inputs
    @inline(__always) func find(_ vector: Int) {
      for v in 0..<vectors {
        let first = (vector + v) * inputsPerVector
        let other = min(first + 1, gradient.inputCount - 1)
        inputs[v] = gradient.inputs + Int(gradient.inputOffsets[first]) + firstStep + part
        others[v] = gradient.inputs + Int(gradient.inputOffsets[other]) + firstStep
      }
    }
    @inline(__always) func lanes(_ step: Int) -> InlineArray<vectors, Vector> {
      var x = InlineArray<vectors, Vector>(repeating: Vector())
      for v in 0..<vectors { x[v] = loadEights(inputs[v] + step * stepStride, others[v] + step * stepStride) }
      return x
    }
    @inline(__always) func add(
      _ packed: UnsafePointer<Float>, _ x: InlineArray<vectors, Vector>, _ spread: (Vector) -> Vector
    ) {
      var spreads = InlineArray<vectors, Vector>(repeating: Vector())
      for v in 0..<vectors { spreads[v] = spread(x[v]) }
      for q in 0..<quads {
        let four = loadEight(packed + 8 * q)
        for v in 0..<vectors { tile[v][q] = multiplyAdd(tile[v][q], spreads[v], four) }
      }
    }
    /// Adds the lanes of a step but the first of every four.
    @inline(__always) func addRest(_ packed: UnsafePointer<Float>, _ x: InlineArray<vectors, Vector>) {
      add(packed + packedStride, x) { spread1($0) }
      add(packed + 2 * packedStride, x) { spread2($0) }
      add(packed + 3 * packedStride, x) { spread3($0) }
    }
    /// Adds what is left of the first step, and all others.
    @inline(__always) func addSteps(_ x: InlineArray<vectors, Vector>) {
      addRest(packed, x)
      for step in 1..<steps {
        let packed = packed + 4 * step * packedStride
        let x = lanes(step)
        add(packed, x) { spread0($0) }
        addRest(packed, x)
      }
    }

    for v in 0..<vectors {
      for q in 0..<quads { tile[v][q] = load(sums + q * quadStride + v * vectorStride) }
    }
    find(range.lowerBound)
    let x = lanes(0)
    add(packed, x) { spread0($0) }
    addSteps(x)
    for vector in stride(from: range.lowerBound + vectors, to: range.upperBound, by: vectors) {
      find(vector)
      let x = lanes(0)
      var spreads = InlineArray<vectors, Vector>(repeating: Vector())
      for v in 0..<vectors { spreads[v] = spread0(x[v]) }
      for q in 0..<quads {
        let four = loadEight(packed + 8 * q)
        for v in 0..<vectors {
          let sum = sums + q * quadStride + v * vectorStride
          store(tile[v][q], to: sum)
          tile[v][q] = inOrder(multiplyAdd(load(sum + vectors * vectorStride), spreads[v], four))
        }
      }
      sums += vectors * vectorStride
      addSteps(x)
    }
    for v in 0..<vectors {
      for q in 0..<quads { store(tile[v][q], to: sums + q * quadStride + v * vectorStride) }
    }
  }
}

/// Inputs whose eight sums a vector holds, or that it holds half of.
private let inputsPerVector = max(1, Vector.scalarCount / 8)
