internal import Datasets
internal import Diffusion
internal import KernelInterface
internal import Network
internal import Tensors

/// What one thread computes of a step: its images' forward process, forward and backward pass.
///
/// Its share of the minibatch is that of one rank among as many as there are threads in the whole job.
final class StepWorker {
  private let recipe: TrainingStep.Recipe
  private let dataset: ImageDataset
  private let reader: ImageReader
  private let forwardProcess: ForwardProcess
  private let dropout: Dropout?
  private let batch: DiffusedBatch
  private let images = LaneImages()
  private let times: AlignedBuffer<Int32>
  private let fullShare: Minibatch
  private let lastShare: Minibatch
  private let inputProfile: SectionProfile
  private let diffusionProfile: SectionProfile
  /// Seconds in which images were looked up, over all steps.
  private(set) var inputSeconds = 0.0
  /// The network, with this thread's workspace.
  let model: ReverseModel

  /// - Parameters:
  ///   - number: The thread's, over all ranks.
  ///   - count: All ranks' threads.
  ///   - transformedWeights, hidesMessages: As for `ReverseModel`.
  init(
    _ number: Int, of count: Int, recipe: TrainingStep.Recipe, dataset: ImageDataset, standardization: Standardization,
    schedule: NoiseSchedule, architecture: Architecture, layout: ParameterLayout,
    transformedWeights: TransformedWeights? = nil, hidesMessages: Bool = false, kernels: any KernelSet,
    profile: StepProfile?
  ) {
    self.recipe = recipe
    self.dataset = dataset
    reader = ImageReader(dataset, capacity: laneCount)
    inputProfile = SectionProfile(profile, "input")
    diffusionProfile = SectionProfile(profile, "forward process")
    fullShare = Minibatch(images: recipe.batchSize, batchSize: recipe.batchSize, rank: number, ranks: count)
    lastShare = Minibatch(
      images: dataset.count % recipe.batchSize, batchSize: recipe.batchSize, rank: number, ranks: count)
    let capacity = max(1, fullShare.groups.count, lastShare.groups.count)
    forwardProcess = ForwardProcess(
      schedule: schedule, scale: standardization.scale, shift: standardization.shift,
      elements: dataset.shape.elements, seed: recipe.seed, kernels: kernels)
    batch = DiffusedBatch(
      colors: architecture.colorCount, width: architecture.spatialWidth, basisCount: architecture.temporalBasisCount,
      groupCapacity: capacity)
    dropout = Dropout(rate: recipe.dropoutRate, seed: recipe.seed, architecture: architecture, kernels: kernels)
    model = ReverseModel(
      architecture, layout: layout, kernels: kernels, groupCapacity: capacity, partCapacity: fullShare.parts.count,
      forTraining: true, transformedWeights: transformedWeights, dropout: dropout, hidesMessages: hidesMessages,
      profile: profile)
    times = AlignedBuffer(count: recipe.batchSize)
  }

  /// Computes this thread's gradient.
  ///
  /// - Parameters:
  ///   - parameters: The model's, which it has been prepared for.
  ///   - step, positions, order: As for `TrainingStep.take`.
  ///   - report: Told of every range that is complete, and every now and then.
  /// - Returns: This thread's part of the minibatch's J, in bits/pixel.
  func gradient(
    _ parameters: FloatBuffer, step: Int, positions: Range<Int>, order: [Int32], into gradient: some GradientStorage,
    report: (GradientProgress) -> Void
  ) -> Double {
    let share = positions.count == recipe.batchSize ? fullShare : lastShare
    let draws = model.architecture.timesPerMinibatch
    var objective = 0.0
    for draw in 0..<draws {
      let noiseStep = step * draws + draw
      diffuse(share, positions, order, noiseStep: noiseStep, draws: draws)
      dropout?.begin(step: noiseStep)
      model.gradient(parameters, batch: batch, parts: share.parts, gradient: gradient, accumulating: draw > 0) {
        progress in
        // Only the last draw's additions complete a range.
        if case .completed = progress, draw < draws - 1 { return }
        report(progress)
      }
      objective += objectiveSum(share) / Double(positions.count * draws)
    }
    return objective
  }

  /// Forward process of this thread's share, with a t for every image of the global minibatch.
  private func diffuse(
    _ share: Minibatch, _ positions: Range<Int>, _ order: [Int32], noiseStep: Int, draws: Int
  ) {
    inputProfile.begin()
    recipe.timeSampling.draw(
      count: positions.count, trajectoryLength: model.architecture.trajectoryLength, seed: recipe.seed,
      step: noiseStep, into: times.elements)
    let weight = forwardProcess.schedule.objectiveWeight(
      images: positions.count * draws, pixels: dataset.shape.height * dataset.shape.width)
    let stepsPerEpoch = Minibatch.count(imageCount: dataset.count, batchSize: recipe.batchSize)
    let epoch = noiseStep / draws / stepsPerEpoch
    for (group, range) in share.groups.enumerated() {
      inputProfile.begin()
      let start = ContinuousClock.now
      images.count = 0
      for (lane, position) in range.enumerated() {
        let index = Int(order[positions.lowerBound + position])
        // The same place of the next minibatch.
        if positions.upperBound + position < order.count {
          reader.willNeed(Int(order[positions.upperBound + position]))
        }
        images.append(
          pixels: reader.image(at: index, visit: epoch, place: lane), index: index, time: Int(times[position]))
      }
      inputSeconds += start.duration(to: .now).seconds
      diffusionProfile.begin()
      forwardProcess.diffuse(images, step: noiseStep, gradientWeight: Float(weight), into: batch, group: group)
    }
  }

  /// Σ J over this thread's images, in bits/pixel.
  private func objectiveSum(_ share: Minibatch) -> Double {
    var sum = 0.0
    for (group, range) in share.groups.enumerated() {
      for lane in 0..<range.count {
        sum += forwardProcess.schedule.objective(
          divergence: batch.divergence[group * laneCount + lane], colors: batch.colors,
          pixels: batch.width * batch.width)
      }
    }
    return sum
  }
}
