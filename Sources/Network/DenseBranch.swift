import KernelInterface
import Tensors

/// The dense branch (MODEL.md, "Network", 2): fully connected layers with a leaky ReLU after every one.
///
/// Runs over all lane groups at once, so that its weights, 97 % of the model, stream through the caches once a pass. The
/// forward pass works in lanes, [group][features][16]. The backward pass works on rows of features, [image][features]:
/// there both gradients are products whose vectors run along the weights' rows, which then need no transpose.
final class DenseBranch {
  /// Widths from C·H·W to H·W·outputs.
  private let widths: [Int]
  private let weights: [ParameterLayout.Entry]
  private let biases: [ParameterLayout.Entry]
  /// The gradient's ranges in the order of their completion: pieces of each layer's rows, from the last layer to the first.
  let gradientRanges: [Range<Int>]
  /// Rows of a piece, by layer.
  private let pieceRows: [Int]
  private let kernels: any KernelSet
  private let profiles: [LayerProfile]
  /// Output of layer l: [group][widths[l + 1]][16].
  private let activations: [FloatBuffer]
  /// Input of layer l as rows: [image][rowStride(l)]; l = layers: the output.
  private let rows: [FloatBuffer]
  /// Gradients before layer l's activation as rows, for two layers at a time.
  private let gradients: [FloatBuffer]
  /// Where element k of the branch's input lies in a bordered image, and k · 16 for the other layers.
  private let imageOffsets: AlignedBuffer<Int32>
  private let laneOffsets: AlignedBuffer<Int32>
  /// k · rowStride and k · width: depth strides of the backward products.
  private let rowOffsets: [AlignedBuffer<Int32>]
  private let weightOffsets: [AlignedBuffer<Int32>]
  private let imageStride: Int
  private let panelSum: CanonicalSum
  /// `Product.packing` of the backward products: rows of weights and of features lie far apart, and weights across cache lines.
  private let packing = FloatBuffer(count: Product.packingCount)
  /// Rows and columns of a weight gradient that are computed together: what a part of the minibatch has for them stays in the
  /// L1 cache, the sums of the parts in the L2 cache.
  private static let panelRows = 80
  private static let panelWidth = 8 * laneCount

  /// - Parameters:
  ///   - groupCapacity: Lane groups of the largest minibatch.
  ///   - partCapacity: Canonical parts of it.
  ///   - forTraining: Whether a backward pass will be asked for.
  init?(
    _ architecture: Architecture, layout: ParameterLayout, groupCapacity: Int, partCapacity: Int, forTraining: Bool,
    kernels: any KernelSet, profile: StepProfile?
  ) {
    guard architecture.hasDenseBranch else { return nil }
    self.kernels = kernels
    let widths = architecture.denseLowerWidths
    self.widths = widths
    profiles = (0..<widths.count - 1).map { layer in
      LayerProfile(
        profile, "dense_lower.\(layer)", multiplyAdds: widths[layer] * widths[layer + 1], hasInputGradient: layer > 0)
    }
    let weights = (0..<widths.count - 1).map { layout.entry("dense_lower.\($0).weight") }
    self.weights = weights
    let biases = (0..<widths.count - 1).map { layout.entry("dense_lower.\($0).bias") }
    self.biases = biases
    let pieceRows = (0..<widths.count - 1).map { Self.pieceRows(width: widths[$0]) }
    self.pieceRows = pieceRows
    gradientRanges = (0..<widths.count - 1).reversed().flatMap { layer in
      // The last piece has the bias too, and the padding.
      let end = (biases[layer].range.upperBound + laneCount - 1) / laneCount * laneCount
      let starts = stride(from: 0, to: widths[layer + 1], by: pieceRows[layer])
        .map { weights[layer].offset + $0 * widths[layer] }
      return zip(starts, starts.dropFirst() + [end]).map { $0..<$1 }
    }
    activations = widths.dropFirst().map { FloatBuffer(count: groupCapacity * $0 * laneCount) }
    let images = forTraining ? groupCapacity * laneCount : 0
    let widest = widths.map(Self.padded).max() ?? 0
    rows = widths.map { FloatBuffer(count: images * Self.padded($0)) }
    gradients = (0..<2).map { _ in FloatBuffer(count: images * widest) }
    let width = architecture.spatialWidth
    imageStride = bordered(architecture.colorCount, width)
    imageOffsets = AlignedBuffer(count: architecture.imageElements)
    for element in 0..<architecture.imageElements {
      let (channel, pixel) = element.quotientAndRemainder(dividingBy: width * width)
      let row = channel * (width + 2) + pixel / width + 1
      imageOffsets[element] = Int32((row * (width + 2) + pixel % width + 1) * laneCount)
    }
    func multiples(of stride: Int, count: Int) -> AlignedBuffer<Int32> {
      let offsets = AlignedBuffer<Int32>(count: count)
      for k in 0..<count { offsets[k] = Int32(k * stride) }
      return offsets
    }
    laneOffsets = multiples(of: laneCount, count: widths.max() ?? 0)
    rowOffsets = widths.map { multiples(of: Self.padded($0), count: images) }
    weightOffsets = (0..<widths.count - 1).map { multiples(of: widths[$0], count: forTraining ? widths[$0 + 1] : 0) }
    panelSum = CanonicalSum(
      count: forTraining ? max(Self.panelRows * Self.panelWidth, widest) : 0, parts: partCapacity, kernels: kernels)
  }

