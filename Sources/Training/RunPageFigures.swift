internal import Foundation
internal import Reports
internal import Tensors

/// The figures that a run's page carries, read from the run's folder.
///
/// What changes most from epoch to epoch is there for many of them, evenly spread where all would be too many; what the
/// trajectory passes through, and the true images, for the newest epoch.
struct RunPageFigures {
  let folder: RunFolder

  /// Most bytes of one figure's files over all epochs, and of the files that are there for the newest epoch alone, so that a page
  /// stays below about 20 MB.
  private static let mostBytes = 2_000_000
  private static let mostBytesOfNewest = 6_000_000
  /// The files that show most, of every epoch that has figures.
  static let throughEpochs =
    RunFigures.Kind.allCases.map { "\($0.rawValue)-t0000.png" } + ["parameters.png", "gradients.png"]

  /// - Throws: `InputError` where a figure cannot be read.
  func figures() throws(InputError) -> [ReportPage.Figure] {
    // Of an epoch that a stop cut there may be none.
    let all = folder.figures().filter { !$0.names.isEmpty }
    guard let newest = all.last else { return [] }
    var figures: [ReportPage.Figure] = []
    for name in Self.throughEpochs {
      let epochs = all.filter { $0.names.contains(name) }.map(\.epoch)
      guard let last = epochs.last else { continue }
      let size = try Self.size(folder.figurePath(name, epoch: last))
      let shown = Self.spread(epochs, most: max(1, Self.mostBytes / max(1, size)))
      figures.append(try figure(name, shown, omitted: epochs.count - shown.count))
    }
    for name in try fitting(newest) { figures.append(try figure(name, [newest.epoch], omitted: 0)) }
    return figures
  }

  /// What is shown of the newest epoch alone, in alphabetical order.
  ///
  /// The true images, then the moments nearest to the image, as many as the page has room for: large images leave some to the folder.
  private func fitting(_ newest: (epoch: Int, names: [String])) throws(InputError) -> [String] {
    func time(_ name: String) -> Int {
      name.dropLast(4).split(separator: "-").last.flatMap { Int($0.dropFirst()) } ?? 0
    }
    var room = Self.mostBytesOfNewest
    var names: [String] = []
    let candidates = newest.names.filter { !Self.throughEpochs.contains($0) }
    for name in candidates.sorted(by: { (time($0), $0) < (time($1), $1) }) {
      room -= try Self.size(folder.figurePath(name, epoch: newest.epoch))
      if room >= 0 { names.append(name) }
    }
    return names.sorted()
  }

  private func figure(_ name: String, _ epochs: [Int], omitted: Int) throws(InputError) -> ReportPage.Figure {
    var images: [String] = []
    for epoch in epochs { images.append(try Self.read(folder.figurePath(name, epoch: epoch)).base64EncodedString()) }
    return ReportPage.Figure(name: Self.title(name), epochs: epochs, images: images, omitted: omitted)
  }

  /// Some of the epochs, the first and the last among them, evenly spread; the last alone where one is wanted.
  static func spread(_ epochs: [Int], most: Int) -> [Int] {
    guard epochs.count > most else { return epochs }
    guard most > 1 else { return epochs.suffix(1) }
    return (0..<most).map { epochs[$0 * (epochs.count - 1) / (most - 1)] }
  }

  /// `samples-t0200.png` as "samples, t = 200"; the end of the trajectory needs no time.
  static func title(_ name: String) -> String {
    let parts = name.dropLast(4).split(separator: "-")
    guard let kind = parts.first, let moment = parts.dropFirst().first else { return String(name.dropLast(4)) }
    guard moment.first == "t", let time = Int(moment.dropFirst()) else { return "\(kind), the \(moment) images" }
    return time == 0 ? String(kind) : "\(kind), t = \(time)"
  }

  /// A file's bytes.
  private static func size(_ path: String) throws(InputError) -> Int {
    guard let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber else {
      throw InputError(path, found: "cannot be read", expected: "a figure")
    }
    return size.intValue
  }

  /// - Throws: `InputError` where the file cannot be read.
  static func read(_ path: String) throws(InputError) -> Data {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw InputError(path, found: "cannot be read", expected: "a figure")
    }
    return data
  }
}
