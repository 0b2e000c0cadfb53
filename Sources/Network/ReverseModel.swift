public import Diffusion
public import KernelInterface
public import Tensors

/// How far the computation of a gradient has come.
public enum GradientProgress {
  /// A range of the gradient, one of `ReverseModel.gradientRanges`, will not change any more.
  case completed(Range<Int>)
  /// Some work has been done: an occasion to look after messages.
  case working
  /// What comes next needs all `TransformedWeights`: an occasion to wait for other models' shares.
  case needsTransformedWeights
}

/// The network of the reverse process: x_t and t to the readouts m and g, and the gradients of the objective.
///
/// Composes the branches over lane groups of 16 images. The dense branch runs over all groups at once; the convolutional
/// and upper branches run forward and backward group by group, so that activations never leave the caches. Where gradients travel
/// to other hosts, the last group's convolutions run backward after the dense branch, whose gradients are 97 % of the bytes.
public final class ReverseModel {
  /// The sizes it was built for.
  public let architecture: Architecture
  /// Where its parameters lie.
  public let layout: ParameterLayout
  private let kernels: any KernelSet
  private let halfKernels: any KernelSet
  private let dropout: Dropout?
  /// The dense branch's own copy of x_t, to drop values from; empty without dropout.
  private let droppedImages: FloatBuffer
  private let convolutions: ConvolutionBranch
  private let dense: DenseBranch?
  private let upper: UpperBranch
  /// For few images; nil in training, and where it does not apply.
  private let planar: PlanarPass?
  /// The concatenated features of a lane group, bordered [upper inputs][W + 2][W + 2][16].
  private let features: FloatBuffer
  /// Their gradient, which takes their place where nothing is dropped.
  private let featureGradient: FloatBuffer
  /// [group][H·W·outputs][16].
  private let denseGradients: FloatBuffer
  private let partSum: CanonicalSum
  /// The parameters behind the dense branch's: those whose gradients are summed a lane group at a time.
  private let narrowRange: Range<Int>
  /// Whether the dense branch's gradients come before those of the last group's convolutions.
  private let hidesMessages: Bool
  private let preparation: SectionProfile
  private let copying: SectionProfile
  private let summing: SectionProfile

  /// The gradient's ranges, in the order in which `gradient` completes them; together the whole layout.
  ///
  /// The dense branch's are completed a layer's piece at a time, and their exchange hides behind the next layer's: behind the few
  /// others or, to hide messages, before them.
  public var gradientRanges: [Range<Int>] {
    let denseRanges = dense?.gradientRanges ?? []
    return hidesMessages ? denseRanges + [narrowRange] : [narrowRange] + denseRanges
  }

  /// Allocates everything that a pass needs.
  ///
  /// - Parameters:
  ///   - groupCapacity: Lane groups of the largest minibatch.
  ///   - partCapacity: Its canonical parts.
  ///   - forTraining: Whether `gradient` will be called.
  ///   - isForSamples: Whether the same images are computed hundreds of times, without training: then few of them are worth a
  ///     second copy of the dense weights.
  ///   - transformedWeights: What it has in common with other models; nil for its own.
  ///   - dropout: Drops inputs of layers in training; nil for none.
  ///   - hidesMessages: Whether the exchange of the dense branch's gradients is to hide behind the last lane group's convolutions
  ///     too. Ranks of one host, which wait for each other there, do without.
  ///   - secondLevelCache: Bytes of the L2 cache, for which work is cut; no bit hangs on it.
  ///   - profile: Where to note times; nil for nowhere.
  public init(
    _ architecture: Architecture, layout: ParameterLayout, kernels: any KernelSet, groupCapacity: Int,
    partCapacity: Int, forTraining: Bool, isForSamples: Bool = false, transformedWeights: TransformedWeights? = nil,
    dropout: Dropout? = nil, hidesMessages: Bool = false,
    secondLevelCache: Int = CPU.secondLevelCacheBytes, profile: StepProfile? = nil
  ) {
    preparation = SectionProfile(profile, "transformed weights")
    copying = SectionProfile(profile, "copies between branches")
    summing = SectionProfile(profile, "sums of canonical parts")
    self.dropout = dropout
    self.hidesMessages = hidesMessages
    self.architecture = architecture
    self.layout = layout
    self.kernels = kernels
    halfKernels = KernelChoice.forHalfGroups(kernels)
    let transformedWeights = transformedWeights ?? TransformedWeights(architecture)
    convolutions = ConvolutionBranch(
      architecture, layout: layout, transformedWeights: transformedWeights,
      forTraining: forTraining, hasDropout: dropout != nil, secondLevelCache: secondLevelCache, kernels: kernels,
      profile: profile)
    let images = groupCapacity * bordered(architecture.colorCount, architecture.spatialWidth)
    droppedImages = FloatBuffer(count: dropout == nil || !architecture.hasDenseBranch ? 0 : images)
    dense = DenseBranch(
      architecture, layout: layout, groupCapacity: groupCapacity, partCapacity: partCapacity, forTraining: forTraining,
      kernels: kernels, profile: profile)
    let upper = UpperBranch(architecture, layout: layout, kernels: kernels, profile: profile)
    self.upper = upper
    planar =
      forTraining
      ? nil
      : PlanarPass(
        architecture, layout: layout, transformedWeights: transformedWeights, upper: upper,
        hasDenseBranch: isForSamples, kernels: kernels)
    features = FloatBuffer(count: bordered(architecture.upperInputs, architecture.spatialWidth))
    // Masks of dropout are read off the features once their gradient is there.
    featureGradient = dropout == nil ? features : FloatBuffer(count: features.count)
    let denseOutputs = architecture.denseLowerWidths.last ?? 0
    denseGradients = FloatBuffer(count: forTraining ? groupCapacity * denseOutputs * laneCount : 0)
    narrowRange = layout.entry("dense_upper.\(architecture.denseUpperLayers - 1).weight").offset..<layout.count
    partSum = CanonicalSum(
      count: forTraining ? narrowRange.count : 0, parts: forTraining ? partCapacity : 1, kernels: kernels)
  }

