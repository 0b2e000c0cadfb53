internal import CPlatform
import KernelInterface

// Register tiles: rows and vectors of a product whose sums stay in registers while the depth passes by.
//
// Tiles of one shape are computed in one go, and the sums of one are stored while the next begins, each store between two
// multiplications. A dozen stores in a row hold up the multiplications around them: on a Zen 3 for 25 to 35
// cycles, where a tile of depth 20 multiplies for 120.

/// Vectors across a tile and lanes of a column, as a type: what makes the compiler unroll the tile into registers.
struct TileWidth<let vectors: Int, let lanes: Int> {}
/// Rows of a tile, as a type.
struct TileHeight<let rows: Int> {}

/// Tiles of one shape, one below the other and column by column, of all products of a batch, and a block of the depth.
struct TileRun {
  /// Of whole tiles.
  var rows: Range<Int>
  /// Of whole tiles.
  var columns: Range<Int>
  /// Of all of the product's depth, or of a block.
  var depth: Range<Int>
  /// Cache lines that each tile asks for: of what the next product reads, in portions that don't hold up the sums.
  var linesPerTile = 0
  /// The first of these lines.
  var lines: UnsafePointer<Float>?
}

/// Where sums begin.
private protocol SumStart {
  /// A sum of one term, in `row`, that goes to the product's outputs + `offset`.
  func first(_ row: Int, _ offset: Int, _ input: Vector, _ weight: Vector) -> Vector
}

/// What becomes of sums.
private protocol SumEnd {
  /// What is stored at the product's outputs + `offset`.
  func result(_ sum: Vector, _ offset: Int) -> Vector
}

private struct FromZero: SumStart {
  @inline(__always)
  func first(_ row: Int, _ offset: Int, _ input: Vector, _ weight: Vector) -> Vector { input * weight }
}

private struct FromBias: SumStart {
  let bias: UnsafePointer<Float>

  @inline(__always)
  func first(_ row: Int, _ offset: Int, _ input: Vector, _ weight: Vector) -> Vector {
    multiplyAdd(Vector(repeating: bias[row]), input, weight)
  }
}

/// From the sums of the block before, or of an earlier product.
private struct FromOutputs<let lanes: Int>: SumStart {
  let outputs: UnsafeMutablePointer<Float>
  let columns: LaneVectors<lanes>

  @inline(__always)
  func first(_ row: Int, _ offset: Int, _ input: Vector, _ weight: Vector) -> Vector {
    multiplyAdd(columns.vector(at: outputs + offset), input, weight)
  }
}

private struct Unchanged: SumEnd {
  @inline(__always)
  func result(_ sum: Vector, _ offset: Int) -> Vector { sum }
}

private struct AddedToOutputs<let lanes: Int>: SumEnd {
  let outputs: UnsafeMutablePointer<Float>
  let columns: LaneVectors<lanes>

  @inline(__always)
  func result(_ sum: Vector, _ offset: Int) -> Vector { sum + columns.vector(at: outputs + offset) }
}

private struct BehindLeakyReLU: SumEnd {
  @inline(__always)
  func result(_ sum: Vector, _ offset: Int) -> Vector { leakyReLU(sum) }
}

private struct TimesLeakyReLUDerivative<let lanes: Int>: SumEnd {
  let activations: UnsafePointer<Float>
  let columns: LaneVectors<lanes>

  @inline(__always)
  func result(_ sum: Vector, _ offset: Int) -> Vector {
    sum * leakyReLUDerivative(columns.vector(at: activations + offset))
  }
}

/// Any of these, looked up for every vector: for the few rows that are left over.
private struct AnyStart<let lanes: Int>: SumStart {
  let product: Product
  let columns: LaneVectors<lanes>
  let goesOn: Bool

  @inline(__always)
  func first(_ row: Int, _ offset: Int, _ input: Vector, _ weight: Vector) -> Vector {
    if goesOn { return FromOutputs(outputs: product.outputs, columns: columns).first(row, offset, input, weight) }
    return switch product.epilogue {
    case .store, .accumulate, .leakyReLUGradient: FromZero().first(row, offset, input, weight)
    case .resume: FromOutputs(outputs: product.outputs, columns: columns).first(row, offset, input, weight)
    case .bias(let bias), .biasLeakyReLU(let bias): FromBias(bias: bias).first(row, offset, input, weight)
    }
  }
}

