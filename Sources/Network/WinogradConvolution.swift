import KernelInterface
import Tensors

/// A 3×3 convolution by Winograd's F(4×4, 3×3): what `Convolution3x3` uses where whole 4×4 tiles cover the image.
///
/// Works in strips of tiles whose transforms, [36][channels][tiles][16], stay in the L2 cache. Rounding: 1.2e-6 relative
/// (20 channels) and 2.1e-6 (100), against 2e-7 and 6e-7 of the direct sums.
final class WinogradConvolution {
  private let inputs: Int
  private let outputs: Int
  private let width: Int
  private let kernels: any KernelSet
  private let tilesPerStrip: Int
  /// G g Gᵀ of the weights, [36][outputs][inputs].
  private let transformedWeights: FloatBuffer
  private let workspace: WinogradWorkspace
  /// Sums of the transformed weights' gradient over a canonical part.
  ///
  /// Narrow layers keep four sums apart, [36][outputs][inputs][4], which costs little while they fit the L2 cache; wide
  /// layers transpose their input and sum over lanes at once, [36][outputs][inputs rounded up to 16].
  private let gradientSums: FloatBuffer
  private let isWide: Bool
  private let profile: LayerProfile

  /// Whether tiles cover a layer of this shape and there are channels enough to pay for the transforms.
  static func isApplicable(inputs: Int, outputs: Int, width: Int) -> Bool {
    width % 4 == 0 && inputs >= 4 && outputs == inputs
  }

  init(
    inputs: Int, outputs: Int, width: Int, workspace: WinogradWorkspace, kernels: any KernelSet, profile: LayerProfile
  ) {
    self.profile = profile
    self.inputs = inputs
    self.outputs = outputs
    self.width = width
    self.workspace = workspace
    self.kernels = kernels
    transformedWeights = FloatBuffer(count: 36 * outputs * inputs)
    isWide = outputs * inputs > 1024
    gradientSums = FloatBuffer(
      count: 36 * outputs * (isWide ? Self.rowStride(inputs) : inputs * quarterCount))
    tilesPerStrip = workspace.tilesPerStrip(channels: max(inputs, outputs), width: width)
  }

  private static func rowStride(_ inputs: Int) -> Int { (inputs + laneCount - 1) / laneCount * laneCount }

  func prepare(weights: UnsafePointer<Float>) {
    kernels.winogradWeights(weights, outputs: outputs, inputs: inputs, transformed: transformedWeights.pointer)
  }

  private func forEachStrip(lanes: Int, _ body: (WinogradStrip) -> Void) {
    // As many floats whatever the lanes.
    let tilesPerStrip = tilesPerStrip * laneCount / lanes
    for tileRow in 0..<width / 4 {
      var tile = 0
      while tile < width / 4 {
        let count = min(tilesPerStrip, width / 4 - tile)
        body(
          WinogradStrip(
            width: width, tileRow: tileRow, firstTile: tile, tiles: count, scratch: workspace.scratch.pointer))
        tile += count
      }
    }
  }

  /// output = leakyReLU(weights ⋆ input + bias); images bordered.
  func forward(
    input: UnsafePointer<Float>, bias: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>, kernels: any KernelSet
  ) {
    forEachStrip(lanes: kernels.lanes) { strip in
      let column = strip.tiles * kernels.lanes
      let offsets = workspace.offsets(column: column)
      // A position's products take the place of the position's before, which have served: half the cache.
      let products = workspace.inputTiles.pointer
      let positionStride = strip.positionStride(channels: inputs, lanes: kernels.lanes)
      let tiles = products + positionStride
      kernels.winogradInput(input, channels: inputs, strip: strip, transformed: tiles)
      for position in 0..<36 {
        kernels.product(
          Product(
            weights: transformedWeights.pointer + position * outputs * inputs, rowStride: inputs, depthStride: 1,
            inputs: tiles + position * positionStride, offsets: offsets, columnStride: kernels.lanes,
            outputs: products + position * positionStride, outputRowStride: column, outputColumnStride: kernels.lanes,
            rows: outputs, depth: inputs, columns: strip.tiles, epilogue: .store))
      }
      kernels.winogradOutput(products, channels: outputs, strip: strip, bias: bias, images: output)
    }
  }