  /// Derives what the passes need from new parameters, of `TransformedWeights` its share; to be called after every change of them.
  public func prepare(_ parameters: FloatBuffer) {
    preparation.begin()
    convolutions.prepare(parameters.pointer)
    upper.prepare(parameters.pointer)
    planar?.prepare()
  }

  /// Computes the objective and its gradient for a rank's part of a minibatch.
  ///
  /// - Parameters:
  ///   - parameters: Laid out by `layout`, and `prepare`d.
  ///   - batch: The diffused images; its `divergence` receives every image's KL.
  ///   - parts: Lane groups of each canonical part, in order; empty parts count.
  ///   - gradient: Receives Σ weight·∂KL over all images, by `gradientRanges`.
  ///   - accumulating: Whether the gradient is added to what is there (several draws of t).
  ///   - report: Told of every range that is complete, and every now and then.
  public func gradient(
    _ parameters: FloatBuffer, batch: DiffusedBatch, parts: [Range<Int>], gradient: some GradientStorage,
    accumulating: Bool, report: (GradientProgress) -> Void
  ) {
    let groups = parts.last?.upperBound ?? 0
    precondition(groups <= batch.groupCapacity, "buffers are too small")
    let denseImages = dropout == nil || dense == nil ? batch.noisy : droppedImages
    if let dropout, let dense {
      droppedImages.pointer.update(from: batch.noisy.pointer, count: groups * batch.noisyStride)
      dense.forward(
        parameters.pointer, noisy: droppedImages.pointer, groups: groups,
        dropout: (dropout, UnsafePointer(batch.indices.pointer)))
    } else {
      dense?.forward(parameters.pointer, noisy: batch.noisy.pointer, groups: groups)
    }
    report(.needsTransformedWeights)
    batch.divergence.fill(0)
    func denseBackward() {
      dense?.backward(
        parameters.pointer, noisy: denseImages.pointer, outputGradients: denseGradients.pointer, parts: parts,
        gradient: gradient, accumulating: accumulating, dropout: dropout, report: report)
    }
    for part in parts {
      summing.begin()
      partSum.add(count: narrowRange.count) { sums in
        sums.update(repeating: 0, count: narrowRange.count)
        // Branches address the whole layout; of it only the narrow range is there.
        let partGradient = sums - narrowRange.lowerBound
        for group in part {
          trainUpperBranch(group, parameters, batch)
          let isLast = hidesMessages && group == groups - 1
          if isLast { denseBackward() }
          convolutions.backward(
            noisy: batch.noisy.pointer + group * batch.noisyStride, featureGradient: featureGradient.pointer,
            partGradient: partGradient, dropout: dropout, kernels: kernels(for: group, of: batch)
          ) { if isLast { report(.working) } }
        }
        convolutions.flush(into: partGradient)
        upper.flush(into: partGradient)
        summing.begin()
      }
    }
    if hidesMessages && groups == 0 { denseBackward() }
    let narrowGradient = gradient.place(narrowRange)
    summing.begin()
    partSum.finish(into: narrowGradient, count: narrowRange.count, accumulating: accumulating)
    report(.completed(narrowRange))
    if !hidesMessages { denseBackward() }
  }

