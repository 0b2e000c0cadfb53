internal import Collectives
internal import Datasets
internal import Foundation
internal import Tensors

/// A run's images, in one copy for all ranks of a host, with what is computed from all of them.
///
/// The lowest rank of each host reads the files; the others map its memory. Where that is not possible (ranks in containers
/// of their own), each reads its own copy.
struct HostData {
  var data: TrainingData
  var standardization: Standardization
  /// Of both sets; the same on all hosts, or the ranks would not train the same model.
  var digest: String

  /// Reads the configuration's data set, downloaded before if no folder is named for it; collective.
  ///
  /// Compares the configuration first: what the ranks do together here hangs on it.
  ///
  /// - Throws: `InputError` for what is wrong with the files, the same on all ranks; `CollectiveError` where ranks fail.
  static func load(
    _ configuration: Configuration, on communicator: Communicator, console: RunConsole
  ) throws -> HostData {
    try communicator.requireSameOnAllRanks(configuration.facts)
    if case .procedural(let set) = configuration.dataset.name {
      return try communicator.agree("prepare to draw images") {
        try HostData(
          set.data(
            configuration.dataset.name.shape(width: configuration.spatialWidth, colors: configuration.colorCount)))
      }
    }
    switch configuration.dataset.name {
    case .images, .imagenet:
      let folder = try communicator.agree("find the pictures") {
        try PictureFolder(configuration, on: communicator, console: console)
      }
      let pictures = try folder.load()
      return try share(pictures.map(HostData.init), memory: pictures?.memory, on: communicator) {
        throw InputError(
          "the cache of decoded pictures", found: "a rank that cannot map the file of its host's first rank",
          expected: "ranks of one host that see each other's /proc")
      }
    case .mnist, .cifar10, .procedural: break
    }
    let dataset = try configuration.dataset.provided(on: communicator, console: console)
    let topology = communicator.topology
    let leader = topology.hostLeaders[communicator.rank]
    let isShared = topology.ranks(onHostOf: communicator.rank).count > 1
    var own = try communicator.agree("load the data set", ranksAtWork: topology.hostCount) {
      try leader == communicator.rank ? HostData(dataset) : nil
    }
    let memory = isShared ? own?.moveToSharedMemory() : nil
    return try share(own, memory: memory, on: communicator) { try HostData(dataset) }
  }

  /// Maps the data of each host's lowest rank on its other ranks; collective.
  ///
  /// - Parameters:
  ///   - own: The data; nil on other ranks.
  ///   - memory: What others can map; nil where there is no such memory.
  ///   - alone: Reads a rank's own copy, where it can map nothing.
  private static func share(
    _ own: HostData?, memory: MappedMemory?, on communicator: Communicator, alone: () throws -> HostData
  ) throws -> HostData {
    guard communicator.rankCount > 1 else { return try own ?? alone() }
    let offer = try own.flatMap { own in
      try memory?.offer.map { try JSONEncoder().encode(Offer(own, memory: $0)) }
    }
    let offers = try communicator.gather(Array(offer ?? Data()))
    let leader = communicator.topology.hostLeaders[communicator.rank]
    return try communicator.agree("map the data set") { try own ?? Offer.attached(offers[leader]) ?? alone() }
  }

  /// Of pictures all is known since they were decoded.
  private init(_ pictures: CachedPictures) {
    self.init(data: pictures.data, standardization: pictures.standardization, digest: pictures.digest)
  }

  /// Reads this process's own copy.
  private init(_ dataset: Configuration.Dataset) throws {
    try self.init(TrainingData.load(dataset.name, from: dataset.path))
  }

  /// Computes what belongs to the images.
  private init(_ data: TrainingData) throws {
    self.data = data
    standardization = try Standardization(of: data.train)
    digest = data.train.digest() + data.test.digest()
  }

  fileprivate init(data: TrainingData, standardization: Standardization, digest: String) {
    self.data = data
    self.standardization = standardization
    self.digest = digest
  }

  /// Copies the pixels to memory that others can map; nil, and nothing changes, where there is none.
  private mutating func moveToSharedMemory() -> MappedMemory? {
    let (train, test) = (data.train, data.test)
    let trainBytes = train.count * train.shape.elements
    guard let memory = MappedMemory(count: trainBytes + test.count * test.shape.elements) else { return nil }
    train.withImages(0..<train.count) { memory.bytes.copyMemory(from: UnsafeRawBufferPointer($0)) }
    test.withImages(0..<test.count) {
      UnsafeMutableRawBufferPointer(rebasing: memory.bytes[trainBytes...]).copyMemory(from: UnsafeRawBufferPointer($0))
    }
    guard
      let shared = try? TrainingData(
        name: train.name, shape: train.shape, trainCount: train.count, testCount: test.count, memory: memory)
    else { preconditionFailure("the sets fitted each other before they moved") }
    data = shared
    return memory
  }
}

/// What the other ranks of a host need to map its data.
private struct Offer: Codable {
  var memory: MappedMemory.Offer
  var name: String
  var colors: Int
  var width: Int
  var trainCount: Int
  var testCount: Int
  var scale: Double
  var shift: Double
  var digest: String

  init(_ data: HostData, memory: MappedMemory.Offer) {
    let (train, test) = (data.data.train, data.data.test)
    self.memory = memory
    name = train.name
    colors = train.shape.colors
    width = train.shape.width
    trainCount = train.count
    testCount = test.count
    scale = data.standardization.scale
    shift = data.standardization.shift
    digest = data.digest
  }

  /// The data that an encoded offer leads to; nil where there is none, or they cannot be seen from this process.
  static func attached(_ encoded: [UInt8]) throws -> HostData? {
    guard !encoded.isEmpty else { return nil }
    let offer = try JSONDecoder().decode(Offer.self, from: Data(encoded))
    guard let memory = MappedMemory(offer.memory) else { return nil }
    let shape = ImageShape(colors: offer.colors, height: offer.width, width: offer.width)
    return HostData(
      data: try TrainingData(
        name: offer.name, shape: shape, trainCount: offer.trainCount, testCount: offer.testCount, memory: memory),
      standardization: Standardization(scale: offer.scale, shift: offer.shift), digest: offer.digest)
  }
}