/// Any of these, looked up for every vector.
private struct AnyEnd<let lanes: Int>: SumEnd {
  let product: Product
  let columns: LaneVectors<lanes>
  let isEnd: Bool

  @inline(__always)
  func result(_ sum: Vector, _ offset: Int) -> Vector {
    guard isEnd else { return sum }
    return switch product.epilogue {
    case .store, .resume, .bias: sum
    case .accumulate: AddedToOutputs(outputs: product.outputs, columns: columns).result(sum, offset)
    case .biasLeakyReLU: BehindLeakyReLU().result(sum, offset)
    case .leakyReLUGradient(let activations):
      TimesLeakyReLUDerivative(activations: activations, columns: columns).result(sum, offset)
    }
  }
}

extension Product {
  /// Computes the tiles of a run that is left over.
  @inline(__always)
  func computeRest<let rows: Int, let vectors: Int, let lanes: Int>(
    _ run: TileRun, _ height: TileHeight<rows>, _ width: TileWidth<vectors, lanes>
  ) {
    let columns = LaneVectors<lanes>(stride: outputColumnStride)
    compute(
      run, AnyStart(product: self, columns: columns, goesOn: run.depth.lowerBound > 0),
      AnyEnd(product: self, columns: columns, isEnd: run.depth.upperBound == depth), height, width)
  }

  /// Computes the tiles of a run.
  @inline(__always)
  func compute<let rows: Int, let vectors: Int, let lanes: Int>(
    _ run: TileRun, _ height: TileHeight<rows>, _ width: TileWidth<vectors, lanes>
  ) {
    let isEnd = run.depth.upperBound == depth
    let columns = LaneVectors<lanes>(stride: outputColumnStride)
    // A function for each case, which would else be looked at between the multiplications.
    if run.depth.lowerBound > 0 {
      let start = FromOutputs(outputs: outputs, columns: columns)
      switch epilogue {
      case .biasLeakyReLU where isEnd: compute(run, start, BehindLeakyReLU(), height, width)
      case .leakyReLUGradient(let activations) where isEnd:
        compute(run, start, TimesLeakyReLUDerivative(activations: activations, columns: columns), height, width)
      default: compute(run, start, Unchanged(), height, width)
      }
    } else {
      switch epilogue {
      case .store: compute(run, FromZero(), Unchanged(), height, width)
      case .accumulate: compute(run, FromZero(), AddedToOutputs(outputs: outputs, columns: columns), height, width)
      case .resume: compute(run, FromOutputs(outputs: outputs, columns: columns), Unchanged(), height, width)
      case .biasLeakyReLU(let bias) where isEnd:
        compute(run, FromBias(bias: bias), BehindLeakyReLU(), height, width)
      case .bias(let bias), .biasLeakyReLU(let bias):
        compute(run, FromBias(bias: bias), Unchanged(), height, width)
      case .leakyReLUGradient(let activations) where isEnd:
        compute(run, FromZero(), TimesLeakyReLUDerivative(activations: activations, columns: columns), height, width)
      case .leakyReLUGradient: compute(run, FromZero(), Unchanged(), height, width)
      }
    }
  }

