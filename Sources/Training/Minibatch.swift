internal import KernelInterface

/// How a global minibatch is cut into canonical parts, and the parts into a rank's lane groups.
///
/// Each part's gradient is one sum in a fixed order, and parts are added by a fixed binary tree (`CanonicalSum`, then
/// Collectives' fixed-order sum): the number of ranks, a power of two up to the number of parts, does not change a bit.
/// Other numbers of ranks cut the minibatch evenly, one part a rank.
public struct Minibatch: Equatable, Sendable {
  /// This rank's lane groups, as ranges of positions in the global minibatch; never empty, at most 16 images each.
  public let groups: [Range<Int>]
  /// Groups of each of this rank's canonical parts, in order; a part may be empty.
  public let parts: [Range<Int>]

  /// Minibatches of an epoch, the last of which may have fewer images.
  public static func count(imageCount: Int, batchSize: Int) -> Int { (imageCount + batchSize - 1) / batchSize }

  /// Most parts of a minibatch: more ranks than this cannot share its fixed tree.
  public static let mostParts = 8

  /// Parts of every minibatch of a run: a power of two, so that a full minibatch's parts fill at least a lane group each.
  public static func partCount(batchSize: Int) -> Int {
    var parts = 1
    while parts < mostParts && 2 * parts * laneCount <= batchSize { parts *= 2 }
    return parts
  }

  /// The numbers of ranks that give the same bits, ascending.
  public static func interchangeableRanks(batchSize: Int) -> [Int] {
    [1, 2, 4, 8].filter { partCount(batchSize: batchSize).isMultiple(of: $0) }
  }

  /// Cuts out a rank's share.
  ///
  /// - Parameters:
  ///   - images: Images of this minibatch, which may be the epoch's last and smaller one.
  ///   - batchSize: Images of a full minibatch: what the number of parts depends on.
  public init(images: Int, batchSize: Int, rank: Int, ranks: Int) {
    let partCount = Self.partCount(batchSize: batchSize)
    var groups: [Range<Int>] = []
    var parts: [Range<Int>] = []
    func addPart(_ positions: Range<Int>) {
      let first = groups.count
      var position = positions.lowerBound
      while position < positions.upperBound {
        let next = min(position + laneCount, positions.upperBound)
        groups.append(position..<next)
        position = next
      }
      parts.append(first..<groups.count)
    }
    if partCount.isMultiple(of: ranks) {
      let partsPerRank = partCount / ranks
      // Whole lane groups for every part where there are enough of them: only the last group is then padded.
      let wholeGroups = (images + laneCount - 1) / laneCount
      let unit = wholeGroups >= partCount ? laneCount : 1
      let units = unit == 1 ? images : wholeGroups
      for part in rank * partsPerRank..<(rank + 1) * partsPerRank {
        addPart(
          min(images, part * units / partCount * unit)..<min(images, (part + 1) * units / partCount * unit))
      }
    } else {
      addPart(rank * images / ranks..<(rank + 1) * images / ranks)
    }
    self.groups = groups
    self.parts = parts
  }

  /// Images of this rank.
  public var imageCount: Int { groups.reduce(0) { $0 + $1.count } }
}
