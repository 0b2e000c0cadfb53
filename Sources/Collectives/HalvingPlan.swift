/// One rank's part in a recursive halving: which half it keeps in each round, and with whom it exchanges.
///
/// Round k pairs ranks whose numbers differ in bit k, neighbours first. Each sends the half that it does not keep and
/// adds what it receives to the other, so that an element's sum is built as ((r0 + r1) + (r2 + r3)) + …: one binary tree,
/// whatever half it lies in and whoever adds it. After the last round every rank owns one range, fully summed; the
/// rounds in reverse bring all ranges to all ranks (recursive doubling).
struct HalvingPlan {
  struct Round {
    let peer: Int
    let kept: Range<Int>
    let sent: Range<Int>
  }

  let rounds: [Round]
  /// What is left to this rank after all rounds.
  let owned: Range<Int>

  /// Borders lie at multiples of this many floats from the start: one cache line, one vector of kernels.
  static let alignment = 16

  /// - Parameter rankCount: A power of two.
  init(_ range: Range<Int>, rank: Int, rankCount: Int) {
    var rounds: [Round] = []
    var rest = range
    var distance = 1
    while distance < rankCount {
      let half = (rest.count / 2 + Self.alignment - 1) / Self.alignment * Self.alignment
      let middle = min(rest.upperBound, rest.lowerBound + half)
      let lower = rest.lowerBound..<middle
      let upper = middle..<rest.upperBound
      let keepsLower = rank & distance == 0
      rounds.append(
        Round(peer: rank ^ distance, kept: keepsLower ? lower : upper, sent: keepsLower ? upper : lower))
      rest = keepsLower ? lower : upper
      distance *= 2
    }
    self.rounds = rounds
    owned = rest
  }
}

/// Contiguous shares of a range in the order of ranks, for rank counts that cannot be halved.
struct EvenShares {
  let ranges: [Range<Int>]

  init(_ range: Range<Int>, rankCount: Int) {
    let blocks = (range.count + HalvingPlan.alignment - 1) / HalvingPlan.alignment
    func border(_ rank: Int) -> Int {
      min(range.upperBound, range.lowerBound + blocks * rank / rankCount * HalvingPlan.alignment)
    }
    ranges = (0..<rankCount).map { border($0)..<border($0 + 1) }
  }
}

/// sums += terms.
func add(_ terms: UnsafePointer<Float>, to sums: UnsafeMutablePointer<Float>, count: Int) {
  for index in 0..<count { sums[index] += terms[index] }
}
