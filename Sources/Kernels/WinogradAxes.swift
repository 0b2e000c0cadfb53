// Winograd's minimal algorithms in one dimension, for six and for four outputs of a filter of three weights. With the
// matrices of Lavin & Gray, section 4.1,
//
//     output = Aᵀ[(G g) ⊙ (Bᵀ x)]
//
// The points of F(6, 3) are, in this order, 0, 1, -1, 2, -2, ∞, ½, -½; those of F(4, 3) are the first six. The rows of its Bᵀ
// are scaled such that both have the G of F(6, 3): weights are transformed once for all tiles.

/// The vectors along one axis of a tile: of its pixels or of its points; a tile of four leaves the last unused.
typealias Line = InlineArray<8, Vector>
/// A transform of the vectors along one axis of a tile to those at its points.
protocol PointTransform {
  /// Vectors that are transformed.
  static var count: Int { get }
  /// Points: 8, or the first 6.
  static var points: Int { get }

  static func transform(_ x: Line) -> Line
}

/// One axis of a tile.
protocol WinogradAxis {
  /// Outputs.
  static var pixels: Int { get }
  /// Points, and inputs.
  static var points: Int { get }
  /// Bᵀ x.
  associatedtype Input: PointTransform
  /// A y.
  associatedtype OutputAdjoint: PointTransform

  /// B y, the adjoint of `Input`.
  static func inputAdjoint(_ y: Line) -> Line
  /// Rows 0, 2, 4 of Aᵀ m.
  static func evenOutputs(_ m: Line) -> InlineArray<3, Vector>
  /// Rows 1, 3, 5 of Aᵀ m.
  static func oddOutputs(_ m: Line) -> InlineArray<3, Vector>
}

@inline(__always) private func constant(_ value: Float) -> Vector { Vector(repeating: value) }

/// F(6, 3): six pixels, eight points.
enum SixPixels: WinogradAxis {
  static var pixels: Int { 6 }
  static var points: Int { 8 }

  enum Input: PointTransform {
    static var count: Int { 8 }
    static var points: Int { 8 }

    @inline(__always)
    static func transform(_ x: Line) -> Line {
      let evenOnes = multiplyAdd(x[2] + x[6], x[4], constant(-4.25))
      let oddOnes = multiplyAdd(x[1] + x[5], x[3], constant(-4.25))
      let evenTwos = multiplyAdd(multiplyAdd(x[6], x[2], constant(0.25)), x[4], constant(-1.25))
      let oddTwos = multiplyAdd(multiplyAdd(x[5] * 2, x[1], constant(0.5)), x[3], constant(-2.5))
      let evenHalves = multiplyAdd(multiplyAdd(x[6], x[2], constant(4)), x[4], constant(-5))
      let oddHalves = multiplyAdd(multiplyAdd(x[1] * 2, x[5], constant(0.5)), x[3], constant(-2.5))
      return [
        multiplyAdd(x[0] - x[6], x[4] - x[2], constant(5.25)),
        evenOnes + oddOnes,
        evenOnes - oddOnes,
        evenTwos + oddTwos,
        evenTwos - oddTwos,
        multiplyAdd(x[7] - x[1], x[3] - x[5], constant(5.25)),
        evenHalves + oddHalves,
        evenHalves - oddHalves,
      ]
    }
  }

  enum OutputAdjoint: PointTransform {
    static var count: Int { 6 }
    static var points: Int { 8 }

    @inline(__always)
    static func transform(_ y: Line) -> Line {
      let evenOnes = (y[0] + y[2]) + y[4]
      let oddOnes = (y[1] + y[3]) + y[5]
      let evenTwos = multiplyAdd(y[0], multiplyAdd(y[2], y[4], constant(4)), constant(4))
      let oddTwos = multiplyAdd(y[1], multiplyAdd(y[3], y[5], constant(4)), constant(4)) * 2
      let evenHalves = multiplyAdd(y[0], multiplyAdd(y[2], y[4], constant(0.25)), constant(0.25))
      let oddHalves = multiplyAdd(y[1], multiplyAdd(y[3], y[5], constant(0.25)), constant(0.25)) * 0.5
      return [
        y[0],
        evenOnes + oddOnes,
        evenOnes - oddOnes,
        evenTwos + oddTwos,
        evenTwos - oddTwos,
        y[5],
        evenHalves + oddHalves,
        evenHalves - oddHalves,
      ]
    }
  }

