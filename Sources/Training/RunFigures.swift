internal import Collectives
internal import Datasets
internal import Diffusion
internal import Figures
internal import Foundation
internal import KernelInterface
internal import Network
internal import Tensors

/// A run's figures: samples of three kinds, drawn by all ranks, parameters, gradients, progress.
///
/// Rank 0 looks at the numbers at once and draws in the background; the other ranks go on training.
final class RunFigures {
  /// What samples show.
  enum Kind: String, CaseIterable {
    case samples, inpainting, denoising
  }

  /// The noise that is taken away again, in standard deviations of the data.
  private static let noiseDeviation: Float = 1

  private let architecture: Architecture
  private let layout: ParameterLayout
  private let folder: RunFolder?
  private let communicator: Communicator
  private let trajectory: SampleTrajectory
  private let sampleCount: Int
  /// The test set's first images, which posteriors begin from.
  private let pictures: PictureLanes

  /// - Parameter folder: Where rank 0 writes; nil on other ranks.
  init(
    configuration: Configuration, test: ImageDataset, standardization: Standardization, schedule: NoiseSchedule,
    layout: ParameterLayout, folder: RunFolder?, communicator: Communicator, kernels: any KernelSet
  ) {
    architecture = configuration.model
    self.layout = layout
    self.folder = folder
    self.communicator = communicator
    trajectory = SampleTrajectory(
      standardization: standardization, schedule: schedule, architecture: architecture, layout: layout,
      communicator: communicator, threads: configuration.distributed.threads, kernels: kernels)
    sampleCount = configuration.output.sampleCount
    pictures = PictureLanes(
      pictures: (0..<min(sampleCount, test.count)).map { test.image(at: $0) },
      standardization: standardization)
  }

  /// Samples of an epoch's figures, of all kinds.
  var totalSampleCount: Int { Kind.allCases.reduce(0) { $0 + samples($1).count } }

  /// Makes an epoch's figures; collective.
  ///
  /// - Parameters:
  ///   - best: The parameters to sample with.
  ///   - parameters: Those that are trained.
  ///   - gradient: Of one of the epoch's steps; nil for no figure of it.
  ///   - progress: Told what fraction of the samples' way is done, equally often on all ranks; what it throws ends the work.
  /// - Returns: What is left to do on rank 0, in the background, a figure at a time; nil elsewhere.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their samples.
  func draw(
    epoch: Int, best: FloatBuffer, parameters: FloatBuffer, gradient: FloatBuffer?, progress: (Double) throws -> Void
  ) throws -> [BackgroundWork.Piece]? {
    var grids: [(name: String, grid: ImageGrid)] = []
    let drawn = try trajectory.draw(best, Kind.allCases.map(samples), progress: progress)
    for (kind, moments) in zip(Kind.allCases, drawn) where folder != nil {
      for moment in moments {
        let time = String(format: "%04d", moment.time)
        grids.append(
          (
            "\(kind.rawValue)-t\(time).png",
            grid(
              moment.levels,
              "\(kind.rawValue) · epoch \(epoch) · t = \(moment.time) of \(architecture.trajectoryLength) · seed "
                + "\(SampleTrajectory.seed)")
          ))
      }
      if kind != .samples {
        grids.append(
          ("\(kind.rawValue)-true.png", grid(pictures.pictures.flatMap { $0 }, "\(kind.rawValue) · the true images")))
      }
    }
    guard let folder else { return nil }
    let run = URL(fileURLWithPath: folder.path).lastPathComponent
    let cards = cards(of: parameters)
    let gradientCards = gradient.map { self.cards(of: $0) }
    typealias Piece = BackgroundWork.Piece
    func path(_ name: String) -> String { folder.figurePath(name, epoch: epoch) }
    var pieces = [Piece { () throws(InputError) in try folder.createFiguresFolder(epoch: epoch) }]
    for (name, grid) in grids {
      let path = path(name)
      pieces.append(Piece { () throws(InputError) in try grid.write(toPNG: path) })
    }
    let parameterSheet = TensorSheet(title: "\(run) · parameters after epoch \(epoch)", cards: cards)
    let parameterPath = path("parameters.png")
    pieces.append(Piece { () throws(InputError) in try parameterSheet.write(to: parameterPath) })
    if let gradientCards {
      let path = path("gradients.png")
      pieces.append(
        Piece { () throws(InputError) in
          try TensorSheet(
            title: "\(run) · gradient of the last full minibatch of epoch \(epoch)", cards: gradientCards,
            chart: ProgressFigure.layerGradients(folder.metrics.read())
          ).write(to: path)
        })
    }
    for type in ["png", "pdf"] {
      pieces.append(
        Piece { () throws(InputError) in
          try ProgressFigure.chart(folder.metrics.read(), untrained: folder.untrained.read(), title: run)
            .write(to: folder.figurePath("progress.\(type)"))
        })
      pieces.append(
        Piece { () throws(InputError) in
          try ProgressFigure.layers(folder.metrics.read(), title: run).write(to: folder.figurePath("layers.\(type)"))
        })
    }
    return pieces
  }

  private func samples(_ kind: Kind) -> SampleTrajectory.Portion {
    switch kind {
    case .samples: return SampleTrajectory.Portion(count: sampleCount)
    case .inpainting:
      let isKnown = InpaintingFactor.rightHalf(colors: architecture.colorCount, width: architecture.spatialWidth)
      return SampleTrajectory.Portion(count: pictures.pictures.count) { [pictures] numbers in
        InpaintingFactor(images: pictures.lanes(numbers), isKnown: isKnown)
      }
    case .denoising:
      return SampleTrajectory.Portion(count: pictures.pictures.count) { [pictures] numbers in
        DenoisingFactor(images: pictures.lanes(numbers), deviation: Self.noiseDeviation)
      }
    }
  }

  private func grid(_ levels: [UInt8], _ caption: String) -> ImageGrid {
    ImageGrid(
      levels: levels, colors: architecture.colorCount, width: architecture.spatialWidth, caption: caption)
  }

  /// A card for each tensor, in the order of the data's path; of the first dense layer also its rows as images.
  private func cards(of buffer: FloatBuffer) -> [TensorCard] {
    // Weights before biases.
    func place(_ name: String) -> String { name.replacing("bias", with: "x-bias") }
    let entries = layout.entries.sorted {
      place($0.name).compare(place($1.name), options: .numeric) == .orderedAscending
    }
    return entries.flatMap { entry -> [TensorCard] in
      let values = UnsafeBufferPointer(rebasing: UnsafeBufferPointer(buffer.elements)[entry.range])
      // What a first layer's filters look for shows in the image's own colours.
      let isFirstLayer = entry.name.hasPrefix("conv.0.") && entry.shape.count == 4
      let layout = isFirstLayer ? TensorCard.Layout.images(colors: entry.shape[1], width: entry.shape[3]) : nil
      var cards = [TensorCard(entry.name, shape: entry.shape, values: values, layout: layout)]
      if entry.name == "dense_lower.0.weight" {
        cards.append(
          TensorCard(
            "\(entry.name), as images", shape: entry.shape, values: values,
            layout: .images(colors: architecture.colorCount, width: architecture.spatialWidth)))
      }
      return cards
    }
  }
}
