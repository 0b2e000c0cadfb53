internal import Tensors

/// Where the time of a step goes, layer by layer: what `dpm-benchmark --profile` prints.
public struct ProfileTable: Encodable, Sendable {
  /// One layer's pass, or another part of the step.
  public struct Entry: Encodable, Sendable {
    /// The layer, as its tensors are named in checkpoints, or another subject.
    public var name: String
    /// `forward`, `input_gradient`, `weight_gradient` or `whole`.
    public var pass: String
    /// Seconds of a step; the mean over all steps.
    public var seconds: Double
    /// 10⁹ operations a second, convolutions counted as direct ones; nil for what is not a layer's.
    public var gigaflops: Double?
  }

  /// All parts, layers first, in the order of the data's path.
  public var entries: [Entry]
  /// Seconds of a step; the mean, so that the parts add up to it.
  public var stepSeconds: Double

  enum CodingKeys: String, CodingKey {
    case entries
    case stepSeconds = "step_seconds"
  }

  /// The share of the step that passes in sections of these names.
  public func share(of names: Set<String>) -> Double {
    entries.filter { names.contains($0.name) }.reduce(0) { $0 + $1.seconds } / stepSeconds
  }

  /// Divides a profile's times by the number of steps.
  ///
  /// - Parameters:
  ///   - images: Of this rank, in a step.
  ///   - stepSeconds: The mean step, by another clock: what no section covers becomes `other`.
  init(_ profile: StepProfile, steps: Int, images: Int, stepSeconds: Double) {
    self.stepSeconds = stepSeconds
    let layers = profile.sections.filter { $0.pass != .whole }
    let others = profile.sections.filter { $0.pass == .whole }
    entries = (layers + others).map { section in
      let seconds = section.seconds / Double(steps)
      let operations = Double(2 * section.multiplyAdds * images)
      return Entry(
        name: section.name, pass: section.pass.rawValue, seconds: seconds,
        gigaflops: section.multiplyAdds > 0 && seconds > 0 ? operations / seconds / 1e9 : nil)
    }
    let covered = entries.reduce(0) { $0 + $1.seconds }
    entries.append(
      Entry(name: "other", pass: StepProfile.Pass.whole.rawValue, seconds: max(0, stepSeconds - covered)))
  }
}
