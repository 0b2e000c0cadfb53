import CommandSupport
import Foundation
import Tensors

/// Measures what a prediction needs beside a study's runs, and says how near it comes to them.
struct ProjectionStudy {
  var study: ScalingStudy
  var counts: [ScalingStudy.Count]
  /// In place of the network between the study's ranks; nil for that one.
  var network: Projection.Network?

  /// What was measured between ranks.
  struct Fit: Encodable {
    var ranks: Int
    var network: Projection.Network
    var hiddenSecondsPerByte: Double

    enum CodingKeys: String, CodingKey {
      case ranks, network
      case hiddenSecondsPerByte = "hidden_seconds_per_byte"
    }
  }

  /// A prediction, for people and, but for `text`, for programs.
  struct Result: Encodable {
    /// nil where one rank alone was measured.
    var fit: Fit?
    /// What was predicted for.
    var network: Projection.Network
    var predicted: [Projection.Row]
    var text: String

    enum CodingKeys: String, CodingKey { case fit, network, predicted }
  }

  /// Steps of one lane group, exchanges of several sizes between the most ranks, and the prediction up to 1024 ranks.
  ///
  /// - Precondition: There is a network to predict for: one that was chosen, or several ranks.
  /// - Throws: `InputError` where a run fails.
  func run() throws(InputError) -> Result {
    var lines: [String] = []
    var fit: Fit?
    if let most = counts.map(\.ranks).max(), most > 1 {
      let fitted = Projection.fit(try exchanges(ranks: most), ranks: most)
      lines.append(
        String(
          format: "measured between %d ranks: latency %.1f us, %.3f GB/s; hidden bytes take %.2f ns each", most,
          fitted.network.latency * 1e6, fitted.network.bandwidth / 1e9, fitted.pollSecondsPerByte * 1e9))
      fit = Fit(ranks: most, network: fitted.network, hiddenSecondsPerByte: fitted.pollSecondsPerByte)
    }
    guard let network = network ?? fit?.network else {
      preconditionFailure("one rank alone has no network to predict for")
    }
    let measured = counts.first { $0.ranks == 1 }?.runs
    let whole = if let measured { measured } else { try runs(batch: study.batchSize) }
    let wholeSeconds = median(whole.map(\.stepSeconds))
    let smallSeconds = median(try runs(batch: 16).map(\.stepSeconds))
    let groups = (Double(study.batchSize) / 16).rounded(.up)
    let groupSeconds = max(0, wholeSeconds - smallSeconds) / max(1, groups - 1)
    let buckets = whole[0].bucketBytes.indices.map { bucket in
      Projection.Bucket(
        bytes: Double(whole[0].bucketBytes[bucket]), lead: median(whole.map { $0.bucketLeadSeconds[bucket] }))
    }
    let projection = Projection(
      network: network, pollSecondsPerByte: fit?.hiddenSecondsPerByte ?? 0,
      fixedSeconds: max(0, smallSeconds - groupSeconds), groupSeconds: groupSeconds, buckets: buckets,
      mode: study.mode, batchSize: study.batchSize)
    let ranks = (0...10).map { 1 << $0 }
    let fitting = ranks.filter(study.fits)
    lines += ["", projection.text(fitting)]
    if fitting.count < ranks.count {
      lines.append(
        "A batch of \(study.batchSize) images ends here: more ranks would have none, and training refuses them.")
    }
    if self.network == nil { lines += comparison(projection) }
    return Result(
      fit: fit, network: network, predicted: fitting.map(projection.row), text: lines.joined(separator: "\n"))
  }

  /// Measured and predicted efficiency side by side; of counts whose efficiency is against one rank.
  private func comparison(_ projection: Projection) -> [String] {
    guard counts.first?.ranks == 1 else { return [] }
    return counts.dropFirst().map { count in
      let (measured, predicted) = (median(count.efficiencies), projection.row(count.ranks).efficiency)
      return String(
        format: "%d ranks: efficiency measured %.1f %%, predicted %.1f %%: %+.1f %%", count.ranks, 100 * measured,
        100 * predicted, 100 * (predicted / measured - 1))
    }
  }

  private func runs(batch: Int) throws(InputError) -> [ScalingStudy.Run] {
    var runs: [ScalingStudy.Run] = []
    for _ in 0..<study.repetitions { runs.append(try ScalingStudy.Run(answer(study.command(ranks: 1, batch: batch)))) }
    return runs
  }

  private func exchanges(ranks: Int) throws(InputError) -> [Projection.Exchange] {
    let command = study.command(ranks: ranks, batch: study.batch(of: ranks), more: ["--exchange"])
    return (try answer(command)["exchanges"] as? [[String: Double]] ?? []).compactMap { entry in
      guard let bytes = entry["bytes"], let seconds = entry["seconds"], let polling = entry["poll_seconds"] else {
        return nil
      }
      return Projection.Exchange(bytes: bytes, seconds: seconds, pollSeconds: polling)
    }
  }

  private func answer(_ command: [String]) throws(InputError) -> [String: Any] {
    do throws(JSONCommand.Failure) { return try JSONCommand.run(command) } catch {
      throw InputError("--project", found: "'\(command.joined(separator: " "))' failed: \(error.reason)")
    }
  }
}
