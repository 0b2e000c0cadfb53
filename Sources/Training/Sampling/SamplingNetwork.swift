internal import Diffusion
internal import Network
internal import Tensors

/// A network with its parameters, as the sampler asks it.
final class SamplingNetwork: ReadoutNetwork {
  private let model: ReverseModel
  private let parameters: FloatBuffer

  init(_ model: ReverseModel, parameters: FloatBuffer) {
    self.model = model
    self.parameters = parameters
    model.prepare(parameters)
  }

  func readouts(batch: DiffusedBatch, groups: Int, into readouts: FloatBuffer) {
    model.readouts(parameters, batch: batch, groups: groups, into: readouts)
  }
}
