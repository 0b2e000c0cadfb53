internal import Collectives
internal import Datasets
internal import Foundation
internal import Pictures
internal import Tensors

/// A folder of pictures as a data set: decoded once, by all ranks together, into a file that each host maps.
struct PictureFolder {
  private let folder: String
  private let shape: ImageShape
  private let name: String
  private let isStrict: Bool
  private let communicator: Communicator
  private let console: RunConsole

  /// - Throws: `InputError` if no folder is named, or images are wanted in a number of colours that they cannot have.
  init(_ configuration: Configuration, on communicator: Communicator, console: RunConsole) throws(InputError) {
    let dataset = configuration.dataset
    name = dataset.name.rawValue.uppercased()
    guard let path = dataset.path, !path.isEmpty else {
      throw InputError(
        "dataset.path", found: "no folder to read \(name) from",
        expected: "--data-dir, dataset.path or DPM_DATA_DIR to name the one with JPEG and PNG files")
    }
    folder = path
    shape = try dataset.name.shape(width: configuration.spatialWidth, colors: configuration.colorCount)
    isStrict = dataset.isStrict
    self.communicator = communicator
    self.console = console
  }

  private var isLeader: Bool { communicator.topology.hostLeaders[communicator.rank] == communicator.rank }

  /// The host's mapped file, on the lowest rank of each host; collective.
  ///
  /// - Throws: `InputError` for what is wrong with the folder or the cache, the same on all ranks; `CollectiveError` where
  ///   ranks fail.
  func load() throws -> CachedPictures? {
    let hosts = communicator.topology.hostCount
    let own = try communicator.onRankZero("list the pictures") { try PictureListing(of: folder) }
    let digest = String(decoding: try communicator.broadcast(Array((own?.digest ?? "").utf8), from: 0), as: UTF8.self)
    let cache = try communicator.agree("open the cache") { try PictureCache(of: folder, shape: shape, name: name) }
    func contents() throws -> CachedPictures? {
      try communicator.agree("open the cache", ranksAtWork: hosts) {
        try isLeader ? cache.contents(listing: digest) : nil
      }
    }
    var pictures = try contents()
    let isMissing = isLeader && pictures == nil
    if try communicator.maximum(of: isMissing ? 1 : 0) > 0 {
      let listing = PictureListing(
        encoded: try communicator.broadcast(own?.encoded ?? [], from: 0), digest: digest)
      let writer = try communicator.agree("write the cache", ranksAtWork: hosts) {
        try isMissing ? PictureCacheWriter(cache, listing: digest, count: listing.names.count) : nil
      }
      try decode(listing, into: writer)
      pictures = try contents()
      try communicator.agree("open the cache", ranksAtWork: hosts) {
        guard !isLeader || pictures != nil else {
          throw InputError(
            cache.path, found: "not what was written to it", expected: "no other program that changes it")
        }
      }
    }
    let skipped = try communicator.agree("check the pictures", ranksAtWork: hosts) {
      try check(pictures?.skipped ?? [], of: (pictures?.data.train.count ?? 0) + (pictures?.data.test.count ?? 0))
    }
    if communicator.isRankZero, skipped > 0 {
      console.warn("\(folder): \(skipped) files that cannot be decoded are left out")
    }
    return pictures
  }

  /// - Parameter count: Of the pictures that could be decoded.
  private func check(_ skipped: [PictureCache.Skipped], of count: Int) throws(InputError) -> Int {
    guard let first = skipped.first, isStrict || skipped.count > (skipped.count + count) / 100 else {
      return skipped.count
    }
    throw fault(skipped.count, of: skipped.count + count, first)
  }

  private func fault(_ skipped: Int, of count: Int, _ first: PictureCache.Skipped) -> InputError {
    InputError(
      "\(folder)/\(first.name)",
      found: first.reason + (skipped > 1 ? ", and \(skipped - 1) more such files of \(count)" : ", of \(count) files"),
      expected: isStrict ? "none with --strict" : "at most 1 % that cannot be decoded")
  }

  /// The files of the images to train on and to test with, as text, relative to the folder; nil where the data set is no
  /// folder of pictures.
  ///
  /// - Throws: `InputError` where the folder is not as it was when its pictures were decoded.
  static func files(_ configuration: Configuration) throws(InputError) -> (train: [String], test: [String])? {
    let dataset = configuration.dataset
    guard dataset.name == .images || dataset.name == .imagenet, let folder = dataset.path else { return nil }
    let shape = try dataset.name.shape(width: configuration.spatialWidth, colors: configuration.colorCount)
    let listing = try PictureListing(of: folder)
    let cache = try PictureCache(of: folder, shape: shape, name: dataset.name.rawValue.uppercased())
    guard let pictures = try cache.contents(listing: listing.digest) else {
      throw InputError(folder, found: "files that changed meanwhile", expected: "a folder that stays as it is")
    }
    let skipped = Set(pictures.skipped.map(\.name))
    func files(_ names: some Sequence<[UInt8]>) -> [String] { names.map(printable).filter { !skipped.contains($0) } }
    return (files(listing.names.prefix(listing.trainCount)), files(listing.names.dropFirst(listing.trainCount)))
  }

