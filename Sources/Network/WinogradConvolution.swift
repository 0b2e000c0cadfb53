import KernelInterface
import Tensors

/// A 3×3 convolution by Winograd's F(6×6, 3×3) and F(4×4, 3×3): what `Convolution3x3` uses where such tiles cover the image.
///
/// Works in strips of tiles whose transforms, [64][channels][tiles][16], stay in the L2 cache where channels are few. Rounding:
/// 2.2e-6 relative (20 channels) and 3.7e-6 (100), against 2e-7 and 6e-7 of the direct sums.
final class WinogradConvolution {
  private let inputs: Int
  private let outputs: Int
  private let tiling: WinogradTiling
  private let kernels: any KernelSet
  private let tilesPerStrip: Int
  private let transformedWeights: TransformedWeights.Layer
  private let workspace: WinogradWorkspace
  /// Sums of the transformed weights' gradient.
  ///
  /// Narrow layers keep two sums apart (`WeightGradient`), which costs little while they fit the L2 cache, over a canonical
  /// part. Wide layers transpose their input and sum over lanes at once, [64][outputs][inputs rounded up to 16], over a
  /// lane group: one layer after the other in the same memory, which stays as near as it can.
  private let gradientSums: FloatBuffer
  /// Of a position.
  private let positionSums: Int
  private let isWide: Bool
  private let profile: LayerProfile

  /// Whether tiles cover the image and there are enough channels to pay for the transforms.
  static func applies(inputs: Int, outputs: Int, width: Int) -> Bool {
    WinogradTiling(width: width) != nil && inputs >= 4 && outputs == inputs
  }

  /// Nil where it doesn't apply.
  init?(
    inputs: Int, outputs: Int, width: Int, transformedWeights: TransformedWeights.Layer?, workspace: WinogradWorkspace,
    kernels: any KernelSet, profile: LayerProfile
  ) {
    guard let transformedWeights, let tiling = WinogradTiling(width: width) else { return nil }
    self.transformedWeights = transformedWeights
    self.tiling = tiling
    self.profile = profile
    self.inputs = inputs
    self.outputs = outputs
    self.workspace = workspace
    self.kernels = kernels
    isWide = WinogradWorkspace.isWide(channels: outputs)
    positionSums = isWide ? outputs * Self.rowStride(inputs) : WeightGradient.sumCount(outputs: outputs, inputs: inputs)
    gradientSums = isWide ? workspace.wideSums : FloatBuffer(count: 64 * positionSums)
    precondition(gradientSums.count >= 64 * positionSums, "the workspace is made for the widest layer")
    tilesPerStrip = workspace.tilesPerStrip(channels: max(inputs, outputs), tiling: tiling)
  }

  fileprivate static func rowStride(_ inputs: Int) -> Int { (inputs + laneCount - 1) / laneCount * laneCount }

  func prepare(weights: UnsafePointer<Float>) { transformedWeights.prepare(weights, kernels: kernels) }

  /// Calls `body` for strip after strip, row by row.
  private func forEachStrip(lanes: Int, _ body: (WinogradStrip) -> Void) {
    // As many floats whatever the lanes.
    let tilesPerStrip = tilesPerStrip * laneCount / lanes
    for row in 0..<tiling.count {
      for first in stride(from: 0, to: tiling.count, by: tilesPerStrip) {
        body(
          WinogradStrip(
            tiling: tiling, row: row, tiles: first..<min(first + tilesPerStrip, tiling.count),
            scratch: workspace.scratch.pointer, columnCarry: workspace.columnCarry.pointer,
            rowCarry: workspace.rowCarry.pointer))
      }
    }
  }

  /// Calls `body` for runs of a strip's positions that as many tiles have: only tiles of six have the last two of a row.
  private func forEachRun(_ strip: WinogradStrip, _ body: (PositionRun) -> Void) {
    for row in 0..<strip.rowPoints {
      body(PositionRun(positions: 8 * row..<8 * row + 6, tiles: strip.tiles))
      if strip.sixes > 0 { body(PositionRun(positions: 8 * row + 6..<8 * row + 8, tiles: strip.sixes)) }
    }
  }

