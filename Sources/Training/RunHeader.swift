internal import Collectives
internal import Datasets
internal import Diffusion
internal import Foundation
internal import Network
internal import Tensors

/// What a reader of the log wants to know first: a name and a text a line.
struct RunHeader {
  let facts: [(name: String, text: String)]

  /// - Parameters:
  ///   - hosts: Where the ranks run, and what they have there.
  ///   - kernels: The name of those in use.
  ///   - openBLAS: Rank 0's; nil where the run did not need it.
  init(
    _ configuration: Configuration, data: TrainingData, layout: ParameterLayout, hosts: HostReport, kernels: String,
    openBLAS: OpenBLAS?
  ) {
    let ranks = hosts.ranks.count
    let recipe = configuration.training
    let model = configuration.model
    let shape = data.train.shape
    let threads = configuration.distributed.threads
    let wire = configuration.distributed.wirePrecision
    let isReproducible =
      configuration.distributed.reduction == .fixedOrder && wire == .float32 && model.timesPerMinibatch == 1
      && Minibatch.isReproducible(batchSize: recipe.batchSize, ranks: ranks * threads)
    let blas = openBLAS.map { ", OpenBLAS \($0.coreName) on \(count($0.threadCount, "thread"))" } ?? ""
    let places = hosts.places.map { (name: "hosts", text: $0) }
    facts =
      [
        (
          "ranks",
          "\(ranks) on \(count(hosts.topology.hostCount, "host")), \(count(threads, "thread")) each, kernels \(kernels)"
            + blas + (ranks == 1 || wire == .float32 ? "" : ", gradients travel in \(wire.rawValue)")
            + (isReproducible ? ", the same bits for 1, 2, 4 and 8 ranks" : ", sums depend on the number of ranks")
        )
      ] + places + [
        ("memory", hosts.memory),
        (
          "data",
          "\(data.train.name): \(data.train.count) images of \(shape.colors)×\(shape.height)×\(shape.width) to train "
            + "on, \(data.test.count) to test"
        ),
        (
          "model",
          "\(layout.parameterCount) parameters, "
            + String(format: "%.1f MFLOP", Double(model.trainingOperations) / 1e6) + " an image and step, T = "
            + "\(model.trajectoryLength)"
        ),
        (
          "recipe",
          "\(recipe.optimizer.rawValue), lr \(recipe.learningRate), batch \(recipe.batchSize), t "
            + "\(recipe.timeSampling.rawValue), seed \(recipe.seed)"
        ),
      ]
  }

  /// The lines.
  var lines: [String] { facts.map { $0.name.padding(toLength: 9, withPad: " ", startingAt: 0) + $0.text } }
}

/// "1 step", "2 steps".
func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
