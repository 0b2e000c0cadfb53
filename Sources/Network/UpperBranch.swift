import KernelInterface
import Tensors

/// The upper branch (MODEL.md, "Network", 4) with the temporal readout: the same small network for every pixel.
///
/// It runs row by row, forward and backward at once in training, so that everything between the features and their
/// gradient stays in the L1 and L2 caches.
final class UpperBranch {
  private let kernels: any KernelSet
  /// Of the hidden layers, then of the readout.
  private let profiles: [LayerProfile]
  private let objectiveProfile: SectionProfile
  private let width: Int
  private let colors: Int
  private let inverseRootLength: Float
  /// Widths of the hidden part, from the concatenated features on; the readout follows.
  private let widths: [Int]
  private let weights: [ParameterLayout.Entry]
  private let biases: [ParameterLayout.Entry]
  private let readout: TemporalReadout
  /// 1/√n_hidden_conv and 1/√n_hidden_dense_lower_output, folded into the first layer's weights.
  private let inputScale: [Float]
  /// Weights of hidden layer l, [out][in]; the first with its inputs' factors.
  private let scaledWeights: FloatBuffer
  private let weightSums: [FloatBuffer]
  private let biasSums: [FloatBuffer]
  /// Rows of pixels, [width of layer][W][16].
  private let hidden: [FloatBuffer]
  private let hiddenGradients: [FloatBuffer]
  private let readoutRow: FloatBuffer
  private let featureOffsets: AlignedBuffer<Int32>
  private let rowOffsets: AlignedBuffer<Int32>
  private let flushed: FloatBuffer
  private let gradientScratch = FloatBuffer(count: WeightGradient.scratchCount)
  /// Channels of the features, and whether they are outputs of an activation.
  private let featureRanges: [(channels: Range<Int>, isActivation: Bool)]

  init(_ architecture: Architecture, layout: ParameterLayout, kernels: any KernelSet, profile: StepProfile?) {
    self.kernels = kernels
    width = architecture.spatialWidth
    colors = architecture.colorCount
    inverseRootLength = 1 / Float(architecture.trajectoryLength).squareRoot()
    let widths = Array(architecture.denseUpperWidths.dropLast())
    self.widths = widths
    let allWidths = architecture.denseUpperWidths
    profiles = (0..<allWidths.count - 1).map { layer in
      LayerProfile(
        profile, "dense_upper.\(layer)",
        multiplyAdds: architecture.spatialWidth * architecture.spatialWidth * allWidths[layer] * allWidths[layer + 1])
    }
    objectiveProfile = SectionProfile(profile, "objective")
    // With several scales the last convolutional layer's output is no activation's output (`MultiScaleLayer`).
    featureRanges =
      architecture.scaleCount == 1
      ? [(0..<widths[0], true)]
      : [(0..<architecture.convolutionChannels, false), (architecture.convolutionChannels..<widths[0], true)]
        .filter { !$0.0.isEmpty }
    weights = (0..<widths.count - 1).map { layout.entry("dense_upper.\($0).weight") }
    biases = (0..<widths.count - 1).map { layout.entry("dense_upper.\($0).bias") }
    let hasDense = architecture.hasDenseBranch
    let convolutionScale = hasDense ? 1 / Float(architecture.convolutionChannels).squareRoot() : 1
    inputScale =
      Array(repeating: convolutionScale, count: architecture.convolutionChannels)
      + Array(
        repeating: 1 / Float(architecture.denseLowerOutputs).squareRoot(),
        count: hasDense ? architecture.denseLowerOutputs : 0)
    let readoutScale = widths.count == 1 ? inputScale : Array(repeating: 1, count: widths[widths.count - 1])
    readout = TemporalReadout(architecture, layout: layout, inputScale: readoutScale)
    scaledWeights = FloatBuffer(count: weights.first?.count ?? 0)
    weightSums = weights.indices.map {
      FloatBuffer(count: WeightGradient.sumCount(outputs: widths[$0 + 1], inputs: widths[$0]))
    }
    biasSums = biases.map { FloatBuffer(count: $0.count * laneCount) }
    let pixels = width * laneCount
    hidden = widths.dropFirst().map { FloatBuffer(count: $0 * pixels) }
    hiddenGradients = widths.dropFirst().map { FloatBuffer(count: $0 * pixels) }
    readoutRow = FloatBuffer(count: 2 * colors * pixels)
    featureOffsets = AlignedBuffer(count: widths[0])
    for k in 0..<widths[0] { featureOffsets[k] = Int32(k * bordered(1, width)) }
    let rows = max(widths.max() ?? 0, 2 * colors)
    rowOffsets = AlignedBuffer(count: rows)
    for k in 0..<rows { rowOffsets[k] = Int32(k * pixels) }
    flushed = FloatBuffer(count: weights.map(\.count).max() ?? 0)
  }