  /// The products of a run's positions: of the weights, or of their transpose, and transformed tiles.
  private func product(
    _ run: PositionRun, _ memory: TransformedMemory, isTransposed: Bool, of inputs: UnsafePointer<Float>,
    into outputs: UnsafeMutablePointer<Float>
  ) -> Product {
    transformedWeights.product(
      run.positions, isTransposed: isTransposed, inputs: inputs, channelOffsets: memory.offsets, outputs: outputs,
      channelStride: memory.channelStride, positionStride: memory.positionStride, columns: run.tiles,
      columnStride: memory.lanes)
  }

  /// output = leakyReLU(weights ⋆ input + bias); images bordered.
  func forward(
    input: UnsafePointer<Float>, bias: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>, kernels: any KernelSet
  ) {
    forEachStrip(lanes: kernels.lanes) { strip in
      let memory = TransformedMemory(strip, channels: inputs, lanes: kernels.lanes, workspace)
      // A position's products take the place of the position's before, which have served: half the cache.
      let products = workspace.inputTiles.pointer
      let tiles = products + memory.positionStride
      kernels.winogradInput(input, channels: inputs, strip: strip, transformed: tiles)
      forEachRun(strip) { run in
        kernels.product(product(run, memory, isTransposed: false, of: tiles, into: products))
      }
      kernels.winogradOutput(products, channels: outputs, strip: strip, bias: bias, images: output)
    }
  }

  /// Adds the weights' gradient of 16 images to the sums and gives the gradient of the input.
  ///
  /// - Parameters:
  ///   - gradient: That of the output, bordered, which that of the input replaces. Its border is not read, and receives values
  ///     without meaning.
  ///   - output: What `forward` gave, where the gradient has yet to pass the activation; nil where it has.
  ///   - biasSums: [outputs][16]; the bias's gradient is added.
  ///   - weightGradient: A wide layer's is added here, [outputs][inputs][3][3].
  ///   - working: Called every now and then.
  func backward(
    input: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, output: UnsafePointer<Float>?,
    biasSums: UnsafeMutablePointer<Float>, weightGradient: UnsafeMutablePointer<Float>, kernels: any KernelSet,
    working: () -> Void
  ) {
    let tiles = workspace.inputTiles.pointer
    let gradients = workspace.outputTiles.pointer
    forEachStrip(lanes: kernels.lanes) { strip in
      let memory = TransformedMemory(strip, channels: inputs, lanes: kernels.lanes, workspace)
      profile.weightGradient()
      kernels.winogradOutputAdjoint(
        gradient, activations: output, channels: outputs, strip: strip, transformed: gradients)
      // Row 1 of A is all ones: position (1, 1) holds the sums of whole tiles.
      kernels.addColumns(
        gradients + 9 * memory.positionStride, rowStride: memory.channelStride, columnStride: memory.lanes,
        rows: outputs, columns: strip.tiles, sums: biasSums)
      kernels.winogradInput(input, channels: inputs, strip: strip, transformed: tiles)
      forEachRun(strip) { run in
        profile.weightGradient()
        addWeightGradient(run, memory, kernels)
        profile.inputGradient()
        // The input's transform has served; its gradient takes its place.
        kernels.product(product(run, memory, isTransposed: true, of: gradients, into: tiles))
      }
      kernels.winogradInputAdjoint(tiles, channels: inputs, strip: strip, images: gradient)
      working()
    }
    guard isWide else { return }
    profile.weightGradient()
    self.kernels.winogradWeightsAdjoint(
      gradientSums.pointer, positionStride: positionSums, outputStride: Self.rowStride(inputs), outputs: outputs,
      inputs: inputs, gradient: weightGradient)
    gradientSums.fill(0)
  }

