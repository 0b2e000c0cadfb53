public import KernelInterface

/// Adds equally long vectors by a fixed binary tree, in the order in which they come.
///
/// ((p0 + p1) + (p2 + p3)) + …: with a power of two of parts the tree is complete, so that a rank's sum over its own parts
/// is a subtree of the sum over all ranks, and the bits do not depend on the number of ranks. At most ⌈log₂ parts⌉ + 1
/// vectors are held.
public final class CanonicalSum {
  private let kernels: any KernelSet
  private let count: Int
  /// Sums of 1, 2, 4, … parts: one for each level of the tree.
  private var buffers: [FloatBuffer] = []
  private var isFull: [Bool] = []
  /// A part that is computed apart from its left neighbour.
  private let apart: FloatBuffer

  /// Prepares sums of up to `parts` vectors of `count` floats.
  public init(count: Int, parts: Int, kernels: any KernelSet) {
    self.kernels = kernels
    self.count = count
    var depth = 0
    while 1 << depth < parts { depth += 1 }
    for _ in 0...depth {
      buffers.append(FloatBuffer(count: count))
      isFull.append(false)
    }
    apart = FloatBuffer(count: parts > 1 ? count : 0)
  }

  /// Adds the next vector, which `write` stores at the pointer it is given.
  ///
  /// - Parameter count: Floats of this sum's vectors, at most what was prepared; the same for every part of a sum.
  public func add(count: Int, write: (UnsafeMutablePointer<Float>) -> Void) {
    addInPlace(count: count) { sum, accumulating in
      guard accumulating else { return write(sum) }
      write(apart.pointer)
      kernels.addArray(apart.pointer, into: sum, count: count)
    }
  }

  /// Adds the next vector, which `write` stores or, where told so, adds to what is there, each element by one addition: that
  /// is the lowest level of the tree.
  public func addInPlace(count: Int, write: (_ sum: UnsafeMutablePointer<Float>, _ accumulating: Bool) -> Void) {
    precondition(count <= self.count, "the vector is longer than what was prepared")
    let sum = buffers[0].pointer
    write(sum, isFull[0])
    guard isFull[0] else {
      isFull[0] = true
      return
    }
    isFull[0] = false
    var level = 1
    while isFull[level] {
      kernels.addArray(buffers[level].pointer, into: sum, count: count)
      isFull[level] = false
      level += 1
    }
    buffers.swapAt(0, level)
    isFull[level] = true
  }

  /// The sum of all vectors added since the last call, valid until the next `add`; nil where there were none.
  public func finish(count: Int) -> UnsafePointer<Float>? {
    var sum: UnsafeMutablePointer<Float>?
    for level in buffers.indices where isFull[level] {
      if let rest = sum {
        // A number of parts that is no power of two: what is left over joins from the smallest subtree up.
        kernels.addArray(rest, into: buffers[level].pointer, count: count)
      }
      sum = buffers[level].pointer
      isFull[level] = false
    }
    return UnsafePointer(sum)
  }

  /// Writes the sum of all vectors added since the last call into `result`, or adds it to it.
  public func finish(into result: UnsafeMutablePointer<Float>, count: Int, accumulating: Bool) {
    guard let sum = finish(count: count) else {
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
