internal import Collectives
internal import Diffusion
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

// What training, benchmarks, evaluations and drawings make of a configuration, all in one way.

extension Communicator {
  /// The kernels of this rank's CPU, or those that the environment's DPM_SIMD names; collective.
  ///
  /// - Throws: `InputError` where the CPU cannot run them, the same on all ranks.
  func chooseKernels() throws -> any KernelSet {
    try agree("choose the kernels") {
      try KernelChoice.kernels(requested: ProcessInfo.processInfo.environment["DPM_SIMD"])
    }
  }
}

extension NoiseSchedule {
  /// An architecture's schedule.
  init(_ architecture: Architecture) {
    self.init(
      trajectoryLength: architecture.trajectoryLength, temporalBasisCount: architecture.temporalBasisCount,
      firstStepBeta: architecture.firstStepBeta)
  }
}

extension TrainingStep.Recipe {
  /// What a configuration says of a step.
  init(_ configuration: Configuration) {
    let (training, distributed) = (configuration.training, configuration.distributed)
    self.init(
      batchSize: training.batchSize, timeSampling: training.timeSampling, dropoutRate: training.dropoutRate,
      seed: training.seed, reduction: distributed.reduction, wirePrecision: distributed.wirePrecision)
  }
}
