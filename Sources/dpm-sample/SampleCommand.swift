import ArgumentParser
import Collectives
import CommandSupport
import Foundation
import Pictures
import Tensors
import Training

@main
struct SampleCommand: RankedCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpm-sample",
    abstract: "Draws images from a checkpoint's model.",
    usage: "dpm-sample checkpoint [options]",
    discussion: """
      Examples:
        dpm-sample CHECKPOINT                              49 images in samples.png
        dpm-sample runs/NAME                               of a run's newest one
        mpirun -n 2 dpm-sample CHECKPOINT --count 1000 --output digits/
        dpm-sample CHECKPOINT --kind inpaint --images mine.png --per-image 8
        dpm-sample CHECKPOINT --kind denoise --noise-sd 0.5 --output clean.npy
        dpm-sample CHECKPOINT --kind reconstruct --times 100,300
        dpm-sample CHECKPOINT --output trajectory.gif      from noise to image

      Posteriors (inpaint, denoise) and reconstructions show the true picture,
      what the trajectory starts from, then samples. Sample i is the same for any
      number of ranks and threads, and any batch size. Known pixels come out as
      they went in.
      """,
    version: DPM.version)

  @Argument(
    help: ArgumentHelp("A checkpoint, or a run's folder: its newest one.", valueName: "checkpoint"),
    completion: .file(extensions: ["safetensors"]))
  var checkpoint: String
  @Option(
    help: "standard, inpaint, denoise or reconstruct.",
    completion: .list(["standard", "inpaint", "denoise", "reconstruct"]))
  var kind = "standard"
  @Option(parsing: .unconditional, help: "How many images; of posteriors how many of the test set's pictures.")
  var count: Int?
  @Option(parsing: .unconditional, help: "Chooses the noise.")
  var seed: UInt64 = 12345
  @Option(name: names("batch-size"), parsing: .unconditional, help: "Images that a thread draws at a time.")
  var batchSize = 64
  @Option(parsing: .unconditional, help: "Threads of a rank; else one, or alone one on each core.")
  var threads: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long a rank waits for the others before it ends the job.", valueName: "seconds"))
  var timeout = 300
  @Option(
    help: ArgumentHelp("grid.png, samples.npy, trajectory.gif, or a folder.", valueName: "path"),
    completion: .file())
  var output = "samples.png"
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Pictures of your own, JPEG or PNG: all words up to the next flag, so name the checkpoint first.",
      valueName: "file"),
    completion: .file())
  var images: [String] = []
  @Flag(help: "Exchange black and white of --images: dark ink on light paper becomes what MNIST has.")
  var invert = false
  @Option(
    help: ArgumentHelp(
      "What inpaint knows: left, right, top, bottom, center, random:0.5, or a picture, white where known. (default: right)",
      valueName: "mask"))
  var mask: String?
  @Option(
    name: names("noise-sd"), parsing: .unconditional,
    help: "The noise that denoise adds, in standard deviations of the data. (default: 1.0)")
  var noiseDeviation: Double?
  @Flag(name: names("already-noisy"), help: "The pictures have that noise already: denoise adds none.")
  var alreadyNoisy = false
  @Option(
    name: names("per-image"), parsing: .unconditional,
    help: "Samples for each picture, with their mean and standard deviation.")
  var perImage = 1
  @Option(
    help: ArgumentHelp(
      "The times that reconstruct diffuses to. (default: a tenth, three and six tenths of T)", valueName: "t,t,…"))
  var times: String?
  @Option(
    name: names("data-dir"),
    help: ArgumentHelp("The folder with the data set; else the one trained on, or DPM_DATA_DIR.", valueName: "folder"),
    completion: .directory)
  var dataDir: String?
  @Flag(help: "Download nothing.")
  var offline = false
  @Flag(help: "Replace what exists.")
  var force = false

  /// What the options come to.
  struct Plan {
    var request: SampleRequest
    /// Of flags that say nothing about what is drawn.
    var warnings: [String]
    var timeout: Duration
  }

  func plan() throws -> Plan {
    guard let kind = SampleRequest.Kind(rawValue: kind) else {
      throw InputError("--kind", found: "\"\(kind)\"", expected: "standard, inpaint, denoise or reconstruct")
    }
    var request = SampleRequest(checkpoint: checkpoint)
    request.kind = kind
    request.count = count ?? (kind == .standard ? 49 : 16)
    request.seed = seed
    request.batchSize = batchSize
    request.threads = threads
    request.output = output
    request.overwrites = force
    request.samplesPerPicture = perImage
    request.dataFolder = dataDir
    request.isOffline = offline
    let meanings: [(flag: String, isGiven: Bool, kind: SampleRequest.Kind)] = [
      ("--mask", mask != nil, .inpaint), ("--noise-sd", noiseDeviation != nil, .denoise),
      ("--already-noisy", alreadyNoisy, .denoise), ("--times", times != nil, .reconstruct),
    ]
    let warnings = meanings.filter { $0.isGiven && $0.kind != kind }.map {
      "\($0.flag): says nothing with --kind \(kind.rawValue), it is for --kind \($0.kind.rawValue)"
    }
    if let noiseDeviation { request.noiseDeviation = noiseDeviation }
    request.areNoisy = alreadyNoisy
    if let mask {
      let isFile = !Mask.isBuiltIn(mask) && FileManager.default.fileExists(atPath: mask)
      request.mask = try isFile ? .pixels { width in try Self.readMask(mask, width: width) } : Mask(mask)
    }
    if let times {
      request.times = try times.split(separator: ",", omittingEmptySubsequences: false).map {
        guard let time = Int($0) else {
          throw InputError("--times", found: "\"\(times)\"", expected: "numbers, as in 100,300")
        }
        return time
      }
    }
    if !images.isEmpty {
      if count != nil { throw InputError("--count", found: "--images beside it", expected: "one of the two") }
      request.pictures = { [images, invert] colors, width in
        try images.map { file in
          let picture = try Self.opaquePicture(file)
          return (invert ? picture.inverted() : picture).fitted(toSquare: width).elements(colors: colors)
        }
      }
    } else if invert {
      throw InputError("--invert", found: "no --images beside it", expected: "pictures of your own")
    }
    try request.validate()
    return try Plan(request: request, warnings: warnings, timeout: Self.timeout(seconds: timeout))
  }

  /// White pixels are known; of a picture of the model's size, as nothing tells how another would have to be cut.
  private static func readMask(_ mask: String, width: Int) throws -> [Bool] {
    let picture = try opaquePicture(mask)
    guard picture.width == width, picture.height == width else {
      throw InputError(
        mask, found: "\(picture.width)×\(picture.height) pixels", expected: "\(width)×\(width), as the model's images")
    }
    return picture.elements(colors: 1).map { $0 >= 128 }
  }

  /// What lies under transparency is anything, and nobody means it.
  private static func opaquePicture(_ file: String) throws(InputError) -> Picture {
    let picture = try Picture(contentsOf: file)
    guard !picture.isTransparent else {
      throw InputError(file, found: "transparent pixels", expected: "an opaque picture")
    }
    return picture
  }

  static func timeout(of plan: Plan) -> Duration { plan.timeout }

  static func run(_ plan: Plan, on communicator: Communicator) throws -> Int32 {
    let terminal = Terminal()
    let console = terminal.console()
    if communicator.isRankZero { plan.warnings.forEach(console.warn) }
    try SampleRun(plan.request).run(on: communicator, console: console)
    try communicator.onRankZero("print what was drawn") { try terminal.requirePrinted() }
    return ExitStatus.success
  }

  static func main() { start() }
}
