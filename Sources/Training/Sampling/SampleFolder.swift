internal import Foundation
internal import Tensors

/// A folder with a picture for each sample: `00012.png`, and of posteriors `00012-true.png`, `00012-t300-start.png`, ….
struct SampleFolder {
  private let path: String

  init(_ path: String) { self.path = path }

  private var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

  private static func isPicture(_ name: String) -> Bool {
    name.wholeMatch(of: /[0-9]{5,}(-[a-z0-9]+)*\.png/) != nil
  }

  /// Something in it that no drawing has made, if there is any.
  var otherFile: String? { names.first { !Self.isPicture($0) } }

  /// Makes the folder where it does not exist, and takes the pictures of an earlier drawing out of it.
  ///
  /// - Throws: `InputError` with the system's text.
  func prepare() throws(InputError) {
    if mkdir(path, 0o777) != 0 && errno != EEXIST { throw InputError(systemFault: path) }
    for name in names where Self.isPicture(name) {
      if unlink("\(path)/\(name)") != 0 { throw InputError(systemFault: "\(path)/\(name)") }
    }
  }

  /// The file of a picture.
  func file(_ name: String) -> String { "\(path)/\(name).png" }
}
