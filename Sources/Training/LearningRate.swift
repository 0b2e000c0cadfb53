internal import Foundation

/// The learning rate as a function of where a run stands (MODEL.md, "Training recipe").
public struct LearningRate: Equatable, Sendable {
  private let start: Double
  private let decay: Double
  private let floor: Double
  private let warmupSteps: Int

  /// Takes the recipe's four numbers.
  public init(_ recipe: Configuration.Training) {
    start = recipe.learningRate
    decay = recipe.learningRateDecay
    // A rate that starts below the floor stays what it is.
    floor = min(recipe.learningRateFloor, recipe.learningRate)
    warmupSteps = recipe.warmupSteps
  }

  /// The rate of a step: multiplied by `decay` after every epoch, never below the floor, rising over the first steps.
  ///
  /// - Parameters:
  ///   - epoch: Epochs completed before.
  ///   - step: Steps taken before.
  public func rate(epoch: Int, step: Int) -> Double {
    let rate = max(start * pow(decay, Double(epoch)), floor)
    return step < warmupSteps ? rate * Double(step + 1) / Double(warmupSteps) : rate
  }
}