  /// The forward pass of a group, and the backward pass down to its features.
  private func trainUpperBranch(_ group: Int, _ parameters: FloatBuffer, _ batch: DiffusedBatch) {
    let noisy = UnsafePointer(batch.noisy.pointer + group * batch.noisyStride)
    let masks = dropout.map { (masks: $0, indices: UnsafePointer(batch.indices.pointer + group * laneCount)) }
    let kernels = kernels(for: group, of: batch)
    computeFeatures(group, parameters, noisy, masks, kernels)
    if let masks {
      masks.masks.apply(
        features.pointer, elements: features.count / laneCount, site: .denseUpper(0, row: 0), indices: masks.indices)
    }
    upper.train(
      parameters.pointer, features: features.pointer, featureGradient: featureGradient.pointer,
      basis: batch.basis(group), target: batch.target(group), coefficients: batch.coefficients(group),
      divergence: batch.divergence.pointer + group * laneCount, dropout: masks, kernels: kernels)
    dropout?.applyGradient(
      dropped: features.pointer, gradient: featureGradient.pointer, count: features.count)
    guard dense != nil else { return }
    let outputs = architecture.denseLowerOutputs
    let pixels = architecture.spatialWidth * architecture.spatialWidth
    copying.begin()
    let computed = kernels.lanes
    let gradients = denseGradients.pointer + group * pixels * outputs * laneCount
    copyDenseChannels { channel, pixel, output in
      let lanes = gradients + output * laneCount
      lanes.update(from: featureGradient.pointer + channel + pixel, count: laneCount)
      // Lanes that were not computed hold another group's.
      if computed < laneCount { (lanes + computed).update(repeating: 0, count: laneCount - computed) }
    }
  }

  /// What computes a group: half of its lanes where no more hold images.
  private func kernels(for group: Int, of batch: DiffusedBatch) -> any KernelSet {
    batch.imageCounts[group] <= halfKernels.lanes ? halfKernels : kernels
  }

  /// Fills `features`: the convolutions' channels, then the dense branch's.
  private func computeFeatures(
    _ group: Int, _ parameters: FloatBuffer, _ noisy: UnsafePointer<Float>,
    _ dropout: (masks: Dropout, indices: UnsafePointer<UInt32>)? = nil, _ kernels: any KernelSet
  ) {
    convolutions.forward(
      parameters.pointer, noisy: noisy, features: features.pointer, dropout: dropout, kernels: kernels)
    guard let dense else { return }
    copying.begin()
    let output = dense.output(group: group)
    copyDenseChannels { channel, pixel, index in
      (features.pointer + channel + pixel).update(from: output + index * laneCount, count: laneCount)
    }
  }

  /// Visits the dense branch's values: (offset of the channel's plane, offset of the pixel, index in [H][W][outputs]).
  @inline(__always)
  private func copyDenseChannels(_ visit: (Int, Int, Int) -> Void) {
    let width = architecture.spatialWidth
    let outputs = architecture.denseLowerOutputs
    for output in 0..<outputs {
      let channel = (architecture.convolutionChannels + output) * bordered(1, width)
      for y in 0..<width {
        for x in 0..<width {
          visit(channel, ((y + 1) * (width + 2) + x + 1) * laneCount, (y * width + x) * outputs + output)
        }
      }
    }
  }

  /// Computes the readouts m and g of lane groups of images: sampling and evaluation.
  ///
  /// - Parameters:
  ///   - batch: Its `noisy` images and temporal `basis` are read.
  ///   - groups: How many lane groups.
  ///   - readouts: Receives [group][2·C][H·W][16]: for each colour m, then g.
  public func readouts(_ parameters: FloatBuffer, batch: DiffusedBatch, groups: Int, into readouts: FloatBuffer) {
    let stride = 2 * batch.targetStride
    precondition(groups <= batch.groupCapacity && readouts.count >= groups * stride, "buffers are too small")
    guard groups > 0 else { return }
    func isPlanar(_ group: Int) -> Bool { batch.imageCounts[group] <= planar?.mostImages ?? 0 }
    let isLastApart = planar?.hasDenseBranch == true && isPlanar(groups - 1)
    let denseGroups = isLastApart ? groups - 1 : groups
    if denseGroups > 0 { dense?.forward(parameters.pointer, noisy: batch.noisy.pointer, groups: denseGroups) }
    for group in 0..<groups {
      let noisy = batch.noisy.pointer + group * batch.noisyStride
      let readouts = readouts.pointer + group * stride
      let kernels = kernels(for: group, of: batch)
      // Lanes that are not computed read zero.
      if kernels.lanes < laneCount || isPlanar(group) { readouts.update(repeating: 0, count: stride) }
      if let planar, isPlanar(group) {
        planar.readouts(
          parameters.pointer, images: batch.imageCounts[group], noisy: noisy,
          dense: group < denseGroups ? dense?.output(group: group) : nil, basis: batch.basis(group), into: readouts)
      } else {
        computeFeatures(group, parameters, noisy, nil, kernels)
        upper.forward(
          parameters.pointer, features: features.pointer, basis: batch.basis(group), readouts: readouts,
          kernels: kernels)
      }
    }
  }
}
