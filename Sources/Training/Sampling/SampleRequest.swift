public import Tensors

/// What `dpm-sample` is asked for.
public struct SampleRequest {
  /// What is drawn.
  public enum Kind: String, CaseIterable, Sendable {
    /// New images, from noise.
    case standard
    /// What could stand where pixels are unknown.
    case inpaint
    /// What could lie under noise.
    case denoise
    /// Real images diffused to some times and run back.
    case reconstruct
  }

  /// Where the samples go, by the name's ending.
  public enum Format: Equatable, Sendable {
    /// One picture with all of them.
    case grid
    /// A picture each, in a folder.
    case folder
    /// Numbers for NumPy.
    case numpy
    /// Their way through the trajectory.
    case animation
  }

  /// The checkpoint's file.
  public var checkpoint: String
  /// What is drawn.
  public var kind = Kind.standard
  /// How many images; for posteriors how many of the test set's pictures.
  ///
  /// Ignored where `pictures` are given.
  public var count = 49
  /// Chooses the endless sequence whose first samples are drawn.
  public var seed = SampleTrajectory.seed
  /// Images that each thread draws at a time.
  public var batchSize = 64
  /// Threads of each rank; nil for as many as it has cores for itself.
  public var threads: Int?
  /// The file or folder that is made.
  public var output = "samples.png"
  /// Whether it may replace what exists.
  public var overwrites = false
  /// Samples for each picture.
  public var samplesPerPicture = 1
  /// The noise that `denoise` adds, in units of the standardized data.
  public var noiseDeviation = 1.0
  /// The times that `reconstruct` diffuses to.
  public var times = [100, 300, 600]
  /// Which pixels `inpaint` knows.
  public var mask = Mask.side(.right)
  /// The folder with the data set whose test images serve as pictures; nil for that of the checkpoint's configuration.
  public var dataFolder: String?
  /// Whether a data set that is nowhere may not be downloaded.
  public var isOffline = false
  /// The user's own pictures, [C][H][W] each, decoded for a model of these colours and this width; nil for the test set's.
  public var pictures: ((_ colors: Int, _ width: Int) throws -> [[UInt8]])?

  /// Asks for samples of a checkpoint's model; see the properties.
  public init(checkpoint: String) { self.checkpoint = checkpoint }

  /// Where the samples go, by the output's name.
  public var format: Format {
    if output.hasSuffix(".png") { return .grid }
    if output.hasSuffix(".npy") { return .numpy }
    return output.hasSuffix(".gif") ? .animation : .folder
  }

  /// Checks what can be checked before any work.
  ///
  /// - Throws: `InputError` with the flag, its value and what is expected.
  public func validate() throws(InputError) {
    for (flag, value, most) in [
      ("--count", count, 10_000_000), ("--batch-size", batchSize, 65_536), ("--per-image", samplesPerPicture, 100_000),
    ] where !(1...most).contains(value) {
      throw InputError(flag, found: "\(value)", expected: "1 ... \(most)")
    }
    try ThreadCount.check(threads)
    guard noiseDeviation > 0, noiseDeviation.isFinite else {
      throw InputError("--noise-sd", found: "\(noiseDeviation)", expected: "a number above 0")
    }
    if samplesPerPicture > 1 && kind != .inpaint && kind != .denoise {
      throw InputError(
        "--per-image", found: "\(samplesPerPicture) with --kind \(kind.rawValue)", expected: "inpaint or denoise")
    }
    if pictures != nil && kind == .standard {
      throw InputError("--images", found: "--kind standard beside it", expected: "inpaint, denoise or reconstruct")
    }
    if format == .animation && kind == .reconstruct {
      throw InputError("--output", found: output, expected: "a .png, a .npy or a folder for --kind reconstruct")
    }
    try OutputFile.check(output, isFolder: format == .folder, flag: "--output", overwrites: overwrites)
  }

  /// Checks what depends on the model's trajectory.
  func validate(trajectoryLength: Int) throws(InputError) {
    guard kind == .reconstruct else { return }
    for time in times where !(1..<trajectoryLength).contains(time) {
      throw InputError(
        "--times", found: "\(time)", expected: "1 ... \(trajectoryLength - 1), as the model's T is \(trajectoryLength)")
    }
  }
}