  @inline(never)
  private func compute<Start: SumStart, End: SumEnd, let rows: Int, let vectors: Int, let lanes: Int>(
    _ run: TileRun, _ start: Start, _ end: End, _: TileHeight<rows>, _: TileWidth<vectors, lanes>
  ) {
    let (weightRowStride, weightDepthStride) = (weightRowStride, weightDepthStride)
    let (inputOffsets, inputColumns) = (inputOffsets, LaneVectors<lanes>(stride: inputColumnStride))
    let (outputs, outputRowStride, outputColumns) = (
      outputs, outputRowStride, LaneVectors<lanes>(stride: outputColumnStride)
    )
    let (batch, depth) = (batch, run.depth)
    // Of the tile.
    var (member, row, column) = (0, run.rows.lowerBound, run.columns.lowerBound)
    var firstWeights = weights + row * weightRowStride + depth.lowerBound * weightDepthStride
    var tileWeights = firstWeights
    var tileInputs = inputs + column * inputColumns.stride
    var offset = row * outputRowStride + column * outputColumns.stride
    var sums = InlineArray<rows, InlineArray<vectors, Vector>>(repeating: InlineArray(repeating: Vector()))

    @inline(__always) func input(_ k: Int) -> InlineArray<vectors, Vector> {
      let input = tileInputs + Int(inputOffsets[k])
      var result = InlineArray<vectors, Vector>(repeating: Vector())
      for v in 0..<vectors { result[v] = inputColumns.vector(at: input + inputColumns.offset(v)) }
      return result
    }
    @inline(__always) func place(_ offset: Int, _ r: Int, _ v: Int) -> Int {
      offset + r * outputRowStride + outputColumns.offset(v)
    }
    var lines = run.lines
    /// Adds all terms but the first.
    @inline(__always) func addTerms() {
      if var line = lines {
        for _ in 0..<run.linesPerTile {
          cvector_prefetch_to_read(line)
          line += laneCount
        }
        lines = line
      }
      var weights = tileWeights
      if rows == 8 {
        // An address each, of which none waits for another.
        var rowWeights = InlineArray<rows, UnsafePointer<Float>>(repeating: tileWeights)
        for r in 0..<rows { rowWeights[r] = cvector_address(tileWeights + r * weightRowStride) }
        var term = 0
        for k in depth.lowerBound + 1..<depth.upperBound {
          term += weightDepthStride
          let input = input(k)
          for r in 0..<rows {
            let weight = Vector(repeating: rowWeights[r][term])
            for v in 0..<vectors { sums[r][v] = multiplyAdd(sums[r][v], input[v], weight) }
          }
        }
        return
      }
      for k in depth.lowerBound + 1..<depth.upperBound {
        weights += weightDepthStride
        let input = input(k)
        for r in 0..<rows {
          let weight = Vector(repeating: weights[r * weightRowStride])
          for v in 0..<vectors { sums[r][v] = multiplyAdd(sums[r][v], input[v], weight) }
        }
      }
    }

    let firstInput = input(depth.lowerBound)
    for r in 0..<rows {
      let weight = Vector(repeating: tileWeights[r * weightRowStride])
      for v in 0..<vectors { sums[r][v] = start.first(row + r, place(offset, r, v), firstInput[v], weight) }
    }
    addTerms()
    while true {
      row += rows
      tileWeights += rows * weightRowStride
      var nextOffset = offset + rows * outputRowStride
      if row == run.rows.upperBound {
        row = run.rows.lowerBound
        column += LaneVectors<lanes>.count(vectors: vectors)
        tileInputs += LaneVectors<lanes>.count(vectors: vectors) * inputColumns.stride
        if column == run.columns.upperBound {
          member += 1
          guard member < batch.count else { break }
          column = run.columns.lowerBound
          firstWeights += batch.leftStride
          tileInputs += batch.inputStride - run.columns.count * inputColumns.stride
        }
        tileWeights = firstWeights
        nextOffset = member * batch.resultStride + row * outputRowStride + column * outputColumns.stride
      }
      let firstInput = input(depth.lowerBound)
      for r in 0..<rows {
        let weight = Vector(repeating: tileWeights[r * weightRowStride])
        for v in 0..<vectors {
          let place = place(offset, r, v)
          outputColumns.setVector(end.result(sums[r][v], place), at: outputs + place)
          let next = nextOffset - offset + place
          sums[r][v] = inOrder(start.first(row + r, next, firstInput[v], weight))
        }
      }
      offset = nextOffset
      addTerms()
    }
    for r in 0..<rows {
      for v in 0..<vectors {
        let place = place(offset, r, v)
        outputColumns.setVector(end.result(sums[r][v], place), at: outputs + place)
      }
    }
  }
}

@inline(__always)
func leakyReLU(_ x: Vector) -> Vector { larger(x, x * leakyReLUSlope) }

/// 1 where the activation is positive, the slope elsewhere: a leaky ReLU keeps the sign of its input.
@inline(__always)
func leakyReLUDerivative(_ activation: Vector) -> Vector {
  Vector(repeating: leakyReLUSlope).replacing(with: Vector(repeating: 1), where: activation .> Vector())
}
