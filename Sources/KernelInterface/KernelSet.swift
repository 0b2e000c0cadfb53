/// One build of the kernels: what the network is computed with, on 16 images at a time.
///
/// Kernels take raw pointers, allocate nothing and check nothing: their callers (Network, Diffusion, Training) own the
/// memory and check shapes once. Every conformer computes the same sums in the same order; those with fused multiply-add
/// (`avx2`, `avx512`) give the same bits.
public protocol KernelSet: Sendable {
  /// `portable`, `avx2` or `avx512`.
  var name: String { get }
  /// Lanes that products, gradients and transforms compute of every group: 16, or the first 8 where no more hold images.
  var lanes: Int { get }
  /// Tiles of Winograd's strips where the L2 cache holds none: what products' register tiles take evenly, and enough for
  /// the weights and their gradient's sums, which pass by once a strip.
  var tilesPerWideStrip: Int { get }

  // MARK: Products

  /// Computes `outputs = weights · inputs`; see `Product`.
  func product(_ product: Product)
  /// Computes a product with weights of each lane's own; see `LaneProduct`.
  func laneProduct(_ product: LaneProduct)
  /// Adds lane-wise dot products of rows; see `LaneDot`.
  func laneDot(_ dot: LaneDot)
  /// Adds a weight gradient to its sums; see `WeightGradient`.
  func addWeightGradient(_ gradient: WeightGradient)
  /// totals[output][input] += both sums of `WeightGradient`.
  func addQuads(
    _ sums: UnsafePointer<Float>, outputs: Int, inputs: Int, into totals: UnsafeMutablePointer<Float>)
  /// sums[i] += the 16 lanes of lanes[i], added by a fixed binary tree (i with i + 8, then + 4, + 2, + 1).
  func addLanes(_ lanes: UnsafePointer<Float>, count: Int, into sums: UnsafeMutablePointer<Float>)
  /// sums[row] += Σ of the row's columns, lane by lane: the gradient of a bias.
  func addColumns(
    _ input: UnsafePointer<Float>, rowStride: Int, columnStride: Int, rows: Int, columns: Int,
    sums: UnsafeMutablePointer<Float>)
  /// rows[lane][k] = 16 floats at columns + offsets[k], transposed: images from lanes into rows of features.
  func transposeLanes(
    _ columns: UnsafePointer<Float>, offsets: UnsafePointer<Int32>, count: Int, rows: UnsafeMutablePointer<Float>,
    rowStride: Int)

  // MARK: Winograd's convolution

  /// transformed = Bᵀ x B of every tile of a strip, [64][channels][tiles][lanes].
  func winogradInput(
    _ images: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, transformed: UnsafeMutablePointer<Float>)
  /// images = leakyReLU(Aᵀ m A + bias) of every tile of a strip.
  func winogradOutput(
    _ products: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, bias: UnsafePointer<Float>,
    images: UnsafeMutablePointer<Float>)
  /// transformed = A dy Aᵀ of every tile of a strip: the adjoint of `winogradOutput`'s sums.
  ///
  /// Where `activations` is given, dy is `gradients` times the leaky ReLU's derivative there.
  func winogradOutputAdjoint(
    _ gradients: UnsafePointer<Float>, activations: UnsafePointer<Float>?, channels: Int, strip: WinogradStrip,
    transformed: UnsafeMutablePointer<Float>)
  /// images = B v Bᵀ of every tile of a strip, the adjoint of `winogradInput`; strips come in order, row by row.
  func winogradInputAdjoint(
    _ transformed: UnsafePointer<Float>, channels: Int, strip: WinogradStrip, images: UnsafeMutablePointer<Float>)
  /// transformed = Bᵀ x B of tiles of one image, [64][channels][tiles]; `scratch` has `PlanarTiles.scratchCount` floats.
  func winogradInput(
    _ image: UnsafePointer<Float>, channels: Int, tiles: PlanarTiles, transformed: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>)
  /// image = leakyReLU(Aᵀ m A + bias) of tiles of one image; `scratch` has `PlanarTiles.scratchCount` floats.
  func winogradOutput(
    _ products: UnsafePointer<Float>, channels: Int, tiles: PlanarTiles, bias: UnsafePointer<Float>,
    image: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>)
  /// transformed[position][filter] = G g Gᵀ of filters [count][3][3], positions `positionStride` apart.
  func winogradWeights(
    _ weights: UnsafePointer<Float>, count: Int, transformed: UnsafeMutablePointer<Float>, positionStride: Int)
  /// gradient[output][input][3][3] += Gᵀ dU G, the adjoint of `winogradWeights`.
  func winogradWeightsAdjoint(
    _ transformed: UnsafePointer<Float>, positionStride: Int, outputStride: Int, outputs: Int, inputs: Int,
    gradient: UnsafeMutablePointer<Float>)

  // MARK: Random numbers