  /// Derives what the passes need from new parameters.
  func prepare(_ parameters: UnsafePointer<Float>) {
    guard let first = weights.first else { return }
    for index in 0..<first.count {
      scaledWeights.pointer[index] = parameters[first.offset + index] * inputScale[index % widths[0]]
    }
  }

  private func layerWeights(_ layer: Int, _ parameters: UnsafePointer<Float>) -> UnsafePointer<Float> {
    layer == 0 ? UnsafePointer(scaledWeights.pointer) : parameters + weights[layer].offset
  }

  private var pixels: Int { width * laneCount }
  private func interior(_ y: Int) -> Int { ((y + 1) * (width + 2) + 1) * laneCount }

  /// What hidden layer `layer` reads of a row, and where its channels are; past the last layer: what the readout reads.
  private func input(_ layer: Int, _ row: FeatureRow) -> (UnsafePointer<Float>, UnsafePointer<Int32>) {
    layer == 0
      ? (row.first, row.offsets) : (UnsafePointer(hidden[layer - 1].pointer), UnsafePointer(rowOffsets.pointer))
  }

  /// A row of bordered features.
  private func row(_ features: UnsafePointer<Float>, _ y: Int) -> FeatureRow {
    FeatureRow(first: features + interior(y), offsets: UnsafePointer(featureOffsets.pointer), columns: width, y: y)
  }

  /// Computes the readouts m and g of 16 images.
  ///
  /// - Parameters:
  ///   - features: Bordered [upper inputs][W + 2][W + 2][16], the dense branch's values as the last channels.
  ///   - basis: y_t of every lane, [nb][16].
  ///   - readouts: Receives [2·C][H·W][16].
  ///   - kernels: For the group's lanes.
  func forward(
    _ parameters: UnsafePointer<Float>, features: UnsafePointer<Float>, basis: UnsafePointer<Float>,
    readouts: UnsafeMutablePointer<Float>, kernels: any KernelSet
  ) {
    profiles[hidden.count].forward()
    readout.combine(parameters, basis: basis)
    for y in 0..<width {
      forwardRow(
        parameters, row(features, y), readouts: readouts + y * pixels, stride: width * pixels, kernels: kernels)
    }
  }

  /// Computes the readouts of one image's pixels, 16 to a vector.
  ///
  /// - Parameters:
  ///   - planar: The features' first vector.
  ///   - offsets: Where each feature's is.
  ///   - vectors: How many follow one another.
  ///   - basis: The image's y_t in every lane, [nb][16].
  ///   - readouts: Receives the first readout's vectors; each readout's are `stride` floats behind the one's before.
  func forward(
    _ parameters: UnsafePointer<Float>, planar: UnsafePointer<Float>, offsets: UnsafePointer<Int32>, vectors: Int,
    basis: UnsafePointer<Float>, readouts: UnsafeMutablePointer<Float>, stride: Int
  ) {
    profiles[hidden.count].forward()
    readout.combine(parameters, basis: basis)
    for (y, first) in Swift.stride(from: 0, to: vectors, by: width).enumerated() {
      let row = FeatureRow(
        first: planar + first * laneCount, offsets: offsets, columns: min(width, vectors - first), y: y)
      forwardRow(parameters, row, readouts: readouts + first * laneCount, stride: stride, kernels: kernels)
    }
  }

  /// As many vectors of each feature as fit the rows of hidden layers.
  private struct FeatureRow {
    let first: UnsafePointer<Float>
    /// Where each feature's are.
    let offsets: UnsafePointer<Int32>
    let columns: Int
    /// Its number.
    let y: Int
  }

