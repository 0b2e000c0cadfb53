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
  /// Whether the pictures have that noise already.
  public var areNoisy = false
  /// The times that `reconstruct` diffuses to; nil for a tenth, three and six tenths of the trajectory.
  public var times: [Int]?
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
    switch outputType {
    case "png": .grid
    case "npy": .numpy
    case "gif": .animation
    default: .folder
    }
  }

  /// The ending of the output's name, if it has one.
  private var outputType: String {
    let name = output.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    return name.split(separator: ".", omittingEmptySubsequences: false).dropFirst().last.map { $0.lowercased() } ?? ""
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
    if output == "-" || (format == .folder && !outputType.isEmpty && !OutputFile.isFolder(output)) {
      throw InputError(
        "--output", found: output, expected: "a .png, a .npy, a .gif, or a folder, with / at its end or without a dot")
    }
    if format == .animation && kind == .reconstruct {
      throw InputError("--output", found: output, expected: "a .png, a .npy or a folder for --kind reconstruct")
    }
    try OutputFile.check(output, isFolder: format == .folder, flag: "--output", overwrites: overwrites)
  }

  /// The times that `reconstruct` diffuses to in a model's trajectory.
  ///
  /// - Throws: `InputError` for a time that it does not have, or that comes twice.
  func times(trajectoryLength: Int) throws(InputError) -> [Int] {
    guard let times else { return [1, 3, 6].map { max(1, $0 * trajectoryLength / 10) } }
    for time in times where kind == .reconstruct {
      guard (1..<trajectoryLength).contains(time) else {
        throw InputError(
          "--times", found: "\(time)",
          expected: "1 ... \(trajectoryLength - 1), as the model's T is \(trajectoryLength)")
      }
      guard times.count(where: { $0 == time }) == 1 else {
        throw InputError("--times", found: "\(time), twice", expected: "times that differ")
      }
    }
    return times
  }
}