  @inline(__always)
  static func inputAdjoint(_ y: Line) -> Line {
    let (ones, twos, halves) = (y[1] + y[2], y[3] + y[4], y[6] + y[7])
    let (one, two, half) = (y[1] - y[2], y[3] - y[4], y[6] - y[7])
    return [
      y[0],
      multiplyAdd(multiplyAdd(one - y[5], two, constant(0.5)), half, constant(2)),
      multiplyAdd(multiplyAdd(multiplyAdd(ones, y[0], constant(-5.25)), twos, constant(0.25)), halves, constant(4)),
      multiplyAdd(multiplyAdd(y[5] * 5.25, one, constant(-4.25)), two + half, constant(-2.5)),
      multiplyAdd(
        multiplyAdd(multiplyAdd(y[0] * 5.25, ones, constant(-4.25)), twos, constant(-1.25)), halves, constant(-5)),
      multiplyAdd(multiplyAdd(multiplyAdd(one, y[5], constant(-5.25)), two, constant(2)), half, constant(0.5)),
      (ones - y[0]) + (twos + halves),
      y[5],
    ]
  }

  @inline(__always)
  static func evenOutputs(_ m: Line) -> InlineArray<3, Vector> {
    let (ones, twos, halves) = (m[1] + m[2], m[3] + m[4], m[6] + m[7])
    return [
      (m[0] + ones) + (twos + halves),
      multiplyAdd(multiplyAdd(ones, twos, constant(4)), halves, constant(0.25)),
      multiplyAdd(multiplyAdd(ones, twos, constant(16)), halves, constant(0.0625)),
    ]
  }

  @inline(__always)
  static func oddOutputs(_ m: Line) -> InlineArray<3, Vector> {
    let (one, two, half) = (m[1] - m[2], m[3] - m[4], m[6] - m[7])
    return [
      multiplyAdd(multiplyAdd(one, two, constant(2)), half, constant(0.5)),
      multiplyAdd(multiplyAdd(one, two, constant(8)), half, constant(0.125)),
      multiplyAdd(multiplyAdd(one + m[5], two, constant(32)), half, constant(0.03125)),
    ]
  }
}

/// F(4, 3): four pixels, the first six points.
enum FourPixels: WinogradAxis {
  static var pixels: Int { 4 }
  static var points: Int { 6 }

  enum Input: PointTransform {
    static var count: Int { 6 }
    static var points: Int { 6 }

    @inline(__always)
    static func transform(_ x: Line) -> Line {
      let evenOnes = multiplyAdd(x[4] * 0.75, x[2], constant(-3))
      let oddOnes = multiplyAdd(x[3] * 0.75, x[1], constant(-3))
      let evenTwos = (x[4] - x[2]) * 3.75
      let oddTwos = x[3] - x[1]
      return [
        multiplyAdd(multiplyAdd(x[0], x[2], constant(-1.25)), x[4], constant(0.25)),
        evenOnes + oddOnes,
        evenOnes - oddOnes,
        multiplyAdd(evenTwos, oddTwos, constant(7.5)),
        multiplyAdd(evenTwos, oddTwos, constant(-7.5)),
        multiplyAdd(multiplyAdd(x[5], x[3], constant(-5)), x[1], constant(4)),
        Vector(),
        Vector(),
      ]
    }
  }

  enum OutputAdjoint: PointTransform {
    static var count: Int { 4 }
    static var points: Int { 6 }

    @inline(__always)
    static func transform(_ y: Line) -> Line {
      let evenOnes = y[0] + y[2]
      let oddOnes = y[1] + y[3]
      let evenTwos = multiplyAdd(y[0], y[2], constant(4))
      let oddTwos = multiplyAdd(y[1], y[3], constant(4)) * 2
      return [
        y[0],
        evenOnes + oddOnes,
        evenOnes - oddOnes,
        evenTwos + oddTwos,
        evenTwos - oddTwos,
        y[3],
        Vector(),
        Vector(),
      ]
    }
  }

  @inline(__always)
  static func inputAdjoint(_ y: Line) -> Line {
    let (ones, twos) = (y[1] + y[2], y[3] + y[4])
    let (one, two) = (y[1] - y[2], y[3] - y[4])
    return [
      y[0],
      multiplyAdd(multiplyAdd(y[5] * 4, one, constant(-3)), two, constant(-7.5)),
      multiplyAdd(multiplyAdd(y[0] * -1.25, ones, constant(-3)), twos, constant(-3.75)),
      multiplyAdd(multiplyAdd(y[5] * -5, one, constant(0.75)), two, constant(7.5)),
      multiplyAdd(multiplyAdd(y[0] * 0.25, ones, constant(0.75)), twos, constant(3.75)),
      y[5],
      Vector(),
      Vector(),
    ]
  }

  @inline(__always)
  static func evenOutputs(_ m: Line) -> InlineArray<3, Vector> {
    let (ones, twos) = (m[1] + m[2], m[3] + m[4])
    return [(m[0] + ones) + twos, multiplyAdd(ones, twos, constant(4)), Vector()]
  }

  @inline(__always)
  static func oddOutputs(_ m: Line) -> InlineArray<3, Vector> {
    let (one, two) = (m[1] - m[2], m[3] - m[4])
    return [multiplyAdd(one, two, constant(2)), multiplyAdd(one + m[5], two, constant(8)), Vector()]
  }
}