  /// Adds the weights' gradient of 16 images to the sums and gives the gradient of the input.
  ///
  /// - Parameters:
  ///   - outputGradient: Bordered; its border is not read.
  ///   - output: What `forward` gave, where the gradient has yet to pass the activation; nil where it has.
  ///   - result: Bordered; nil if not wanted. The border receives values without meaning.
  ///   - biasSums: [outputs][16]; the bias's gradient is added.
  func backward(
    input: UnsafePointer<Float>, outputGradient: UnsafePointer<Float>, output: UnsafePointer<Float>?,
    result: UnsafeMutablePointer<Float>?, biasSums: UnsafeMutablePointer<Float>, kernels: any KernelSet
  ) {
    let tiles = workspace.inputTiles.pointer
    let gradients = workspace.outputTiles.pointer
    forEachStrip(lanes: kernels.lanes) { strip in
      let column = strip.tiles * kernels.lanes
      let offsets = workspace.offsets(column: column)
      let positionStride = strip.positionStride(channels: inputs, lanes: kernels.lanes)
      profile.weightGradient()
      kernels.winogradOutputAdjoint(
        outputGradient, activations: output, channels: outputs, strip: strip, transformed: gradients)
      // Row 1 of A is (1, 1, 1, 1): position (1, 1) holds the sums of whole tiles.
      kernels.addColumns(
        gradients + 7 * positionStride, rowStride: column, columnStride: kernels.lanes, rows: outputs,
        columns: strip.tiles, sums: biasSums)
      kernels.winogradInput(input, channels: inputs, strip: strip, transformed: tiles)
      for position in 0..<36 {
        let inputTile = tiles + position * positionStride
        let gradient = gradients + position * positionStride
        profile.weightGradient()
        addWeightGradient(position, inputTile, gradient, strip.tiles, offsets, kernels)
        guard result != nil else { continue }
        profile.inputGradient()
        // The input's transform has served; its gradient takes its place.
        kernels.product(
          Product(
            weights: transformedWeights.pointer + position * outputs * inputs, rowStride: 1, depthStride: inputs,
            inputs: gradient, offsets: offsets, columnStride: kernels.lanes,
            outputs: inputTile, outputRowStride: column, outputColumnStride: kernels.lanes,
            rows: inputs, depth: outputs, columns: strip.tiles, epilogue: .store))
      }
      if let result { kernels.winogradInputAdjoint(tiles, channels: inputs, strip: strip, images: result) }
    }
  }

  private func addWeightGradient(
    _ position: Int, _ inputTile: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ tiles: Int,
    _ offsets: UnsafePointer<Int32>, _ kernels: any KernelSet
  ) {
    let column = tiles * kernels.lanes
    guard isWide else {
      kernels.laneDot(
        LaneDot(
          left: gradient, leftRowStride: column, leftColumnStride: kernels.lanes, leftRows: outputs,
          right: inputTile, rightOffsets: offsets, rightColumnStride: kernels.lanes, rightRows: inputs, columns: tiles,
          sums: gradientSums.pointer + position * outputs * inputs * quarterCount))
      return
    }
    let rowStride = Self.rowStride(inputs)
    let rows = workspace.rows.pointer
    // 16 terms of the depth at a time: the lanes of one tile, or of two.
    for first in stride(from: 0, to: column, by: laneCount) {
      kernels.transposeLanes(
        inputTile + first, offsets: offsets, count: inputs, rows: rows + first * rowStride, rowStride: rowStride)
    }
    // Its columns are features, not lanes: all 16 of them.
    self.kernels.product(
      Product(
        weights: gradient, rowStride: column, depthStride: 1,
        inputs: rows, offsets: workspace.rowOffsets(rowStride: rowStride), columnStride: laneCount,
        outputs: gradientSums.pointer + position * outputs * rowStride, outputRowStride: rowStride,
        outputColumnStride: laneCount, rows: outputs, depth: column, columns: rowStride / laneCount,
        epilogue: .accumulate))
  }

