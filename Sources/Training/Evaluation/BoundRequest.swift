public import Tensors

/// What `dpm-evaluate` is asked for.
public struct BoundRequest: Sendable {
  /// Which of a data set's two sets.
  public enum Split: String, CaseIterable, Sendable {
    /// The images that were not trained on.
    case test
    /// The training set.
    case train
    /// The test set, then the training set.
    case both
  }

  /// The checkpoint's file.
  public var checkpoint: String
  /// Which images.
  public var split = Split.test
  /// The folder with the data set; nil for that of the checkpoint's configuration, or the environment's.
  public var dataFolder: String?
  /// Whether a data set that is nowhere may not be downloaded.
  public var isOffline = false
  /// How many images, the first of the set; nil for all.
  public var images: Int?
  /// Rounds of times and noise are added until the standard error, in bits/pixel, is at most this; nil for as many as
  /// give every time four images, at most 64.
  public var standardError: Double?
  /// Whether every t is computed for every image, in place of drawn ones.
  public var isExact = false
  /// What times and noise are keyed by.
  public var seed: UInt64 = 1
  /// Receives a line an image; nil for no such file.
  public var perImageFile: String?
  /// Receives a line a time, and its plot beside it; nil for no such file.
  public var perStepFile: String?
  /// Threads of each rank; nil for as many as it has cores for itself.
  public var threads: Int?
  /// Whether files that exist are replaced.
  public var overwrites = false

  /// Asks for a checkpoint's bound on the test set; see the properties.
  public init(checkpoint: String) { self.checkpoint = checkpoint }

  /// Checks what can be checked before any work.
  ///
  /// - Throws: `InputError` with the flag, its value and what is expected.
  public func validate() throws(InputError) {
    try ThreadCount.check(threads)
    if let images, images < 1 { throw InputError("--images", found: "\(images)", expected: "1 or more") }
    if let standardError, !(standardError > 0 && standardError.isFinite) {
      throw InputError("--standard-error", found: "\(standardError)", expected: "bits/pixel above 0")
    }
    if isExact, standardError != nil {
      throw InputError("--exact", found: "--standard-error beside it", expected: "one of the two")
    }
    for (flag, path) in [("--per-image", perImageFile), ("--per-step", perStepFile)] {
      guard let path, !path.hasSuffix(".csv") else { continue }
      throw InputError(flag, found: path, expected: "a name that ends in .csv")
    }
    if let perImageFile, perImageFile == perStepFile {
      throw InputError("--per-image", found: "\(perImageFile), which is --per-step too", expected: "two names")
    }
    for split in splits {
      if let path = perImageFile(of: split) { try OutputFile.check(path, flag: "--per-image", overwrites: overwrites) }
      guard let path = perStepFile(of: split) else { continue }
      for file in [path] + plots(of: path) { try OutputFile.check(file, flag: "--per-step", overwrites: overwrites) }
    }
  }

  /// The sets, one after the other.
  var splits: [Split] { split == .both ? [.test, .train] : [split] }

  /// The file of a line an image of a set.
  func perImageFile(of split: Split) -> String? { perImageFile.map { own($0, split) } }

  /// The file of a line a time of a set.
  func perStepFile(of split: Split) -> String? { perStepFile.map { own($0, split) } }

  /// With both sets, each has files of its own.
  private func own(_ path: String, _ set: Split) -> String {
    split == .both ? "\(path.dropLast(4))-\(set.rawValue).csv" : path
  }

  /// The plots beside a file of numbers.
  func plots(of path: String) -> [String] { ["png", "pdf"].map { "\(path.dropLast(4)).\($0)" } }
}
