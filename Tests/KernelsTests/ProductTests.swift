import KernelInterface
import Tensors
import Testing

/// Products, lane products and lane dots of every build against plain loops in double precision.
@Suite struct ProductTests {
  /// Sizes around the register tiles' (8, 6, 5, 4, 2, 1 rows; 5, 4, 3, 2, 1 columns), and some layers'.
  static let shapes = [
    (1, 1, 1), (2, 3, 2), (4, 7, 3), (5, 9, 4), (17, 20, 7), (22, 20, 28), (20, 180, 9), (13, 6, 5), (6, 700, 10),
    (3, 1500, 1), (20, 20, 5), (40, 12, 3), (17, 300, 1), (3, 700, 1),
  ]
  static var cases: [(String, Int)] { kernelNames.flatMap { name in shapes.indices.map { (name, $0) } } }

  private struct Operands {
    let rows, depth, columns: Int
    let weights, inputs, bias, activations, start: FloatBuffer
    let depthOffsets: AlignedBuffer<Int32>

    init(_ shape: (Int, Int, Int)) {
      (rows, depth, columns) = shape
      weights = randomBuffer(rows * depth, seed: 1)
      // One column of padding behind each row shows that strides are obeyed.
      inputs = randomBuffer(depth * (columns + 1) * laneCount, seed: 2)
      bias = randomBuffer(rows, seed: 3)
      activations = randomBuffer(rows * columns * laneCount, seed: 4)
      start = randomBuffer(rows * columns * laneCount, seed: 5)
      let stride = (columns + 1) * laneCount
      depthOffsets = offsets((0..<depth).map { $0 * stride })
    }

    func product(_ outputs: FloatBuffer, _ epilogue: Epilogue) -> Product {
      Product(
        weights: weights.pointer, rowStride: depth, depthStride: 1, inputs: inputs.pointer,
        offsets: depthOffsets.pointer, columnStride: laneCount, outputs: outputs.pointer,
        outputRowStride: columns * laneCount, outputColumnStride: laneCount, rows: rows, depth: depth,
        columns: columns, epilogue: epilogue)
    }

    func expected(_ finish: (_ sum: Double, _ row: Int, _ index: Int) -> Double) -> [Double] {
      var result: [Double] = []
      for row in 0..<rows {
        for position in 0..<columns * laneCount {
          var sum = 0.0
          for k in 0..<depth {
            sum += Double(weights[row * depth + k]) * Double(inputs[Int(depthOffsets[k]) + position])
          }
          result.append(finish(sum, row, row * columns * laneCount + position))
        }
      }
      return result
    }
  }

  private func leaky(_ x: Double) -> Double { x > 0 ? x : 0.05 * x }

  @Test("a product equals the sums of its definition, whatever follows the sums", arguments: cases)
  func product(_ name: String, _ shape: Int) throws {
    let kernels = try kernelSet(name)
    let operands = Operands(Self.shapes[shape])
    let count = operands.rows * operands.columns * laneCount
    func check(_ epilogue: Epilogue, _ expected: [Double], _ comment: Comment) {
      let outputs = FloatBuffer(count: count)
      for index in 0..<count { outputs[index] = operands.start[index] }
      kernels.product(operands.product(outputs, epilogue))
      #expect(relativeError(outputs, expected) < 1e-6, comment)
    }
    check(.store, operands.expected { sum, _, _ in sum }, "store")
    check(.accumulate, operands.expected { sum, _, index in sum + Double(operands.start[index]) }, "accumulate")
    check(.resume, operands.expected { sum, _, index in sum + Double(operands.start[index]) }, "resume")
    check(.bias(operands.bias.pointer), operands.expected { sum, row, _ in sum + Double(operands.bias[row]) }, "bias")
    check(
      .biasLeakyReLU(operands.bias.pointer),
      operands.expected { sum, row, _ in leaky(sum + Double(operands.bias[row])) }, "leaky ReLU")
    check(
      .leakyReLUGradient(activations: operands.activations.pointer),
      operands.expected { sum, _, index in operands.activations[index] > 0 ? sum : Double(Float(0.05)) * sum },
      "gradient")
  }

