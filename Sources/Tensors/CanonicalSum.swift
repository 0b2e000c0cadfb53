public import KernelInterface

/// Adds equally long vectors by a fixed binary tree, in the order in which they come.
///
/// ((p0 + p1) + (p2 + p3)) + …: with a power of two of parts the tree is complete, so that a rank's sum over its own parts
/// is a subtree of the sum over all ranks, and the bits do not depend on the number of ranks. At most ⌈log₂ parts⌉ + 1
/// vectors are held.
public final class CanonicalSum {
  private let kernels: any KernelSet
  private let count: Int
  private var levels: [FloatBuffer] = []
  private var isFull: [Bool] = []

  /// Prepares sums of up to `parts` vectors of `count` floats.
  public init(count: Int, parts: Int, kernels: any KernelSet) {
    self.kernels = kernels
    self.count = count
    var depth = 0
    while 1 << depth < max(1, parts) { depth += 1 }
    for _ in 0...depth {
      levels.append(FloatBuffer(count: count))
      isFull.append(false)
    }
  }

  /// Adds the next vector; `part` is overwritten.
  ///
  /// - Parameter count: Floats of this sum's vectors, at most what was prepared; the same for every part of a sum.
  public func add(_ part: UnsafeMutablePointer<Float>, count: Int) {
    precondition(count <= self.count, "the vector is longer than what was prepared")
    var level = 0
    while isFull[level] {
      kernels.sumArrays(levels[level].pointer, part, into: part, count: count)
      isFull[level] = false
      level += 1
    }
    levels[level].pointer.update(from: part, count: count)
    isFull[level] = true
  }

  /// Writes the sum of all vectors added since the last call into `result`, or adds it to it.
  public func finish(into result: UnsafeMutablePointer<Float>, count: Int, accumulating: Bool) {
    var sum: UnsafeMutablePointer<Float>?
    for level in levels.indices where isFull[level] {
      if let rest = sum {
        // A number of parts that is no power of two: what is left over joins from the smallest subtree up.
        kernels.sumArrays(levels[level].pointer, rest, into: levels[level].pointer, count: count)
      }
      sum = levels[level].pointer
      isFull[level] = false
    }
    guard let sum else {
      if !accumulating { result.update(repeating: 0, count: count) }
      return
    }
    if accumulating {
      kernels.addArray(sum, into: result, count: count)
    } else {
      result.update(from: sum, count: count)
    }
  }
}
