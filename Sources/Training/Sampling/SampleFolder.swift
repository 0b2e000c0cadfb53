internal import Foundation
internal import Tensors

/// A folder with a picture for each sample: `00012.png`, and of posteriors `00012-true.png`, `00012-t300-start.png`, ….
struct SampleFolder {
  private let path: String

  init(_ path: String) { self.path = path }

  private static func isPicture(_ name: String) -> Bool {
    name.wholeMatch(of: /[0-9]{5,}(-[a-z0-9]+)*\.png/) != nil
  }

  /// Makes the folder where it does not exist.
  ///
  /// - Throws: `InputError` with the system's text.
  func make() throws(InputError) {
    if mkdir(path, 0o777) != 0 && errno != EEXIST { throw InputError(systemFault: path) }
  }

  /// The file of a picture.
  func file(_ name: String) -> String { "\(path)/\(name).png" }

  /// Pictures of an earlier drawing, which no user should take for one of these.
  func pictures(besides names: [String]) -> [String] {
    let own = Set(names.map { "\($0).png" })
    let all = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return all.filter { Self.isPicture($0) && !own.contains($0) }.sorted()
  }
}