  @Test("weights that are strided the other way give the transposed product", arguments: kernelNames)
  func transposedWeights(_ name: String) throws {
    let kernels = try kernelSet(name)
    let operands = Operands((9, 6, 3))
    let straight = FloatBuffer(count: 9 * 3 * laneCount)
    kernels.product(operands.product(straight, .store))
    let transposed = FloatBuffer(count: 9 * 6)
    for row in 0..<9 { for k in 0..<6 { transposed[k * 9 + row] = operands.weights[row * 6 + k] } }
    let other = FloatBuffer(count: straight.count)
    var product = operands.product(other, .store)
    product.weights = UnsafePointer(transposed.pointer)
    product.weightRowStride = 1
    product.weightDepthStride = 9
    kernels.product(product)
    #expect(bits(other) == bits(straight))
  }

  @Test("inputs that are packed first give the same bits", arguments: cases)
  func packedInputs(_ name: String, _ shape: Int) throws {
    let whole = try kernelSet(name)
    let operands = Operands(Self.shapes[shape])
    // What lies behind the packed inputs must stay.
    let packing = FloatBuffer(count: Product.packingCount + 64)
    packing.fill(7)
    for (kernels, epilogue) in [whole, KernelChoice.forHalfGroups(whole)].flatMap({ kernels in
      [Epilogue.biasLeakyReLU(operands.bias.pointer), .accumulate].map { (kernels, $0) }
    }) {
      let results = [nil, packing.pointer].map { packing in
        let outputs = FloatBuffer(count: operands.rows * operands.columns * laneCount)
        var product = operands.product(outputs, epilogue)
        product.packing = packing
        kernels.product(product)
        return bits(outputs)
      }
      #expect(results[0] == results[1])
    }
    #expect(packing.elements.suffix(64).allSatisfy { $0 == 7 })
  }

  @Test("a batch gives the bits of its products one by one", arguments: cases)
  func batch(_ name: String, _ shape: Int) throws {
    let kernels = try kernelSet(name)
    let operands = Operands(Self.shapes[shape])
    let (rows, depth, columns) = Self.shapes[shape]
    // Three products that lie behind one another, with a gap between the outputs.
    let batch = StridedBatch(
      count: 3, leftStride: rows * depth, inputStride: depth * (columns + 1) * laneCount,
      resultStride: (rows * columns + 1) * laneCount)
    let weights = randomBuffer(3 * batch.leftStride, seed: 6)
    let inputs = randomBuffer(3 * batch.inputStride, seed: 7)
    let activations = randomBuffer(3 * batch.resultStride, seed: 8)
    for epilogue in [
      Epilogue.store, .resume, .biasLeakyReLU(operands.bias.pointer),
      .leakyReLUGradient(activations: activations.pointer),
    ] {
      let (together, oneByOne) = (
        FloatBuffer(count: 3 * batch.resultStride), FloatBuffer(count: 3 * batch.resultStride)
      )
      for outputs in [together, oneByOne] { outputs.fill(1) }
      var product = operands.product(together, epilogue)
      product.weights = UnsafePointer(weights.pointer)
      product.inputs = UnsafePointer(inputs.pointer)
      product.batch = batch
      product.prefetched = UnsafePointer(weights.pointer)
      product.prefetchedFloats = batch.leftStride
      kernels.product(product)
      for member in 0..<3 {
        product.weights = UnsafePointer(weights.pointer + member * batch.leftStride)
        product.inputs = UnsafePointer(inputs.pointer + member * batch.inputStride)
        product.outputs = oneByOne.pointer + member * batch.resultStride
        if case .leakyReLUGradient = epilogue {
          product.epilogue = .leakyReLUGradient(activations: activations.pointer + member * batch.resultStride)
        }
        product.batch = StridedBatch()
        kernels.product(product)
      }
      #expect(bits(together) == bits(oneByOne))
    }
  }