  /// Fills numbers[element][lane] with uniforms in (0, 1) from an element on, a multiple of 4; `numbers` has room for a multiple
  /// of 4 elements.
  func uniforms(
    _ numbers: UnsafeMutablePointer<Float>, from first: Int, count: Int, indices: UnsafePointer<UInt32>, step: UInt32,
    key: SIMD2<UInt32>)
  /// Fills numbers[element][lane] with standard normals, as `uniforms` does.
  func normals(
    _ numbers: UnsafeMutablePointer<Float>, from first: Int, count: Int, indices: UnsafePointer<UInt32>, step: UInt32,
    key: SIMD2<UInt32>)

  // MARK: Diffusion

  /// clean = pixel · scale + shift + (u - ½) · width, with u in `clean` on entry; [elements][16].
  func gatherLanes(
    _ images: UnsafePointer<UnsafePointer<UInt8>>, elements: Int, scale: Float, shift: Float, width: Float,
    clean: UnsafeMutablePointer<Float>)
  /// x_t into a bordered image; the readout's target r takes the place of ε.
  func diffuse(
    clean: UnsafePointer<Float>, noise: UnsafeMutablePointer<Float>, noisy: UnsafeMutablePointer<Float>,
    colors: Int, height: Int, width: Int, coefficients: UnsafePointer<Float>)
  /// Replaces a row's readouts m and g by the objective's gradients; adds its KL, in nats, to `divergence`.
  func objective(
    mean: UnsafeMutablePointer<Float>, logit: UnsafeMutablePointer<Float>, target: UnsafePointer<Float>, columns: Int,
    inverseRootLength: Float, coefficients: UnsafePointer<Float>, divergence: UnsafeMutablePointer<Float>)
  /// Replaces a row's readouts m and g by μ_θ and σ_θ.
  func reverseMoments(
    mean: UnsafeMutablePointer<Float>, logit: UnsafeMutablePointer<Float>, image: UnsafePointer<Float>, columns: Int,
    inverseRootLength: Float, coefficients: UnsafePointer<Float>)

  // MARK: Resolutions of a multi-scale layer

  /// coarse = scale · (sum of each 2 × 2 block of fine); both bordered.
  func halve(
    _ fine: UnsafePointer<Float>, into coarse: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int,
    scale: Float)
  /// fine += scale · (each pixel of coarse, repeated 2 × 2); both bordered.
  func addDoubled(
    _ coarse: UnsafePointer<Float>, into fine: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int,
    scale: Float)
  /// Mean pooling of one image's planes, [channels][width + 2][width + 2]: `halve` by ¼, of one lane.
  func halvePlanes(
    _ fine: UnsafePointer<Float>, into coarse: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int)
  /// fine = factor · (fine + each pixel of coarse, repeated 2 × 2): `addDoubled`, then `scale`, of one lane.
  func addDoubledPlanes(
    _ coarse: UnsafePointer<Float>, into fine: UnsafeMutablePointer<Float>, channels: Int, coarseWidth: Int,
    factor: Float)
  /// output = factor · input; counts are multiples of 16.
  func scale(
    _ input: UnsafePointer<Float>, by factor: Float, into output: UnsafeMutablePointer<Float>, count: Int)
  /// gradient *= the leaky ReLU's derivative where its output was `activations`; counts are multiples of 16.
  func applyLeakyReLUGradient(
    activations: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int)

  /// values = 0 where uniforms < rate, else values/(1 - rate); counts are multiples of 16.
  func applyDropout(
    _ values: UnsafeMutablePointer<Float>, uniforms: UnsafePointer<Float>, count: Int, rate: Float)
  /// gradient = 0 where the value was dropped, else gradient/(1 - rate); counts are multiples of 16.
  func applyDropoutGradient(
    dropped: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int, rate: Float)

  /// Does nothing but multiply and add, to measure the CPU's peak.
  ///
  /// - Parameter result: Two factors on entry; receives a number, so that nothing is left out.
  /// - Returns: Floating-point operations done.
  func multiplyAddChains(rounds: Int, result: UnsafeMutablePointer<Float>) -> Int

  // MARK: Parameters

  /// Whether every element is finite.
  func isFinite(_ values: UnsafePointer<Float>, count: Int) -> Bool
  /// One step of RMSProp; a nil gradient stands for zero.
  func rmsProp(
    parameters: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>?,
    meanSquare: UnsafeMutablePointer<Float>, count: Int, learningRate: Float, decay: Float, floor: Float)
  /// One step of Adam; a nil gradient stands for zero.
  func adam(
    parameters: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>?,
    firstMoment: UnsafeMutablePointer<Float>, meanSquare: UnsafeMutablePointer<Float>, count: Int, rate: Float,
    beta1: Float, beta2: Float, epsilon: Float)
  /// average ← decay·average + (1 - decay)·parameters.
  func updateAverage(
    _ average: UnsafeMutablePointer<Float>, parameters: UnsafePointer<Float>, count: Int, decay: Float)
  /// sums += terms.
  func addArray(_ terms: UnsafePointer<Float>, into sums: UnsafeMutablePointer<Float>, count: Int)
}
