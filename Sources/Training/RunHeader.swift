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
  ///   - block: The ranks that have one copy of the parameters; nil where each has its own.
  ///   - kernels: The name of those in use.
  ///   - openBLAS: Rank 0's; nil on other ranks.
  init(
    _ configuration: Configuration, data: TrainingData, layout: ParameterLayout, hosts: HostReport, block: HostBlock?,
    kernels: String, openBLAS: OpenBLAS?
  ) {
    let ranks = hosts.ranks.count
    let recipe = configuration.training
    let model = configuration.model
    let shape = data.train.shape
    let threads = configuration.distributed.threads
    let wire = configuration.distributed.wirePrecision
    let blas = openBLAS.map { ", OpenBLAS \($0.coreName) on \(count($0.threadCount, "thread"))" } ?? ""
    let places = hosts.places.map { (name: "hosts", text: $0) }
    facts =
      [
        (
          "ranks",
          "\(ranks) on \(count(hosts.topology.hostCount, "host")), \(count(threads, "thread")) each, kernels \(kernels)"
            + blas + (ranks == 1 || wire == .float32 ? "" : ", gradients travel in \(wire.rawValue)")
            + ", " + Self.promise(configuration, ranks: ranks)
        )
      ] + places + [
        ("memory", hosts.memory + (block.map { ", parameters once for \($0.ranks.count) ranks" } ?? "")),
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

  /// For which numbers of ranks, or of threads in all, tensors are the same.
  static func promise(_ configuration: Configuration, ranks: Int) -> String {
    let (distribution, threads) = (configuration.distributed, configuration.distributed.threads)
    let counts = Minibatch.interchangeableRanks(batchSize: configuration.training.batchSize)
    guard distribution.reduction == .fixedOrder, distribution.wirePrecision == .float32,
      configuration.model.timesPerMinibatch == 1, counts.contains(ranks * threads), counts.count > 1
    else { return "sums depend on the number of ranks" }
    let list = counts.dropLast().map(String.init).joined(separator: ", ") + " and \(counts.last ?? 1)"
    return "the same bits for \(list) \(threads == 1 ? "ranks" : "threads in all")"
  }

  /// The lines.
  var lines: [String] { facts.map { $0.name.padding(toLength: 9, withPad: " ", startingAt: 0) + $0.text } }
}

/// "1 step", "2 steps".
func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