  @Test(
    "each product of a batch may take the place of the inputs of the one before", arguments: kernelNames, [8, 20, 40])
  func overlappingBatch(_ name: String, _ channels: Int) throws {
    let whole = try kernelSet(name)
    let weights = randomBuffer(3 * channels * channels, seed: 6)
    for kernels in [whole, KernelChoice.forHalfGroups(whole)] {
      for (columns, stride) in (1...7).flatMap({ columns in [(columns, laneCount), (columns, kernels.lanes)] }) {
        let channelStride = (columns * stride + laneCount - 1) / laneCount * laneCount
        let inputs = randomBuffer(3 * channels * channelStride, seed: 7)
        let channelOffsets = offsets((0..<channels).map { $0 * channelStride })
        func product(_ inputs: UnsafePointer<Float>, _ outputs: UnsafeMutablePointer<Float>, member: Int) -> Product {
          Product(
            weights: weights.pointer + member * channels * channels, rowStride: channels, depthStride: 1,
            inputs: inputs,
            offsets: channelOffsets.pointer, columnStride: stride, outputs: outputs, outputRowStride: channelStride,
            outputColumnStride: stride, rows: channels, depth: channels, columns: columns, epilogue: .store)
        }
        let place = FloatBuffer(count: 4 * channels * channelStride)
        (place.pointer + channels * channelStride).update(from: inputs.pointer, count: inputs.count)
        var together = product(place.pointer + channels * channelStride, place.pointer, member: 0)
        together.batch = StridedBatch(
          count: 3, leftStride: channels * channels, inputStride: channels * channelStride,
          resultStride: channels * channelStride)
        kernels.product(together)
        let alone = FloatBuffer(count: 3 * channels * channelStride)
        for member in 0..<3 {
          let offset = member * channels * channelStride
          kernels.product(product(inputs.pointer + offset, alone.pointer + offset, member: member))
        }
        let isEqual = (0..<3 * channels).allSatisfy { row in
          (0..<columns * stride).allSatisfy { index in
            index % stride >= kernels.lanes
              || place[row * channelStride + index].bitPattern == alone[row * channelStride + index].bitPattern
          }
        }
        #expect(isEqual, "\(kernels.lanes) lanes, \(columns) columns \(stride) apart")
      }
    }
  }

  @Test("lane products weigh every lane by its own numbers", arguments: cases)
  func laneProduct(_ name: String, _ shape: Int) throws {
    let operands = Operands(Self.shapes[shape])
    let (rows, depth, columns) = Self.shapes[shape]
    let weights = randomBuffer(rows * depth * laneCount, seed: 6)
    let bias = randomBuffer(rows * laneCount, seed: 7)
    let outputs = FloatBuffer(count: rows * columns * laneCount)
    try kernelSet(name).laneProduct(
      LaneProduct(
        weights: weights.pointer, rowStride: depth * laneCount, depthStride: laneCount, inputs: operands.inputs.pointer,
        offsets: operands.depthOffsets.pointer, outputs: outputs.pointer, outputRowStride: columns * laneCount,
        rows: rows, depth: depth, columns: columns, laneBias: bias.pointer,
        activations: operands.activations.pointer))
    var expected: [Double] = []
    for row in 0..<rows {
      for position in 0..<columns * laneCount {
        let lane = position % laneCount
        var sum = Double(bias[row * laneCount + lane])
        for k in 0..<depth {
          sum +=
            Double(weights[(row * depth + k) * laneCount + lane])
            * Double(operands.inputs[Int(operands.depthOffsets[k]) + position])
        }
        expected.append(operands.activations[expected.count] > 0 ? sum : Double(Float(0.05)) * sum)
      }
    }
    #expect(relativeError(outputs, expected) < 1e-6)
  }

