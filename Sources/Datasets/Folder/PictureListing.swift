public import Tensors

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The pictures of a folder and its subfolders, shuffled, and which of them are tested with.
///
/// Shuffled, because figures, `--images` and the trivial models look at a set's first images, and the first files of a folder
/// are often of one kind.
///
/// Names are bytes: file systems hold names that are no text.
public struct PictureListing: Sendable {
  /// The names, relative to the folder: first those to train on, then those to test with.
  public let names: [[UInt8]]
  /// How many of them are to train on.
  public let trainCount: Int
  /// Depends on all names, sizes and times of last change.
  public let digest: String

  /// Lists a folder: files whose names end in .jpg, .jpeg or .png in any case, but not hidden ones.
  ///
  /// Links are followed; a folder that several lead to counts once.
  ///
  /// - Throws: `InputError` for a folder that cannot be read, and where there are less than two pictures.
  public init(of folder: String) throws(InputError) {
    var search = Search(root: folder)
    try search.visit([])
    let found = search.found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    guard found.count > 1 else {
      throw InputError(
        folder, found: found.isEmpty ? "no pictures" : "one picture",
        expected:
          "JPEG or PNG files (.jpg, .jpeg, .png) in it or its subfolders: some to train on, a tenth to test with")
    }
    var digest = Digest()
    for file in found {
      (file.name + [0]).withUnsafeBytes { digest.add($0) }
      withUnsafeBytes(of: file.size) { digest.add($0) }
      withUnsafeBytes(of: file.seconds) { digest.add($0) }
      withUnsafeBytes(of: file.nanoseconds) { digest.add($0) }
    }
    self.digest = digest.hexadecimal
    let draws = Self.draws(found.map(\.name))
    let isTest = Self.split(draws)
    let shuffled = found.indices.sorted { (draws[$0], $0) < (draws[$1], $1) }
    let (train, test) = (shuffled.filter { !isTest[$0] }, shuffled.filter { isTest[$0] })
    names = (train + test).map { found[$0].name }
    trainCount = train.count
  }

  /// A random number for each name, which depends on that name alone.
  private static func draws(_ names: [[UInt8]]) -> [Double] {
    let random = CounterRandom(seed: 0, purpose: .split, step: 0)
    return names.map { name in
      var digest = Digest()
      name.withUnsafeBytes { digest.add($0) }
      return random.uniform(index: Int(truncatingIfNeeded: digest.value), element: 0)
    }
  }

  /// A tenth, chosen by the name alone: a picture that is added moves no other one from training to test.
  private static func split(_ draws: [Double]) -> [Bool] {
    // Of few pictures chance could leave one of the sets empty.
    let least = draws.min() ?? 0
    let limit = max(0.1, least.nextUp)
    let isTest = draws.map { $0 < limit }
    guard !isTest.contains(false), let last = draws.indices.max(by: { draws[$0] < draws[$1] }) else { return isTest }
    return isTest.indices.map { $0 != last }
  }

  /// What other ranks need of it.
  public var encoded: [UInt8] { Array("\(trainCount)".utf8) + [0] + Array(names.joined(separator: [0])) }

  /// A listing that another rank made.
  ///
  /// - Parameter encoded: As `encoded` gave it.
  public init(encoded: [UInt8], digest: String) {
    let parts = encoded.split(separator: 0).map(Array.init)
    trainCount = Int(String(decoding: parts[0], as: UTF8.self)) ?? 0
    names = Array(parts.dropFirst())
    self.digest = digest
  }
}

/// A walk through a folder.
private struct Search {
  struct File {
    var name: [UInt8]
    var size: Int64 = 0
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
  }

  let root: String
  var found: [File] = []
  /// Device and number of folders that were visited: links may lead in circles.
  private var visited: Set<[UInt64]> = []

  init(root: String) { self.root = root }

  /// Visits a folder.
  ///
  /// - Parameter prefix: Its name relative to the root, with a slash at the end unless it is the root.
  mutating func visit(_ prefix: [UInt8]) throws(InputError) {
    guard let stream = opendir(path(prefix)) else {
      throw InputError(systemFault: printable(Array(root.utf8) + [0x2F] + prefix), expected: "a folder of pictures")
    }
    defer { closedir(stream) }
    var status = stat()
    guard fstat(dirfd(stream), &status) == 0,
      visited.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted
    else { return }
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name.0) {
        Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
      }
      if name.first != CChar(UInt8(ascii: ".")) { names.append(name.map { UInt8(bitPattern: $0) }) }
    }
    // Sorted, so that of several links to a folder always the same one counts.
    for name in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      let isPicture = Self.isPicture(name)
      guard stat(path(prefix + name), &status) == 0 else {
        // A link to nothing, say: the decoder will tell.
        if isPicture { found.append(File(name: prefix + name)) }
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: try visit(prefix + name + [0x2F])
      case S_IFREG where isPicture:
        found.append(
          File(
            name: prefix + name, size: Int64(status.st_size), seconds: Int64(status.st_mtim.tv_sec),
            nanoseconds: Int64(status.st_mtim.tv_nsec)))
      default: break
      }
    }
  }

  private func path(_ name: [UInt8]) -> [CChar] {
    (Array(root.utf8) + [0x2F] + name + [0]).map { CChar(bitPattern: $0) }
  }

  private static func isPicture(_ name: [UInt8]) -> Bool {
    let lower = String(decoding: name.suffix(5), as: UTF8.self).lowercased()
    return [".jpg", ".jpeg", ".png"].contains { lower.hasSuffix($0) }
  }
}
