import KernelInterface
import Tensors

/// One 3×3 convolution ("same", zero padding) at one resolution, with its three passes.
///
/// Images are bordered, [channels][W + 2][W + 2][16]: the zero padding is in memory, so no pass has a special case for
/// edges. A pointer to an image is to the first float of its border. Uses Winograd's algorithm where it applies; else the
/// sums are taken directly, as products whose depth runs over (channel, ky, kx).
final class Convolution3x3 {
  let inputs: Int
  let outputs: Int
  let width: Int
  private let kernels: any KernelSet
  private let profile: LayerProfile
  private let winograd: WinogradConvolution?
  private let workspace: WinogradWorkspace
  private let weightOffset: Int
  private let biasOffset: Int
  /// Weights of the input gradient: [inputs][outputs][3][3], both spatial axes reversed; empty where it is not wanted.
  private let reversedWeights: FloatBuffer
  /// The input gradient before it takes its place.
  private let inputGradient: FloatBuffer
  /// Sums of the weights' gradient, as `WeightGradient` keeps them, and of the bias's, [outputs][16].
  private let weightSums: FloatBuffer
  private let biasSums: FloatBuffer
  private let forwardOffsets: AlignedBuffer<Int32>
  private let backwardOffsets: AlignedBuffer<Int32>

  /// - Parameters:
  ///   - hasInputGradient: Whether `backward` gives it; there are then as many outputs as inputs.
  ///   - transformedWeights: Nil where Winograd's algorithm does not apply.
  init(
    inputs: Int, outputs: Int, width: Int, weight: ParameterLayout.Entry, bias: ParameterLayout.Entry,
    hasInputGradient: Bool, transformedWeights: TransformedWeights.Layer?, workspace: WinogradWorkspace,
    kernels: any KernelSet, profile: LayerProfile
  ) {
    precondition(inputs == outputs || !hasInputGradient, "one gradient takes the place of the other")
    self.profile = profile
    self.inputs = inputs
    self.outputs = outputs
    self.width = width
    self.kernels = kernels
    self.workspace = workspace
    weightOffset = weight.offset
    biasOffset = bias.offset
    winograd = WinogradConvolution(
      inputs: inputs, outputs: outputs, width: width, transformedWeights: transformedWeights, workspace: workspace,
      kernels: kernels, profile: profile)
    let usesWinograd = winograd != nil
    reversedWeights = FloatBuffer(count: usesWinograd || !hasInputGradient ? 0 : weight.count)
    inputGradient = FloatBuffer(count: usesWinograd || !hasInputGradient ? 0 : bordered(inputs, width))
    weightSums = FloatBuffer(
      count: usesWinograd ? 0 : WeightGradient.sumCount(outputs: outputs, inputs: inputs * 9))
    biasSums = FloatBuffer(count: bias.count * laneCount)
    forwardOffsets = Self.offsets(channels: usesWinograd ? 0 : inputs, width: width)
    backwardOffsets = Self.offsets(channels: usesWinograd || !hasInputGradient ? 0 : outputs, width: width)
  }

  /// Where the neighbour (ky, kx) of a row's first pixel lies in channel c, for depth (c, ky, kx).
  private static func offsets(channels: Int, width: Int) -> AlignedBuffer<Int32> {
    let rowStride = (width + 2) * laneCount
    let offsets = AlignedBuffer<Int32>(count: channels * 9)
    for channel in 0..<channels {
      for tap in 0..<9 {
        let offset = channel * (width + 2) * rowStride + tap / 3 * rowStride + tap % 3 * laneCount
        offsets[channel * 9 + tap] = Int32(offset)
      }
    }
    return offsets
  }

  private var rowStride: Int { (width + 2) * laneCount }
  private var planeStride: Int { (width + 2) * rowStride }
  /// From the start of row y's border to its first pixel.
  private func interior(_ y: Int) -> Int { (y + 1) * rowStride + laneCount }

