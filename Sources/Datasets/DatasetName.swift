import Tensors

/// The data sets that can be trained on.
public enum DatasetName: Equatable, Sendable {
  /// MNIST's handwritten digits, 28×28, grey; or any other set in files of the same names and format.
  case mnist
  /// CIFAR-10, 32×32, colour.
  case cifar10
  /// A folder of pictures, JPEG or PNG.
  case images
  /// ImageNet, or rather any folder of pictures, under the name that the reference's flag gives it.
  case imagenet
  /// Images that are drawn as they are needed.
  case procedural(ProceduralSet)

  /// All of them, in the order in which errors list them.
  public static let all = [mnist, cifar10, images, imagenet] + ProceduralSet.all.map { procedural($0) }

  /// Reads a name in any case, with or without hyphens: `MNIST`, `CIFAR10`, `cifar-10`, `DeadLeaves`.
  ///
  /// - Parameters:
  ///   - text: The name as the user wrote it.
  ///   - subject: The flag or key that it was given for, which the error names.
  /// - Throws: `InputError` with the names that are allowed.
  public init(_ text: String, subject: String = "dataset.name") throws(InputError) {
    func plain(_ name: String) -> String { name.lowercased().filter { $0 != "-" && $0 != "_" } }
    guard let name = Self.all.first(where: { plain($0.rawValue) == plain(text) }) else {
      let names = Self.all.map { $0.rawValue.uppercased() }
      let allowed = names.dropLast().joined(separator: ", ") + " or \(names.last ?? "")"
      throw InputError(subject, found: "\"\(text)\"", expected: allowed)
    }
    self = name
  }

  /// The name as configurations have it, in lower case.
  public var rawValue: String {
    switch self {
    case .mnist: "mnist"
    case .cifar10: "cifar10"
    case .images: "images"
    case .imagenet: "imagenet"
    case .procedural(let set): set.name
    }
  }

  /// The shape of the set's images: its own, or for sets that are made in any shape the one that is wanted.
  ///
  /// - Parameters:
  ///   - width: `model.spatial_width`; nil for the set's default.
  ///   - colors: `model.n_colors`; nil for three.
  /// - Throws: `InputError` for a number of colours that images are not made in.
  public func shape(width: Int?, colors: Int?) throws(InputError) -> ImageShape {
    let defaultWidth: Int
    switch self {
    case .mnist: return ImageShape(colors: 1, height: 28, width: 28)
    case .cifar10: return ImageShape(colors: 3, height: 32, width: 32)
    case .images, .imagenet: defaultWidth = 128
    case .procedural(let set): defaultWidth = set.defaultWidth
    }
    let (width, colors) = (width ?? defaultWidth, colors ?? 3)
    guard colors == 1 || colors == 3 else {
      throw InputError(
        "model.n_colors", found: "\(colors)",
        expected: "1 (grey) or 3 (red, green, blue), which \(rawValue.uppercased()) can be had in")
    }
    return ImageShape(colors: colors, height: width, width: width)
  }
}