  @Test("lane dots add to what is there, lane by lane", arguments: cases)
  func laneDot(_ name: String, _ shape: Int) throws {
    let (rows, others, columns) = Self.shapes[shape]
    let left = randomBuffer(rows * columns * laneCount, seed: 8)
    let right = randomBuffer(others * columns * laneCount, seed: 9)
    let rightOffsets = offsets((0..<others).map { $0 * columns * laneCount })
    let sums = randomBuffer(rows * others * laneCount, seed: 10)
    var expected = sums.elements.map(Double.init)
    for row in 0..<rows {
      for other in 0..<others {
        for position in 0..<columns * laneCount {
          expected[(row * others + other) * laneCount + position % laneCount] +=
            Double(left[row * columns * laneCount + position]) * Double(right[Int(rightOffsets[other]) + position])
        }
      }
    }
    let kernels = try kernelSet(name)
    let dot = LaneDot(
      left: left.pointer, leftRowStride: columns * laneCount, leftColumnStride: laneCount, leftRows: rows,
      right: right.pointer, rightOffsets: rightOffsets.pointer, rightColumnStride: laneCount, rightRows: others,
      columns: columns, sums: sums.pointer)
    kernels.laneDot(dot)
    #expect(relativeError(sums, expected) < 1e-6)

    let totals = randomBuffer(rows * others, seed: 11)
    let expectedTotals = (0..<rows * others).map { index in
      (0..<laneCount).reduce(Double(totals[index])) { $0 + expected[index * laneCount + $1] }
    }
    kernels.addLanes(sums.pointer, count: rows * others, into: totals.pointer)
    #expect(relativeError(totals, expectedTotals) < 1e-6)
  }

  /// Outputs, inputs and columns: odd numbers, panels that are full, and more columns than the scratch memory holds.
  static let gradientShapes = [
    (1, 1, 1), (2, 3, 2), (4, 7, 3), (20, 20, 5), (17, 20, 7), (20, 9, 28), (22, 20, 40), (130, 5, 4), (65, 31, 3),
  ]

  private struct GradientOperands {
    let outputs, inputs, columns: Int
    let gradients, values: FloatBuffer
    let valueOffsets: AlignedBuffer<Int32>
    let scratch = FloatBuffer(count: WeightGradient.scratchCount)

    init(_ shape: (Int, Int, Int)) {
      (outputs, inputs, columns) = shape
      gradients = randomBuffer(outputs * columns * laneCount, seed: 8)
      values = randomBuffer(inputs * columns * laneCount, seed: 9)
      // Channels in another order than in memory.
      let stride = columns * laneCount
      let last = inputs - 1
      valueOffsets = offsets((0..<inputs).map { (last - $0) * stride })
    }

    func gradient(_ sums: FloatBuffer, columns: Range<Int>) -> WeightGradient {
      WeightGradient(
        gradients: gradients.pointer + columns.lowerBound * laneCount, rowStride: self.columns * laneCount,
        inputs: values.pointer + columns.lowerBound * laneCount, offsets: valueOffsets.pointer,
        columnStride: laneCount, outputCount: outputs, inputCount: inputs, columns: columns.count, sums: sums.pointer,
        scratch: scratch.pointer)
    }

    var sums: FloatBuffer { FloatBuffer(count: WeightGradient.sumCount(outputs: outputs, inputs: inputs)) }
  }

  @Test(
    "a weight gradient is the sum over columns and lanes, however they are cut into calls",
    arguments: kernelNames.flatMap { name in gradientShapes.indices.map { (name, $0) } })
  func weightGradient(_ name: String, _ shape: Int) throws {
    let operands = GradientOperands(Self.gradientShapes[shape])
    let kernels = try kernelSet(name)
    let (outputs, inputs, columns) = Self.gradientShapes[shape]
    let sums = operands.sums
    kernels.addWeightGradient(operands.gradient(sums, columns: 0..<columns))
    let pieces = operands.sums
    kernels.addWeightGradient(operands.gradient(pieces, columns: 0..<columns / 3))
    kernels.addWeightGradient(operands.gradient(pieces, columns: columns / 3..<columns))
    #expect(bits(pieces) == bits(sums))

    let totals = randomBuffer(outputs * inputs, seed: 11)
    var expected = totals.elements.map(Double.init)
    for output in 0..<outputs {
      for input in 0..<inputs {
        for position in 0..<columns * laneCount {
          expected[output * inputs + input] +=
            Double(operands.gradients[output * columns * laneCount + position])
            * Double(operands.values[Int(operands.valueOffsets[input]) + position])
        }
      }
    }
    kernels.addQuads(sums.pointer, outputs: outputs, inputs: inputs, into: totals.pointer)
    #expect(relativeError(totals, expected) < 1e-6)
  }