  /// Adds the products of the workspace's gradients and inputs at a run's positions to the sums.
  private func addWeightGradient(_ run: PositionRun, _ memory: TransformedMemory, _ kernels: any KernelSet) {
    let position = run.positions.lowerBound
    let inputTiles = workspace.inputTiles.pointer + position * memory.positionStride
    let gradients = workspace.outputTiles.pointer + position * memory.positionStride
    let sums = gradientSums.pointer + position * positionSums
    guard isWide else {
      var gradient = WeightGradient(
        gradients: gradients, rowStride: memory.channelStride, inputs: inputTiles, offsets: memory.offsets,
        columnStride: memory.lanes, outputCount: outputs, inputCount: inputs, columns: run.tiles, sums: sums,
        scratch: workspace.gradientScratch.pointer)
      gradient.batch = StridedBatch(
        count: run.positions.count, leftStride: memory.positionStride, inputStride: memory.positionStride,
        resultStride: positionSums)
      kernels.addWeightGradient(gradient)
      return
    }
    let rowStride = Self.rowStride(inputs)
    let rows = workspace.rows.pointer
    // 16 terms of the depth at a time: the lanes of one tile, or of two.
    let depth = run.tiles * memory.lanes
    for index in 0..<run.positions.count {
      for first in stride(from: 0, to: depth, by: laneCount) {
        kernels.transposeLanes(
          inputTiles + index * memory.positionStride + first, offsets: memory.offsets, count: inputs,
          rows: rows + first * rowStride, rowStride: rowStride)
      }
      var product = Product(
        weights: gradients + index * memory.positionStride, rowStride: memory.channelStride, depthStride: 1,
        inputs: rows, offsets: workspace.rowOffsets(rowStride: rowStride), columnStride: laneCount,
        outputs: sums + index * positionSums, outputRowStride: rowStride,
        outputColumnStride: laneCount, rows: outputs, depth: depth, columns: rowStride / laneCount,
        epilogue: .resume)
      product.prefetched = UnsafePointer(product.outputs + positionSums)
      product.prefetchedFloats = positionSums
      // Its columns are features, not lanes: all 16 of them.
      self.kernels.product(product)
    }
  }

  /// Adds a narrow layer's sums to the weights' gradient and starts new ones.
  func flush(into weightGradient: UnsafeMutablePointer<Float>) {
    guard !isWide else { return }
    let count = 64 * outputs * inputs
    let sums = workspace.outputTiles.pointer
    precondition(workspace.outputTiles.count >= count, "the workspace is too small for a narrow layer's sums")
    sums.update(repeating: 0, count: count)
    for position in 0..<64 {
      kernels.addQuads(
        gradientSums.pointer + position * positionSums, outputs: outputs, inputs: inputs,
        into: sums + position * outputs * inputs)
    }
    kernels.winogradWeightsAdjoint(
      sums, positionStride: outputs * inputs, outputStride: inputs, outputs: outputs, inputs: inputs,
      gradient: weightGradient)
    gradientSums.fill(0)
  }
}

/// Neighbouring positions of a strip that as many tiles have.
private struct PositionRun {
  let positions: Range<Int>
  let tiles: Int
}

/// Where a strip's transformed tiles lie, of inputs and of outputs alike.
private struct TransformedMemory {
  let lanes: Int
  let channelStride: Int
  let positionStride: Int
  /// Of the channels.
  let offsets: UnsafePointer<Int32>

  init(_ strip: WinogradStrip, channels: Int, lanes: Int, _ workspace: WinogradWorkspace) {
    self.lanes = lanes
    channelStride = strip.channelStride(lanes: lanes)
    positionStride = strip.positionStride(channels: channels, lanes: lanes)
    offsets = workspace.offsets(channelStride: channelStride)
  }
}

