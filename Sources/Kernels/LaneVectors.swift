/// Columns `stride` floats apart, of which `lanes` are computed: all 16, or the first 8.
///
/// A column takes one vector or several. Where a vector holds 16 numbers and no more than 8 lanes images, it takes half of one:
/// then a vector is two columns.
struct LaneVectors<let lanes: Int> {
  let stride: Int

  /// Columns that one vector holds; 1 where it takes several.
  @inline(__always)
  static var perVector: Int { max(1, Vector.scalarCount / lanes) }

  /// Columns of so many vectors.
  @inline(__always)
  static func count(vectors: Int) -> Int { vectors * Vector.scalarCount / lanes }

  /// Offset in floats of a vector from the first.
  @inline(__always)
  func offset(_ vector: Int) -> Int { Self.count(vectors: vector) * stride + lane(vector) }
  /// The first lane of a vector.
  @inline(__always)
  func lane(_ vector: Int) -> Int { vector * Vector.scalarCount % lanes }

  /// The vector whose first number is there.
  @inline(__always)
  func vector(at pointer: UnsafePointer<Float>) -> Vector {
    isPair ? loadEights(pointer, pointer + stride) : load(pointer)
  }

  /// Stores a vector where `vector(at:)` finds it.
  @inline(__always)
  func setVector(_ x: Vector, at pointer: UnsafeMutablePointer<Float>) {
    if isPair { storeEights(x, to: pointer, pointer + stride) } else { store(x, to: pointer) }
  }

  @inline(__always)
  private var isPair: Bool { lanes < Vector.scalarCount }
}
