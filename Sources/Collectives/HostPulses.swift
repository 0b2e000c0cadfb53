import Synchronization
import Tensors

/// What the watchdogs of a host's ranks know of each other: which of them live, and how long each rank has waited.
///
/// MPI is the main thread's, and a rank that is stopped answers nobody: so each watchdog notes its pulse in memory of its
/// own, which the host's other ranks map. Of ranks on other hosts nothing is known.
final class HostPulses: @unchecked Sendable {
  /// A rank that keeps others waiting.
  struct Culprit: Equatable {
    let rank: Int
    /// Whether it does not run at all: stopped, or out of reach.
    let isSilent: Bool
  }

  /// Another rank of this host.
  private struct Neighbour {
    let rank: Int
    let memory: MappedMemory
    var beat: UInt32 = 0
    /// Looks since its beat last changed.
    var silence = 0
    /// Of its own looks, those since its wait began.
    var waits = 0
  }

  private let own: MappedMemory
  // These are the watchdog's thread's alone.
  private var neighbours: [Neighbour]
  private var beat: UInt32 = 0

  /// Maps the other ranks' memory.
  ///
  /// - Parameters:
  ///   - offers: Each rank's of its `memory`.
  init(_ own: MappedMemory, offers: [MappedMemory.Offer?], rank: Int, topology: Topology) {
    self.own = own
    neighbours = topology.ranks(onHostOf: rank).compactMap { other in
      guard other != rank else { return nil }
      return offers[other].flatMap { MappedMemory($0, count: Self.size) }.map { Neighbour(rank: other, memory: $0) }
    }
  }

  /// This rank's memory; nil where the system has none.
  static func memory() -> MappedMemory? { MappedMemory(count: size) }

  private static let size = MemoryLayout<UInt64>.size

  /// Notes this rank's pulse and reads the others'; about as often on all ranks.
  ///
  /// - Parameter waits: Looks since this rank's wait began; 0 where it waits for nobody.
  func look(waits: Int) {
    beat &+= 1
    Self.word(own)?.pointee.store(UInt64(beat) << 32 | UInt64(UInt32(clamping: waits)), ordering: .relaxed)
    for index in neighbours.indices {
      let word = Self.word(neighbours[index].memory)?.pointee.load(ordering: .relaxed) ?? 0
      let beat = UInt32(truncatingIfNeeded: word >> 32)
      neighbours[index].silence = beat == neighbours[index].beat ? neighbours[index].silence + 1 : 0
      neighbours[index].beat = beat
      neighbours[index].waits = Int(UInt32(truncatingIfNeeded: word))
    }
  }

  /// One word in two halves, beat and waits: read and written at once.
  private static func word(_ memory: MappedMemory) -> UnsafeMutablePointer<Atomic<UInt64>>? {
    memory.bytes.baseAddress?.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// The rank of this host that is most likely waited for: the lowest silent one, else the lowest that waits for nobody.
  ///
  /// - Parameter waits: Looks since this rank's wait began.
  func culprit(waits: Int) -> Culprit? {
    // A thread of a busy machine misses a look now and then.
    if let silent = neighbours.first(where: { $0.silence > waits / 2 }) {
      return Culprit(rank: silent.rank, isSilent: true)
    }
    return neighbours.first { $0.waits < waits / 2 }.map { Culprit(rank: $0.rank, isSilent: false) }
  }

  /// Ranks of this host below `rank` that wait as this one does, and can say so.
  func waitingRanks(below rank: Int, waits: Int) -> Int {
    neighbours.count { $0.rank < rank && $0.silence <= waits / 2 && $0.waits >= waits / 2 }
  }
}