  private func forwardRow(
    _ parameters: UnsafePointer<Float>, _ row: FeatureRow, readouts: UnsafeMutablePointer<Float>, stride: Int,
    dropout: (masks: Dropout, indices: UnsafePointer<UInt32>)? = nil, kernels: any KernelSet
  ) {
    for layer in hidden.indices {
      profiles[layer].forward()
      let (inputs, offsets) = input(layer, row)
      kernels.product(
        Product(
          weights: layerWeights(layer, parameters), rowStride: widths[layer], depthStride: 1,
          inputs: inputs, offsets: offsets, columnStride: laneCount,
          outputs: hidden[layer].pointer, outputRowStride: pixels, outputColumnStride: laneCount,
          rows: widths[layer + 1], depth: widths[layer], columns: row.columns,
          epilogue: .biasLeakyReLU(parameters + biases[layer].offset)))
      if let dropout {
        dropout.masks.apply(
          hidden[layer].pointer, elements: widths[layer + 1] * width, site: .denseUpper(layer + 1, row: row.y),
          indices: dropout.indices)
      }
    }
    profiles[hidden.count].forward()
    let (inputs, offsets) = input(hidden.count, row)
    kernels.laneProduct(
      LaneProduct(
        weights: readout.laneWeights.pointer, rowStride: readout.inputs * laneCount, depthStride: laneCount,
        inputs: inputs, offsets: offsets, outputs: readouts, outputRowStride: stride,
        rows: readout.outputs, depth: readout.inputs, columns: row.columns, laneBias: readout.laneBias.pointer))
  }

