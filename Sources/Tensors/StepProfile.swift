#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A stopwatch that is always in exactly one section: where the time of a training step goes.
///
/// Code enters a section when it begins work of that kind and need not leave it: the next section's beginning is its end,
/// so that the sections add up to the whole. Without a profile (nil) entering costs a test of a pointer. One rank, one
/// thread; nothing is allocated once all sections are known.
public final class StepProfile {
  /// What is done for a layer; `whole` for work that is not a layer's.
  public enum Pass: String, Sendable, CaseIterable {
    /// The layer's output.
    case forward
    /// The gradient of its input.
    case inputGradient = "input_gradient"
    /// The gradient of its parameters.
    case weightGradient = "weight_gradient"
    /// All of it.
    case whole
  }

  /// One kind of work.
  public struct Section: Sendable {
    /// The layer, as its tensors are named in checkpoints, or another subject.
    public let name: String
    /// The pass.
    public let pass: Pass
    /// Multiply-adds for an image, convolutions counted as direct ones.
    public let multiplyAdds: Int
    /// Seconds spent since the profile was made or reset.
    public var seconds = 0.0
  }

  /// All sections, in the order in which they were named.
  public private(set) var sections: [Section] = []
  private var current: Int?
  private var beginning = 0.0

  /// Starts outside of all sections.
  public init() {}

  /// The number of a section; the same name and pass is the same section.
  public func section(_ name: String, _ pass: Pass = .whole, multiplyAdds: Int = 0) -> Int {
    if let known = sections.firstIndex(where: { $0.name == name && $0.pass == pass }) { return known }
    sections.append(Section(name: name, pass: pass, multiplyAdds: multiplyAdds))
    return sections.count - 1
  }

  /// Ends the current section and begins another; nil begins none.
  public func enter(_ section: Int?) {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    if let current { sections[current].seconds += now - beginning }
    current = section
    beginning = now
  }

  /// Forgets all times.
  public func reset() {
    for index in sections.indices { sections[index].seconds = 0 }
  }
}

/// The sections of one layer; does nothing without a profile.
public struct LayerProfile {
  private let profile: StepProfile?
  private let sections: (forward: Int, inputGradient: Int, weightGradient: Int)

  /// Names a layer's sections.
  ///
  /// - Parameter multiplyAdds: Of its forward pass for an image.
  public init(_ profile: StepProfile?, _ name: String, multiplyAdds: Int, hasInputGradient: Bool = true) {
    self.profile = profile
    guard let profile else {
      sections = (0, 0, 0)
      return
    }
    let forward = profile.section(name, .forward, multiplyAdds: multiplyAdds)
    let weightGradient = profile.section(name, .weightGradient, multiplyAdds: multiplyAdds)
    let inputGradient =
      hasInputGradient ? profile.section(name, .inputGradient, multiplyAdds: multiplyAdds) : weightGradient
    sections = (forward, inputGradient, weightGradient)
  }

  /// Begins the layer's output.
  public func forward() { profile?.enter(sections.forward) }
  /// Begins the gradient of its input.
  public func inputGradient() { profile?.enter(sections.inputGradient) }
  /// Begins the gradient of its parameters.
  public func weightGradient() { profile?.enter(sections.weightGradient) }
}

/// A section of its own; does nothing without a profile.
public struct SectionProfile {
  private let profile: StepProfile?
  private let section: Int

  /// Names the section.
  public init(_ profile: StepProfile?, _ name: String) {
    self.profile = profile
    section = profile?.section(name) ?? 0
  }

  /// Begins it.
  public func begin() { profile?.enter(section) }
}
