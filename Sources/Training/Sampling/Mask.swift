public import Tensors

/// Which pixels of a picture are known.
public enum Mask {
  /// A half of the picture.
  public enum Side: String, CaseIterable, Sendable { case left, right, top, bottom }

  /// A half is known.
  case side(Side)
  /// The middle is known, half as wide and high as the picture.
  case center
  /// Each pixel is known with this probability.
  case random(Double)
  /// Read for a picture of this width: [width][width].
  case pixels((_ width: Int) throws -> [Bool])

  /// A built-in mask by its name: left, right, top, bottom, center, random:0.5.
  ///
  /// - Throws: `InputError` for a name that is none.
  public init(_ name: String) throws(InputError) {
    if let side = Side(rawValue: name) {
      self = .side(side)
    } else if name == "center" {
      self = .center
    } else if name.hasPrefix("random:"), let share = Double(name.dropFirst(7)), (0...1).contains(share) {
      self = .random(share)
    } else {
      throw InputError(
        "--mask", found: "\"\(name)\"",
        expected: "left, right, top, bottom, center, random:SHARE (0 ... 1) or a picture's file: what is known")
    }
  }

  /// Whether a name is a built-in mask's, whatever files there are.
  public static func isBuiltIn(_ name: String) -> Bool {
    Side(rawValue: name) != nil || name == "center" || name.hasPrefix("random:")
  }

  /// Whether each of a picture's pixels is known: [width][width].
  func known(width: Int, seed: UInt64) throws -> [Bool] {
    let pixels = 0..<width * width
    switch self {
    case .side(.left): return pixels.map { $0 % width < width / 2 }
    case .side(.right): return pixels.map { $0 % width >= width / 2 }
    case .side(.top): return pixels.map { $0 / width < width / 2 }
    case .side(.bottom): return pixels.map { $0 / width >= width / 2 }
    case .center:
      let middle = width / 4..<width - width / 4
      return pixels.map { middle.contains($0 % width) && middle.contains($0 / width) }
    case .random(let share):
      let random = CounterRandom(seed: seed, purpose: .samplingMask, step: 0)
      return pixels.map { random.uniform(index: $0, element: 0) < share }
    case .pixels(let read): return try read(width)
    }
  }
}