/// Transformed tiles of one strip, shared by all layers of a branch: they are used one after the other.
final class WinogradWorkspace {
  fileprivate let inputTiles: FloatBuffer
  fileprivate let outputTiles: FloatBuffer
  fileprivate let scratch: FloatBuffer
  fileprivate let columnCarry: FloatBuffer
  fileprivate let rowCarry: FloatBuffer
  /// For `WeightGradient`.
  let gradientScratch = FloatBuffer(count: WeightGradient.scratchCount)
  fileprivate let rows: FloatBuffer
  /// Sums of a wide layer's transformed gradient, zero between layers; empty where no layer is wide.
  fileprivate let wideSums: FloatBuffer
  private let channelOffsets: [AlignedBuffer<Int32>]
  private let depthOffsets: AlignedBuffer<Int32>
  private let depthRowStride: Int
  private let secondLevelCache: Int
  private let tilesPerWideStrip: Int

  /// - Parameters:
  ///   - channels: Of the widest layer.
  ///   - width: Of the largest images.
  ///   - secondLevelCache: Bytes of the L2 cache.
  ///   - tilesPerWideStrip: The kernels'.
  init(channels: Int, width: Int, secondLevelCache: Int, tilesPerWideStrip: Int) {
    self.secondLevelCache = secondLevelCache
    self.tilesPerWideStrip = tilesPerWideStrip
    // No row has more, at any scale; an odd width has no `WinogradTiling` to be asked.
    let tiles = Self.tilesPerStrip(
      channels: channels, tiles: width / 4, secondLevelCache: secondLevelCache, wide: tilesPerWideStrip)
    let positionFloats = (channels * tiles + 1) * laneCount
    inputTiles = FloatBuffer(count: 65 * positionFloats)
    outputTiles = FloatBuffer(count: 64 * max(positionFloats, channels * min(channels, 1024 / channels + 1)))
    scratch = FloatBuffer(count: 8 * (width + 2) * laneCount)
    columnCarry = FloatBuffer(count: channels * 2 * 8 * laneCount)
    rowCarry = FloatBuffer(count: channels * 2 * (width + 2) * laneCount)
    let rowStride = WinogradConvolution.rowStride(channels)
    wideSums = FloatBuffer(count: Self.isWide(channels: channels) ? 64 * channels * rowStride : 0)
    rows = FloatBuffer(count: tiles * laneCount * rowStride)
    channelOffsets = (0...tiles).map { vectors in
      let offsets = AlignedBuffer<Int32>(count: channels)
      for channel in 0..<channels { offsets[channel] = Int32(channel * vectors * laneCount) }
      return offsets
    }
    depthOffsets = AlignedBuffer(count: tiles * laneCount)
    for k in 0..<tiles * laneCount { depthOffsets[k] = Int32(k * rowStride) }
    depthRowStride = rowStride
  }

  /// Whether the sums of a layer's transformed gradient are too long for two of each to be kept.
  static func isWide(channels: Int) -> Bool { channels * channels > 1024 }

  /// Where channel c of a position begins: c · channelStride.
  ///
  /// - Parameter channelStride: A multiple of 16.
  fileprivate func offsets(channelStride: Int) -> UnsafePointer<Int32> {
    UnsafePointer(channelOffsets[channelStride / laneCount].pointer)
  }

  /// k · rowStride.
  fileprivate func rowOffsets(rowStride: Int) -> UnsafePointer<Int32> {
    precondition(rowStride == depthRowStride, "wide layers share one width")
    return UnsafePointer(depthOffsets.pointer)
  }

  fileprivate func tilesPerStrip(channels: Int, tiling: WinogradTiling) -> Int {
    Self.tilesPerStrip(
      channels: channels, tiles: tiling.count, secondLevelCache: secondLevelCache, wide: tilesPerWideStrip)
  }

  /// As many tiles of a row as let both transforms fit the L2 cache.
  ///
  /// Where three don't, all is far away: then as many as suit the products.
  private static func tilesPerStrip(channels: Int, tiles: Int, secondLevelCache: Int, wide: Int) -> Int {
    let bytesPerTile = 2 * 64 * channels * laneCount * 4
    let fitting = secondLevelCache / bytesPerTile
    return min(max(1, tiles), fitting < 3 ? wide : fitting)
  }
}
