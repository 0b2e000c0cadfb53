import Foundation

/// A picture of known mean colours: those that the repository carries, and more where DPM_DATA_DIR has a folder `images`.
public struct SamplePicture: Sendable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// Columns and rows as stored, not turned upright.
  public let size: [Int]
  /// Mean red, green and blue.
  public let means: [Double]

  /// How a test calls it.
  public var description: String { path.split(separator: "/").suffix(2).joined(separator: "/") }

  /// The folder of those that are carried.
  public static var folder: String { Bundle.module.bundleURL.appendingPathComponent("Pictures").path }

  /// The path of one that is carried.
  public static func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// All of them.
  public static let all: [SamplePicture] = {
    let more = ProcessInfo.processInfo.environment["DPM_DATA_DIR"].map { "\($0)/images" }
    return ([folder] + (more.map { [$0] } ?? [])).flatMap(read)
  }()

  /// Those of a folder's INDEX.tsv, whose first line names its columns.
  private static func read(_ folder: String) -> [SamplePicture] {
    let text = (try? String(contentsOfFile: "\(folder)/INDEX.tsv", encoding: .utf8)) ?? ""
    let rows = text.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
    guard let columns = rows.first else { return [] }
    return rows.dropFirst().map { row in
      let fields = Dictionary(zip(columns, row)) { first, _ in first }
      return SamplePicture(
        path: "\(folder)/\(fields["file"] ?? "")",
        size: ["width", "height"].compactMap { fields[$0].flatMap(Int.init) },
        means: ["mean_r", "mean_g", "mean_b"].compactMap { fields[$0].flatMap(Double.init) })
    }
  }
}
