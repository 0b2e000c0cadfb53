internal import Figures
internal import Foundation
internal import Pictures
internal import Tensors

/// Writes samples as a grid, as a folder of pictures, as numbers for NumPy, or as an animation.
struct SampleOutput {
  let request: SampleRequest
  let colors: Int
  let width: Int
  /// Of a reconstruction.
  let times: [Int]
  /// The pictures that posteriors are of, in grey levels: [count][C][H][W].
  let truths: [Float]?
  /// One set, or one for each time of a reconstruction.
  let results: [SampleSet]

  private var elements: Int { colors * width * width }
  private var pictureCount: Int { (truths?.count ?? 0) / elements }

  /// Writes what the request's output asks for.
  ///
  /// - Returns: Pictures of an earlier drawing that lie in the same folder.
  /// - Throws: `InputError` where it cannot be written.
  func write() throws(InputError) -> [String] {
    switch request.format {
    case .grid:
      try grid(tiles.flatMap { $0.images }, columns: truths == nil ? nil : gridColumns).write(toPNG: request.output)
    case .folder: return try writeFolder()
    case .numpy: try writeNumPy()
    case .animation: try writeAnimation()
    }
    return []
  }

  /// A picture with its name.
  private struct Tile {
    var name: String
    var images: [Float]
  }

  private func image(_ index: Int, of images: [Float]) -> [Float] {
    Array(images[index * elements..<(index + 1) * elements])
  }

  /// All pictures in order: of a posterior its truth, its start, mean and deviation, and samples.
  private var tiles: [Tile] {
    func number(_ index: Int) -> String { String(format: "%05d", index) }
    guard let truths else {
      let samples = results[0].samples
      return (0..<samples.count / elements).map { Tile(name: number($0), images: image($0, of: samples)) }
    }
    let perPicture = request.samplesPerPicture
    return (0..<pictureCount).flatMap { picture -> [Tile] in
      var tiles = [Tile(name: "\(number(picture))-true", images: image(picture, of: truths))]
      if request.kind == .reconstruct {
        for (time, result) in zip(times, results) {
          tiles.append(Tile(name: "\(number(picture))-t\(time)-start", images: image(picture, of: result.starts)))
          tiles.append(Tile(name: "\(number(picture))-t\(time)", images: image(picture, of: result.samples)))
        }
        return tiles
      }
      let (starts, samples) = (results[0].starts, results[0].samples)
      tiles.append(Tile(name: "\(number(picture))-start", images: image(picture * perPicture, of: starts)))
      let own = (0..<perPicture).map { image(picture * perPicture + $0, of: samples) }
      if perPicture > 1 {
        let moments = moments(of: own)
        tiles.append(Tile(name: "\(number(picture))-mean", images: moments.mean))
        tiles.append(Tile(name: "\(number(picture))-deviation", images: moments.deviation))
      }
      for (sample, images) in own.enumerated() {
        tiles.append(Tile(name: "\(number(picture))" + (perPicture > 1 ? "-\(sample)" : ""), images: images))
      }
      return tiles
    }
  }

  /// Mean and standard deviation of each value over a picture's samples.
  private func moments(of samples: [[Float]]) -> (mean: [Float], deviation: [Float]) {
    let count = Float(samples.count)
    let mean = (0..<elements).map { element in samples.reduce(0) { $0 + $1[element] } / count }
    let deviation = (0..<elements).map { element in
      (samples.reduce(0) { $0 + ($1[element] - mean[element]) * ($1[element] - mean[element]) } / (count - 1))
        .squareRoot()
    }
    return (mean, deviation)
  }

  /// Whole pictures with all that belongs to them side by side, several in a row until the grid is about square; nil for a
  /// single picture, whose samples may be many.
  private var gridColumns: Int? {
    guard pictureCount > 1 || tiles.count <= 8 else { return nil }
    let perPicture = tiles.count / max(1, pictureCount)
    let side = (Double(pictureCount) / Double(perPicture)).squareRoot()
    return perPicture * max(1, Int(side.rounded()))
  }

  private func grid(_ images: [Float], columns: Int?) -> ImageGrid {
    var grid = ImageGrid(images: images, colors: colors, width: width)
    grid.fixedColumns = columns
    return grid
  }

  private func writeFolder() throws(InputError) -> [String] {
    let (folder, tiles) = (SampleFolder(request.output), tiles)
    try folder.make()
    for tile in tiles {
      try ImageGrid.write(
        tile.images.map(ImageGrid.level(of:)), colors: colors, width: width, toPNG: folder.file(tile.name))
    }
    return folder.pictures(besides: tiles.map(\.name))
  }

  private func writeNumPy() throws(InputError) {
    let values = results.flatMap(\.samples)
    var shape = [colors, width, width]
    switch request.kind {
    case .standard: shape.insert(values.count / elements, at: 0)
    case .inpaint, .denoise: shape.insert(contentsOf: [pictureCount, request.samplesPerPicture], at: 0)
    case .reconstruct: shape.insert(contentsOf: [times.count, pictureCount], at: 0)
    }
    // NPY version 1.0: magic, header's length, a Python dictionary padded to a multiple of 64, the numbers.
    let dictionary =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (\(shape.map(String.init).joined(separator: ", "))), }"
    let padding = (64 - (10 + dictionary.utf8.count + 1) % 64) % 64
    let header = dictionary + String(repeating: " ", count: padding) + "\n"
    let start: [UInt8] =
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)]
      + Array(header.utf8)
    try AtomicFile.write(to: request.output) { file throws(InputError) in
      try start.withUnsafeBufferPointer { bytes throws(InputError) in try file.append(UnsafeRawBufferPointer(bytes)) }
      try values.withUnsafeBufferPointer { bytes throws(InputError) in try file.append(UnsafeRawBufferPointer(bytes)) }
    }
  }

  private func writeAnimation() throws(InputError) {
    guard let result = results.first else { return }
    let first = grid(result.samples, columns: nil).pixels()
    var animation = GIFAnimation(width: first.width, height: first.height, isGrey: colors == 1)
    for (index, images) in result.images.enumerated() {
      let frame = grid(images, columns: nil).pixels()
      animation.append(frame.rgb, hundredths: index == result.images.count - 1 ? 300 : 6)
    }
    try animation.write(to: request.output)
  }
}