  /// Computes the objective of 16 images and all gradients behind it.
  ///
  /// - Parameters:
  ///   - features: As for `forward`.
  ///   - featureGradient: Receives the gradients of the features, bordered alike, before the activations whose outputs
  ///     they are. Its border is left as it is. May be the features themselves.
  ///   - target: The readout's targets, [C][H·W][16].
  ///   - coefficients: `LaneCoefficient`'s table.
  ///   - divergence: [16]; the images' KL sums, in nats, are added to it.
  ///   - dropout: With the images' indices; nil for none. The features have been dropped already.
  ///   - kernels: For the group's lanes.
  func train(
    _ parameters: UnsafePointer<Float>, features: UnsafePointer<Float>, featureGradient: UnsafeMutablePointer<Float>,
    basis: UnsafePointer<Float>, target: UnsafePointer<Float>, coefficients: UnsafePointer<Float>,
    divergence: UnsafeMutablePointer<Double>, dropout: (masks: Dropout, indices: UnsafePointer<UInt32>)? = nil,
    kernels: any KernelSet
  ) {
    profiles[hidden.count].forward()
    readout.combine(parameters, basis: basis)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: laneCount) { rowDivergence in
      guard let rowSums = rowDivergence.baseAddress else { return }
      for y in 0..<width {
        forwardRow(
          parameters, row(features, y), readouts: readoutRow.pointer, stride: pixels, dropout: dropout, kernels: kernels
        )
        objectiveProfile.begin()
        rowSums.update(repeating: 0, count: laneCount)
        for color in 0..<colors {
          kernels.objective(
            mean: readoutRow.pointer + 2 * color * pixels, logit: readoutRow.pointer + (2 * color + 1) * pixels,
            target: target + (color * width + y) * pixels, columns: width, inverseRootLength: inverseRootLength,
            coefficients: coefficients, divergence: rowSums)
        }
        for lane in 0..<laneCount { divergence[lane] += Double(rowSums[lane]) }
        backwardRow(parameters, features, featureGradient, y, dropout?.masks, kernels)
      }
    }
    profiles[hidden.count].weightGradient()
    readout.distribute(basis: basis)
  }

  private func backwardRow(
    _ parameters: UnsafePointer<Float>, _ features: UnsafePointer<Float>,
    _ featureGradient: UnsafeMutablePointer<Float>, _ y: Int, _ dropout: Dropout?, _ kernels: any KernelSet
  ) {
    addWeightGradient(
      of: readoutRow.pointer, rows: readout.outputs, layer: hidden.count, features, y, sums: readout.laneWeightSums,
      biasSums: readout.laneBiasSums, kernels)
    profiles[hidden.count].inputGradient()
    backwardReadout(features, featureGradient, y, kernels)
    for layer in hidden.indices.reversed() {
      dropout?.applyGradient(
        dropped: hidden[layer].pointer, gradient: hiddenGradients[layer].pointer, count: hidden[layer].count)
      addWeightGradient(
        of: hiddenGradients[layer].pointer, rows: widths[layer + 1], layer: layer, features, y,
        sums: weightSums[layer], biasSums: biasSums[layer], kernels)
      profiles[layer].inputGradient()
      guard layer == 0 else {
        kernels.product(
          inputProduct(
            layer, parameters, rows: 0..<widths[layer], outputs: hiddenGradients[layer - 1].pointer, stride: pixels,
            epilogue: .leakyReLUGradient(activations: hidden[layer - 1].pointer)))
        continue
      }
      for (rows, isActivation) in featureRanges {
        let offset = rows.lowerBound * bordered(1, width) + interior(y)
        kernels.product(
          inputProduct(
            0, parameters, rows: rows, outputs: featureGradient + offset, stride: bordered(1, width),
            epilogue: isActivation ? .leakyReLUGradient(activations: features + offset) : .store))
      }
    }
  }

  /// The product that gives rows of a hidden layer's input gradient: transposed weights times the output gradient.
  private func inputProduct(
    _ layer: Int, _ parameters: UnsafePointer<Float>, rows: Range<Int>, outputs: UnsafeMutablePointer<Float>,
    stride: Int, epilogue: Epilogue
  ) -> Product {
    Product(
      weights: layerWeights(layer, parameters) + rows.lowerBound, rowStride: 1, depthStride: widths[layer],
      inputs: hiddenGradients[layer].pointer, offsets: rowOffsets.pointer, columnStride: laneCount,
      outputs: outputs, outputRowStride: stride, outputColumnStride: laneCount,
      rows: rows.count, depth: widths[layer + 1], columns: width, epilogue: epilogue)
  }

  /// The gradient of the readout's inputs: the last hidden layer's, or the features' where there is none.
  private func backwardReadout(
    _ features: UnsafePointer<Float>, _ featureGradient: UnsafeMutablePointer<Float>, _ y: Int,
    _ kernels: any KernelSet
  ) {
    func product(
      rows: Range<Int>, outputs: UnsafeMutablePointer<Float>, stride: Int, activations: UnsafePointer<Float>?
    )
      -> LaneProduct
    {
      LaneProduct(
        weights: readout.laneWeights.pointer + rows.lowerBound * laneCount, rowStride: laneCount,
        depthStride: readout.inputs * laneCount, inputs: readoutRow.pointer, offsets: rowOffsets.pointer,
        outputs: outputs, outputRowStride: stride, rows: rows.count, depth: readout.outputs, columns: width,
        activations: activations)
    }
    if let last = hidden.last, let gradient = hiddenGradients.last {
      kernels.laneProduct(
        product(
          rows: 0..<readout.inputs, outputs: gradient.pointer, stride: pixels, activations: last.pointer))
      return
    }
    for (rows, isActivation) in featureRanges {
      let offset = rows.lowerBound * bordered(1, width) + interior(y)
      kernels.laneProduct(
        product(
          rows: rows, outputs: featureGradient + offset, stride: bordered(1, width),
          activations: isActivation ? features + offset : nil))
    }
  }

  private func addWeightGradient(
    of outputGradient: UnsafePointer<Float>, rows: Int, layer: Int, _ features: UnsafePointer<Float>, _ y: Int,
    sums: FloatBuffer, biasSums: FloatBuffer, _ kernels: any KernelSet
  ) {
    profiles[layer].weightGradient()
    let (inputs, offsets) = input(layer, row(features, y))
    if layer < hidden.count {
      kernels.addWeightGradient(
        WeightGradient(
          gradients: outputGradient, rowStride: pixels, inputs: inputs, offsets: offsets, columnStride: laneCount,
          outputCount: rows, inputCount: widths[layer], columns: width, sums: sums.pointer,
          scratch: gradientScratch.pointer))
    } else {
      // The readout's weights differ from lane to lane.
      kernels.laneDot(
        LaneDot(
          left: outputGradient, leftRowStride: pixels, leftColumnStride: laneCount, leftRows: rows,
          right: inputs, rightOffsets: offsets, rightColumnStride: laneCount, rightRows: widths[layer],
          columns: width, sums: sums.pointer))
    }
    kernels.addColumns(
      outputGradient, rowStride: pixels, columnStride: laneCount, rows: rows, columns: width, sums: biasSums.pointer)
  }

  /// Adds the lane sums to the gradient and starts new ones: the end of a canonical part.
  func flush(into gradient: UnsafeMutablePointer<Float>) {
    profiles[0].weightGradient()
    readout.flush(into: gradient)
    for layer in hidden.indices {
      let count = weights[layer].count
      flushed.pointer.update(repeating: 0, count: count)
      kernels.addQuads(
        weightSums[layer].pointer, outputs: widths[layer + 1], inputs: widths[layer], into: flushed.pointer)
      let result = gradient + weights[layer].offset
      for index in 0..<count {
        result[index] += flushed.pointer[index] * (layer == 0 ? inputScale[index % widths[0]] : 1)
      }
      kernels.addLanes(biasSums[layer].pointer, count: biases[layer].count, into: gradient + biases[layer].offset)
      weightSums[layer].fill(0)
      biasSums[layer].fill(0)
    }
  }
}