  @Test(
    "a batch of weight gradients gives the bits of each",
    arguments: kernelNames.flatMap { name in gradientShapes.indices.map { (name, $0) } })
  func weightGradientBatch(_ name: String, _ shape: Int) throws {
    let kernels = try kernelSet(name)
    let (outputs, inputs, columns) = Self.gradientShapes[shape]
    let operands = GradientOperands((outputs, inputs, 2 * columns))
    let sumCount = operands.sums.count
    // The second has the other half of the columns.
    let together = FloatBuffer(count: 2 * sumCount)
    var gradient = operands.gradient(together, columns: 0..<columns)
    gradient.batch = StridedBatch(
      count: 2, leftStride: columns * laneCount, inputStride: columns * laneCount, resultStride: sumCount)
    kernels.addWeightGradient(gradient)
    let oneByOne = FloatBuffer(count: 2 * sumCount)
    for member in 0..<2 {
      var gradient = operands.gradient(oneByOne, columns: member * columns..<(member + 1) * columns)
      gradient.sums += member * sumCount
      kernels.addWeightGradient(gradient)
    }
    #expect(bits(together) == bits(oneByOne))
    #expect(Set(bits(together).prefix(sumCount)) != [0] && Set(bits(together).suffix(sumCount)) != [0])
  }

  @Test("builds with fused multiply-add give the same bits of a weight gradient", arguments: gradientShapes.indices)
  func sameGradientBits(_ shape: Int) throws {
    guard kernelNames.contains("avx512") else { return }
    let operands = GradientOperands(Self.gradientShapes[shape])
    let (outputs, inputs, columns) = Self.gradientShapes[shape]
    let results = try ["avx2", "avx512"].map { name in
      let (kernels, sums) = (try kernelSet(name), operands.sums)
      kernels.addWeightGradient(operands.gradient(sums, columns: 0..<columns))
      let totals = FloatBuffer(count: outputs * inputs)
      kernels.addQuads(sums.pointer, outputs: outputs, inputs: inputs, into: totals.pointer)
      return bits(totals)
    }
    #expect(results[0] == results[1])
  }

  @Test(
    "kernels for 8 lanes give the bits of those for 16, and leave the other 8 alone",
    arguments: kernelNames.filter { $0 != "portable" }, shapes.indices)
  func halfGroups(_ name: String, _ shape: Int) throws {
    let whole = try kernelSet(name)
    let half = KernelChoice.forHalfGroups(whole)
    #expect(half.lanes == 8)
    let operands = Operands(Self.shapes[shape])
    for epilogue in [
      .store, .accumulate, .resume, .bias(operands.bias.pointer), .biasLeakyReLU(operands.bias.pointer),
      .leakyReLUGradient(activations: operands.activations.pointer),
    ] as [Epilogue] {
      let results = [half, whole].map { kernels in
        let outputs = FloatBuffer(count: operands.start.count)
        for index in 0..<outputs.count { outputs[index] = operands.start[index] }
        kernels.product(operands.product(outputs, epilogue))
        return bits(outputs)
      }
      let expected = zip(results[1].indices, results[1]).map { index, whole in
        index % laneCount < 8 ? whole : operands.start[index].bitPattern
      }
      #expect(results[0] == expected)
    }
  }

  @Test("builds with fused multiply-add give the same bits", arguments: shapes.indices)
  func sameBits(_ shape: Int) throws {
    guard kernelNames.contains("avx512") else { return }
    let operands = Operands(Self.shapes[shape])
    let results = try ["avx2", "avx512"].map { name in
      let outputs = FloatBuffer(count: operands.rows * operands.columns * laneCount)
      try kernelSet(name).product(operands.product(outputs, .biasLeakyReLU(operands.bias.pointer)))
      let totals = FloatBuffer(count: operands.rows * operands.columns)
      try kernelSet(name).addLanes(outputs.pointer, count: totals.count, into: totals.pointer)
      return bits(outputs) + bits(totals)
    }
    #expect(results[0] == results[1])
  }
}