  /// Adds the sums to the weights' gradient and starts new ones.
  func flush(into weightGradient: UnsafeMutablePointer<Float>) {
    if isWide {
      let rowStride = Self.rowStride(inputs)
      kernels.winogradWeightsAdjoint(
        gradientSums.pointer, positionStride: outputs * rowStride, outputStride: rowStride, outputs: outputs,
        inputs: inputs, gradient: weightGradient)
    } else {
      let count = 36 * outputs * inputs
      let sums = workspace.outputTiles.pointer
      precondition(workspace.outputTiles.count >= count, "the workspace is too small for a narrow layer's sums")
      sums.update(repeating: 0, count: count)
      kernels.addQuarters(gradientSums.pointer, count: count, into: sums)
      kernels.winogradWeightsAdjoint(
        sums, positionStride: outputs * inputs, outputStride: inputs, outputs: outputs, inputs: inputs,
        gradient: weightGradient)
    }
    gradientSums.fill(0)
  }
}

/// Transformed tiles of one strip, shared by all layers of a branch: they are used one after the other.
final class WinogradWorkspace {
  fileprivate let inputTiles: FloatBuffer
  fileprivate let outputTiles: FloatBuffer
  fileprivate let scratch: FloatBuffer
  fileprivate let rows: FloatBuffer
  private let channelOffsets: [AlignedBuffer<Int32>]
  private let depthOffsets: AlignedBuffer<Int32>
  private let secondLevelCache: Int

  /// - Parameters:
  ///   - channels: Of the widest layer.
  ///   - width: Of the largest images.
  ///   - secondLevelCache: Bytes of the L2 cache.
  init(channels: Int, width: Int, secondLevelCache: Int) {
    self.secondLevelCache = secondLevelCache
    let tiles = Self.tilesPerStrip(channels: channels, width: width, secondLevelCache: secondLevelCache)
    let positionFloats = (channels * tiles + 1) * laneCount
    inputTiles = FloatBuffer(count: 37 * positionFloats)
    outputTiles = FloatBuffer(count: 36 * max(positionFloats, channels * min(channels, 1024 / channels + 1)))
    scratch = FloatBuffer(count: 6 * (4 * min(2 * tiles, width / 4) + 2) * laneCount)
    let rowStride = (channels + laneCount - 1) / laneCount * laneCount
    rows = FloatBuffer(count: tiles * laneCount * rowStride)
    channelOffsets = (0...2 * tiles).map { halves in
      let offsets = AlignedBuffer<Int32>(count: channels)
      for channel in 0..<channels { offsets[channel] = Int32(channel * halves * laneCount / 2) }
      return offsets
    }
    depthOffsets = AlignedBuffer(count: tiles * laneCount)
    for k in 0..<tiles * laneCount { depthOffsets[k] = Int32(k * rowStride) }
    depthRowStride = rowStride
  }
  private let depthRowStride: Int

  /// Where channel c of a position begins: c · column.
  ///
  /// - Parameter column: Floats of a channel at a position, a multiple of 8.
  fileprivate func offsets(column: Int) -> UnsafePointer<Int32> {
    UnsafePointer(channelOffsets[2 * column / laneCount].pointer)
  }

  /// k · rowStride.
  fileprivate func rowOffsets(rowStride: Int) -> UnsafePointer<Int32> {
    precondition(rowStride == depthRowStride, "wide layers share one width")
    return UnsafePointer(depthOffsets.pointer)
  }

  fileprivate func tilesPerStrip(channels: Int, width: Int) -> Int {
    Self.tilesPerStrip(channels: channels, width: width, secondLevelCache: secondLevelCache)
  }

  /// As many tiles of a row as let both transforms fit the L2 cache, but at least the four that fill the registers.
  private static func tilesPerStrip(channels: Int, width: Int, secondLevelCache: Int) -> Int {
    let bytesPerTile = 2 * 36 * channels * laneCount * 4
    return min(max(1, width / 4), max(4, secondLevelCache / bytesPerTile))
  }
}