  /// Width of a row of features: whole vectors, an odd number of cache lines, so that rows spread over all sets of the L1 cache.
  private static func padded(_ width: Int) -> Int { ((width + laneCount - 1) / laneCount | 1) * laneCount }

  /// Rows of a layer whose gradients travel together.
  ///
  /// About 512 KiB: what is completed last, and hides behind nothing, is short, and a message still costs more for its bytes
  /// than for its way. Whole panels, and whole vectors, for any width.
  private static func pieceRows(width: Int) -> Int {
    let unit = panelRows
    return max(1, (1 << 17) / (unit * width)) * unit
  }

  private var layerCount: Int { widths.count - 1 }

  /// The branch's output of a group: [H·W][outputs][16].
  func output(group: Int) -> UnsafeMutablePointer<Float> {
    activations[layerCount - 1].pointer + group * widths[layerCount] * laneCount
  }

  /// Computes all layers for `groups` lane groups of bordered images.
  ///
  /// - Parameter dropout: With all groups' images' indices; nil for none. Inputs of layers are dropped in place, `noisy`
  ///   included.
  func forward(
    _ parameters: UnsafePointer<Float>, noisy: UnsafeMutablePointer<Float>, groups: Int,
    dropout: (masks: Dropout, indices: UnsafePointer<UInt32>)? = nil
  ) {
    for layer in 0..<layerCount {
      let isFirst = layer == 0
      profiles[layer].forward()
      if let dropout {
        let stride = isFirst ? imageStride : widths[layer] * laneCount
        for group in 0..<groups {
          dropout.masks.apply(
            (isFirst ? noisy : activations[layer - 1].pointer) + group * stride, elements: stride / laneCount,
            site: .denseLower(layer), indices: dropout.indices + group * laneCount)
        }
      }
      kernels.product(
        Product(
          weights: parameters + weights[layer].offset, rowStride: widths[layer], depthStride: 1,
          inputs: UnsafePointer(isFirst ? noisy : activations[layer - 1].pointer),
          offsets: isFirst ? imageOffsets.pointer : laneOffsets.pointer,
          columnStride: isFirst ? imageStride : widths[layer] * laneCount,
          outputs: activations[layer].pointer, outputRowStride: laneCount,
          outputColumnStride: widths[layer + 1] * laneCount,
          rows: widths[layer + 1], depth: widths[layer], columns: groups,
          epilogue: .biasLeakyReLU(parameters + biases[layer].offset)))
    }
  }

  /// Computes the gradients of all weights and biases.
  ///
  /// - Parameters:
  ///   - noisy: What `forward` was given.
  ///   - outputGradients: Of each group, before the last activation: [group][H·W·outputs][16].
  ///   - parts: Lane groups of each canonical part, in order.
  ///   - gradient: Receives the sums over all parts, or has them added where `accumulating`.
  ///   - report: Told of every piece that is complete, and between pieces of work.
  func backward(
    _ parameters: UnsafePointer<Float>, noisy: UnsafePointer<Float>, outputGradients: UnsafePointer<Float>,
    parts: [Range<Int>], gradient: some GradientStorage, accumulating: Bool, dropout: Dropout?,
    report: (GradientProgress) -> Void
  ) {
    let groups = parts.last?.upperBound ?? 0
    profiles[0].weightGradient()
    toRows(noisy, stride: imageStride, offsets: imageOffsets, layer: 0, groups: groups, into: rows[0])
    for layer in 1..<layerCount {
      profiles[layer].weightGradient()
      toRows(
        activations[layer - 1].pointer, stride: widths[layer] * laneCount, offsets: laneOffsets, layer: layer,
        groups: groups, into: rows[layer])
    }
    toRows(
      outputGradients, stride: widths[layerCount] * laneCount, offsets: laneOffsets, layer: layerCount, groups: groups,
      into: gradients[layerCount % 2])
    var piece = 0
    for layer in (0..<layerCount).reversed() {
      let outputGradient = gradients[(layer + 1) % 2]
      for start in stride(from: 0, to: widths[layer + 1], by: pieceRows[layer]) {
        let rows = start..<min(widths[layer + 1], start + pieceRows[layer])
        let range = gradientRanges[piece]
        // Entries are found by their offsets in the whole layout; of it only the piece is there.
        let whole = gradient.place(range) - range.lowerBound
        addWeightGradient(layer, rows: rows, outputGradient, parts, whole, accumulating, report)
        if rows.upperBound == widths[layer + 1] {
          addBiasGradient(layer, outputGradient, parts, whole, accumulating)
        }
        report(.completed(range))
        piece += 1
      }
      if layer > 0 {
        profiles[layer].inputGradient()
        var product = Product(
          weights: outputGradient.pointer, rowStride: Self.padded(widths[layer + 1]), depthStride: 1,
          inputs: parameters + weights[layer].offset, offsets: weightOffsets[layer].pointer, columnStride: laneCount,
          outputs: gradients[layer % 2].pointer, outputRowStride: Self.padded(widths[layer]),
          outputColumnStride: laneCount, rows: groups * laneCount, depth: widths[layer + 1],
          columns: (widths[layer] + laneCount - 1) / laneCount,
          epilogue: .leakyReLUGradient(activations: rows[layer].pointer))
        product.packing = packing.pointer
        kernels.product(product)
        dropout?.applyGradient(
          dropped: rows[layer].pointer, gradient: gradients[layer % 2].pointer,
          count: groups * laneCount * Self.padded(widths[layer]))
      }
    }
  }