  /// Derives what the passes need from new parameters.
  func prepare(_ parameters: UnsafePointer<Float>) {
    let weights = parameters + weightOffset
    if let winograd {
      winograd.prepare(weights: weights)
      return
    }
    guard reversedWeights.count > 0 else { return }
    for output in 0..<outputs {
      for input in 0..<inputs {
        for tap in 0..<9 {
          reversedWeights.pointer[(input * outputs + output) * 9 + 8 - tap] =
            weights[(output * inputs + input) * 9 + tap]
        }
      }
    }
  }

  /// output = leakyReLU(weights ⋆ input + bias).
  func forward(
    _ parameters: UnsafePointer<Float>, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>,
    kernels: any KernelSet
  ) {
    profile.forward()
    if let winograd {
      winograd.forward(input: input, bias: parameters + biasOffset, output: output, kernels: kernels)
      return
    }
    for y in 0..<width {
      kernels.product(
        Product(
          weights: parameters + weightOffset, rowStride: inputs * 9, depthStride: 1,
          inputs: input + y * rowStride, offsets: forwardOffsets.pointer, columnStride: laneCount,
          outputs: output + interior(y), outputRowStride: planeStride, outputColumnStride: laneCount,
          rows: outputs, depth: inputs * 9, columns: width, epilogue: .biasLeakyReLU(parameters + biasOffset)))
    }
  }

  /// Adds the gradients of weights and bias of 16 images to the lane sums, or to `partGradient`, and gives that of the input.
  ///
  /// - Parameters:
  ///   - gradient: That of the output, which that of the input replaces. Its border is zero or, behind Winograd's pass, not
  ///     read.
  ///   - output: What `forward` gave, where the gradient has yet to pass the activation; nil where it is that of the
  ///     sums already.
  ///   - partGradient: The canonical part's gradient, as `flush` is given.
  ///   - working: Called every now and then.
  func backward(
    input: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, output: UnsafePointer<Float>?,
    partGradient: UnsafeMutablePointer<Float>, kernels: any KernelSet, working: () -> Void
  ) {
    profile.weightGradient()
    if let winograd {
      winograd.backward(
        input: input, gradient: gradient, output: output, biasSums: biasSums.pointer,
        weightGradient: partGradient + weightOffset, kernels: kernels, working: working)
      return
    }
    defer { working() }
    for y in 0..<width {
      if let output {
        for channel in 0..<outputs {
          let row = channel * planeStride + interior(y)
          kernels.applyLeakyReLUGradient(
            activations: output + row, gradient: gradient + row, count: width * laneCount)
        }
      }
      kernels.addColumns(
        gradient + interior(y), rowStride: planeStride, columnStride: laneCount, rows: outputs, columns: width,
        sums: biasSums.pointer)
      kernels.addWeightGradient(
        WeightGradient(
          gradients: gradient + interior(y), rowStride: planeStride, inputs: input + y * rowStride,
          offsets: forwardOffsets.pointer, columnStride: laneCount, outputCount: outputs, inputCount: inputs * 9,
          columns: width, sums: weightSums.pointer, scratch: workspace.gradientScratch.pointer))
    }
    guard inputGradient.count > 0 else { return }
    profile.inputGradient()
    for y in 0..<width {
      kernels.product(
        Product(
          weights: reversedWeights.pointer, rowStride: outputs * 9, depthStride: 1,
          inputs: gradient + y * rowStride, offsets: backwardOffsets.pointer, columnStride: laneCount,
          outputs: inputGradient.pointer + interior(y), outputRowStride: planeStride, outputColumnStride: laneCount,
          rows: inputs, depth: outputs * 9, columns: width, epilogue: .store))
    }
    gradient.update(from: inputGradient.pointer, count: inputGradient.count)
  }

  /// Adds the lane sums to the gradient and starts new ones: the end of a canonical part.
  func flush(into gradient: UnsafeMutablePointer<Float>) {
    profile.weightGradient()
    kernels.addLanes(biasSums.pointer, count: outputs, into: gradient + biasOffset)
    biasSums.fill(0)
    if let winograd {
      winograd.flush(into: gradient + weightOffset)
      return
    }
    kernels.addQuads(weightSums.pointer, outputs: outputs, inputs: inputs * 9, into: gradient + weightOffset)
    weightSums.fill(0)
  }
}
