public import KernelInterface

/// Adds equally long vectors by a fixed binary tree, in the order in which they come.
///
/// ((p0 + p1) + (p2 + p3)) + …: with a power of two of parts the tree is complete, so that a rank's sum over its own parts
/// is a subtree of the sum over all ranks, and the bits do not depend on the number of ranks. At most ⌈log₂ parts⌉ + 1
/// vectors are held.
public final class CanonicalSum {
  private let kernels: any KernelSet
  private let count: Int
  /// Sums of 1, 1, 2, 4, … parts: one to write the next part into, then one for each level of the tree.
  private var buffers: [FloatBuffer] = []
  private var isFull: [Bool] = []

  /// Prepares sums of up to `parts` vectors of `count` floats.
  public init(count: Int, parts: Int, kernels: any KernelSet) {
    self.kernels = kernels
    self.count = count
    var depth = 1
    while 1 << depth < max(2, parts) { depth += 1 }
    for _ in 0...depth + 1 {
      buffers.append(FloatBuffer(count: count))
      isFull.append(false)
    }
  }

  /// Adds the next vector, which `write` stores at the pointer it is given.
  ///
  /// - Parameter count: Floats of this sum's vectors, at most what was prepared; the same for every part of a sum.
  public func add(count: Int, write: (UnsafeMutablePointer<Float>) -> Void) {
    precondition(count <= self.count, "the vector is longer than what was prepared")
    guard isFull[0] else {
      write(buffers[0].pointer)
      isFull[0] = true
      return
    }
    write(buffers[buffers.count - 1].pointer)
    isFull[0] = false
    let right = buffers[buffers.count - 1].pointer
    var left = buffers[0].pointer
    var level = 1
    while isFull[level] {
      kernels.sumArrays(left, right, into: right, count: count)
      isFull[level] = false
      left = buffers[level].pointer
      level += 1
    }
    kernels.sumArrays(left, right, into: buffers[level].pointer, count: count)
    isFull[level] = true
  }

  /// Writes the sum of all vectors added since the last call into `result`, or adds it to it.
  public func finish(into result: UnsafeMutablePointer<Float>, count: Int, accumulating: Bool) {
    var sum: UnsafeMutablePointer<Float>?
    for level in buffers.indices where isFull[level] {
      if let rest = sum {
        // A number of parts that is no power of two: what is left over joins from the smallest subtree up.
        kernels.sumArrays(buffers[level].pointer, rest, into: buffers[level].pointer, count: count)
      }
      sum = buffers[level].pointer
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