  private func toRows(
    _ lanes: UnsafePointer<Float>, stride: Int, offsets: AlignedBuffer<Int32>, layer: Int, groups: Int,
    into rows: FloatBuffer
  ) {
    let rowStride = Self.padded(widths[layer])
    for group in 0..<groups {
      kernels.transposeLanes(
        lanes + group * stride, offsets: offsets.pointer, count: widths[layer],
        rows: rows.pointer + group * laneCount * rowStride, rowStride: rowStride)
    }
  }

  /// ∂W[o][i] = Σ_b ∂sum[b][o]·input[b][i] of some rows o, part by part, added by the fixed tree.
  private func addWeightGradient(
    _ layer: Int, rows range: Range<Int>, _ outputGradient: FloatBuffer, _ parts: [Range<Int>],
    _ gradient: UnsafeMutablePointer<Float>, _ accumulating: Bool, _ report: (GradientProgress) -> Void
  ) {
    let outputStride = Self.padded(widths[layer + 1])
    let inputStride = Self.padded(widths[layer])
    let inputs = widths[layer]
    for first in stride(from: 0, to: inputs, by: Self.panelWidth) {
      let count = min(Self.panelWidth, inputs - first)
      for panelStart in stride(from: range.lowerBound, to: range.upperBound, by: Self.panelRows) {
        profiles[layer].weightGradient()
        let panelRows = min(Self.panelRows, range.upperBound - panelStart)
        for part in parts {
          let image = part.lowerBound * laneCount
          panelSum.addInPlace(count: panelRows * Self.panelWidth) { panel, accumulating in
            guard !part.isEmpty else {
              // The sum of no image, added like any other: it makes 0 of -0.
              for index in 0..<panelRows * Self.panelWidth { panel[index] = accumulating ? panel[index] + 0 : 0 }
              return
            }
            var product = Product(
              weights: outputGradient.pointer + image * outputStride + panelStart, rowStride: 1,
              depthStride: outputStride, inputs: rows[layer].pointer + image * inputStride + first,
              offsets: rowOffsets[layer].pointer, columnStride: laneCount, outputs: panel,
              outputRowStride: Self.panelWidth, outputColumnStride: laneCount, rows: panelRows,
              depth: part.count * laneCount, columns: (count + laneCount - 1) / laneCount,
              epilogue: accumulating ? .accumulate : .store)
            product.packing = packing.pointer
            kernels.product(product)
          }
        }
        let sums = panelSum.finish(count: panelRows * Self.panelWidth)
        for row in 0..<panelRows {
          let result = gradient + weights[layer].offset + (panelStart + row) * inputs + first
          write(sums.map { $0 + row * Self.panelWidth }, to: result, count: count, accumulating)
        }
        report(.working)
      }
    }
  }

  private func write(
    _ sums: UnsafePointer<Float>?, to gradient: UnsafeMutablePointer<Float>, count: Int, _ accumulating: Bool
  ) {
    if accumulating {
      if let sums { kernels.addArray(sums, into: gradient, count: count) }
    } else if let sums {
      gradient.update(from: sums, count: count)
    } else {
      gradient.update(repeating: 0, count: count)
    }
  }

  private func addBiasGradient(
    _ layer: Int, _ outputGradient: FloatBuffer, _ parts: [Range<Int>], _ gradient: UnsafeMutablePointer<Float>,
    _ accumulating: Bool
  ) {
    profiles[layer].weightGradient()
    let stride = Self.padded(widths[layer + 1])
    let count = widths[layer + 1]
    for part in parts {
      panelSum.add(count: count) { sums in
        sums.update(repeating: 0, count: count)
        for image in part.lowerBound * laneCount..<part.upperBound * laneCount {
          kernels.addArray(outputGradient.pointer + image * stride, into: sums, count: count)
        }
      }
    }
    panelSum.finish(into: gradient + biases[layer].offset, count: count, accumulating: accumulating)
  }
}