  // MARK: - Decoding

  /// Decodes all pictures, each rank its part; in rounds, so that nobody waits long and little memory is needed.
  ///
  /// - Parameter writer: Takes the images, on ranks that write.
  private func decode(_ listing: PictureListing, into writer: PictureCacheWriter?) throws {
    let (rank, ranks, total) = (communicator.rank, communicator.rankCount, listing.names.count)
    // 64 MiB of a round's images are on every rank.
    let block = ranks * max(1, min(64, (1 << 26) / (shape.elements * ranks)))
    var skipped: [PictureCache.Skipped] = []
    for first in stride(from: 0, to: total, by: block) {
      let size = min(block, total - first)
      let share = first + rank * size / ranks..<first + (rank + 1) * size / ranks
      let decoded = share.map { DecodedPicture(listing.names[$0], in: folder, shape: shape) }
      let round = try communicator.gather(decoded.flatMap(\.encoded)).flatMap { bytes in
        DecodedPicture.decoded(bytes, elements: shape.elements)
      }
      try communicator.agree("write the cache", ranksAtWork: communicator.topology.hostCount) {
        for (offset, picture) in round.enumerated() {
          if case .pixels(let pixels) = picture {
            try pixels.withUnsafeBufferPointer { (pixels) throws(InputError) in
              try writer?.append(pixels, isTest: first + offset >= listing.trainCount)
            }
          }
        }
      }
      // Counted on every rank, so that all come to the same end.
      for (offset, picture) in round.enumerated() {
        guard case .fault(let reason) = picture else { continue }
        let file = PictureCache.Skipped(name: printable(listing.names[first + offset]), reason: reason)
        skipped.append(file)
        if communicator.isRankZero { console.warn("\(folder)/\(file.name): \(reason)") }
      }
      if let broken = skipped.first, isStrict || skipped.count > total / 100 {
        throw fault(skipped.count, of: total, broken)
      }
      if let signal = StopSignal(rawValue: try communicator.maximum(of: StopRequest.pending?.rawValue ?? 0)) {
        throw Stopped(by: signal, task: "decoding pictures")
      }
      if communicator.isRankZero {
        console.progress(Double(first + size) / Double(total)) { "decoding \(first + size) of \(total) pictures" }
      }
    }
    try communicator.onRankZero("list the pictures again") {
      guard try PictureListing(of: folder).digest == listing.digest else {
        throw InputError(
          folder, found: "files that changed while they were read", expected: "a folder that stays as it is")
      }
    }
    try communicator.agree("write the cache", ranksAtWork: communicator.topology.hostCount) {
      try writer?.finish(skipped: skipped)
    }
  }
}

/// A picture as a data set has it, or why there is none; and its way to the other ranks.
private enum DecodedPicture {
  case pixels([UInt8])
  case fault(String)

  init(_ name: [UInt8], in folder: String, shape: ImageShape) {
    let path = (Array(folder.utf8) + [0x2F] + name + [0]).map { CChar(bitPattern: $0) }
    do throws(InputError) {
      let picture = try Picture(contentsOf: path, named: printable(name))
      self = .pixels(picture.fitted(toSquare: shape.width).elements(colors: shape.colors))
    } catch {
      self = .fault(error.found)
    }
  }

  /// Zero and the pixels, or the reason's length, at most 255, and the reason.
  var encoded: [UInt8] {
    switch self {
    case .pixels(let pixels): return [0] + pixels
    case .fault(let reason):
      let text = Array(reason.utf8.prefix(255))
      return [UInt8(text.count)] + text
    }
  }

  /// The pictures of one rank's bytes.
  static func decoded(_ bytes: [UInt8], elements: Int) -> [DecodedPicture] {
    var pictures: [DecodedPicture] = []
    var place = 0
    while place < bytes.count {
      let length = bytes[place] == 0 ? elements : Int(bytes[place])
      let content = bytes[place + 1..<place + 1 + length]
      pictures.append(bytes[place] == 0 ? .pixels(Array(content)) : .fault(String(decoding: content, as: UTF8.self)))
      place += 1 + length
    }
    return pictures
  }
}
