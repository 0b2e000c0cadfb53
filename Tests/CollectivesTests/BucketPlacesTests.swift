import Testing

@testable import Collectives

@Suite("Places of buckets")
struct BucketPlacesTests {
  /// Buckets of these sizes, one behind the other.
  private func ranges(_ counts: [Int]) -> [Range<Int>] {
    var start = 0
    return counts.map { count in
      defer { start += count }
      return start..<start + count
    }
  }

  @Test("are all apart where they serve once")
  func whole() {
    let places = BucketPlaces(ranges([100, 0, 3_000_000, 7]), isReused: false)
    #expect(places.offsets == [0, 112, 112, 3_000_112])
    #expect(places.predecessors == [0, 0, 0, 0])
    #expect(places.count == 3_000_128)
  }

  @Test("serve again, and say which bucket must have been summed before", arguments: 0..<20)
  func reused(seed: Int) {
    let counts = (0..<60).map { ($0 * 7919 + seed * 104_729) % 400_000 }
    let places = BucketPlaces(ranges(counts), isReused: true)
    #expect(places.count <= 3 * 400_000)
    for (bucket, count) in counts.enumerated() {
      #expect(places.offsets[bucket] % 16 == 0 && places.offsets[bucket] + count <= places.count)
      // No bucket that may still be unsummed lies there.
      for other in places.predecessors[bucket]..<bucket {
        let isApart =
          places.offsets[other] + counts[other] <= places.offsets[bucket]
          || places.offsets[bucket] + count <= places.offsets[other]
        #expect(isApart || count == 0 || counts[other] == 0, "\(bucket) on \(other)")
      }
    }
    // A rank may be a few buckets ahead of another.
    #expect(places.predecessors.enumerated().allSatisfy { $0.offset == 0 || $0.element < $0.offset })
  }
}

@Suite("Blocks of ranks")
struct BlockSizeTests {
  @Test(
    "are the largest power of two of ranks that every host holds whole, in order",
    arguments: [
      ([0, 0], 2), ([0], 1), ([0, 1], 1), ([0, 0, 0, 0, 0, 0, 0, 0], 8), ([0, 0, 2, 2], 2), ([0, 1, 0, 1], 1),
      ([0, 0, 0, 0, 4, 4, 4, 4], 4), ([0, 0, 0, 0, 0, 0, 6, 6], 2), ([0, 0, 0, 3, 3, 3, 3, 3], 1), ([0, 0, 0], 1),
      ([0, 0, 0, 0, 0, 0], 2),
    ] as [([Int], Int)])
  func sizes(leaders: [Int], size: Int) {
    let topology = Topology(hosts: leaders.map { "node\($0)" }, hostLeaders: leaders)
    #expect(topology.blockSize(atMost: .max) == size)
    #expect(topology.blockSize(atMost: 2) == min(2, size))
  }
}
