import CommandSupport
import Figures
import Foundation
import Tensors

/// A study's numbers for people, spreadsheets and programs.
struct ScalingReport {
  var study: ScalingStudy
  var counts: [ScalingStudy.Count]
  /// nil where nothing was predicted.
  var projection: ProjectionStudy.Result?

  /// One number of ranks, medians over the rounds.
  private struct Row {
    var ranks: Int
    var imagesPerSecond: Double
    var speedUp: Double
    var efficiency: Double
    var lowest: Double
    var highest: Double
    /// Of what the machine allows; NaN where that was not measured.
    var ofLimit: Double
    /// Shares of the mean step; they add up to 1.
    var compute: Double
    var input: Double
    /// Of the slowest rank's computation, beyond the ranks' mean.
    var imbalance: Double
    /// Waiting for messages, beyond the wait for the slowest rank.
    var exposed: Double
    /// The optimizer's updates.
    var rest: Double
    var megabytesSent: Double
  }

  private var rows: [Row] {
    counts.map { count in
      func share(_ part: (ScalingStudy.Run) -> Double) -> Double {
        median(count.runs.map { part($0) / $0.stepSecondsMean })
      }
      let exposed = { (run: ScalingStudy.Run) in max(0, run.waitingSecondsMean - run.imbalanceSeconds) }
      let efficiency = median(count.efficiencies)
      return Row(
        ranks: count.ranks, imagesPerSecond: median(count.runs.map(\.imagesPerSecond)),
        speedUp: efficiency * Double(count.ranks) / Double(counts[0].ranks), efficiency: efficiency,
        lowest: count.efficiencies.min() ?? .nan, highest: count.efficiencies.max() ?? .nan,
        ofLimit: median(zip(count.runs, count.limits).map { $0.imagesPerSecond / $1 }),
        compute: share { $0.computeSecondsMean - $0.inputSeconds }, input: share(\.inputSeconds),
        imbalance: share(\.imbalanceSeconds), exposed: share(exposed),
        rest: share { $0.stepSecondsMean - $0.computeSecondsMean - $0.imbalanceSeconds - exposed($0) },
        megabytesSent: median(count.runs.map(\.bytesSentPerStep)) / 1e6)
    }
  }

  /// A table.
  var text: String {
    func percent(_ share: Double) -> String { share.isFinite ? String(format: "%5.1f %%", 100 * share) : "      -" }
    let rounds = Swift.Set(counts.map(\.runs.count)).sorted().map { "\($0)" }.joined(separator: " or ")
    var lines = [
      "\(study.mode.rawValue) scaling, batch \(study.batchSize)\(study.mode == .weak ? " a rank" : ""), medians of "
        + "\(rounds) rounds",
      "ranks    images/s  speed-up  efficiency (range)         of the limit  "
        + "compute    input  imbalance  exposed     rest  MB sent",
    ]
    for row in rows {
      let range = "(\(percent(row.lowest)) to \(percent(row.highest)))"
      lines.append(
        String(format: "%5d  %10.1f  %8.2f  ", row.ranks, row.imagesPerSecond, row.speedUp) + percent(row.efficiency)
          + " \(range)  " + percent(row.ofLimit) + "       " + percent(row.compute) + "  " + percent(row.input) + "    "
          + percent(row.imbalance) + "  " + percent(row.exposed) + "  " + percent(row.rest)
          + String(format: "  %7.2f", row.megabytesSent))
    }
    lines += [
      "Shares of the mean step: the ranks' mean computation and input, by how much the slowest rank's computation is above it,",
      "the wait for messages beyond that, and the rest: the update, and that all ranks agree on it. MB are a rank's, a step.",
    ]
    if rows.contains(where: { $0.ofLimit.isFinite }) {
      lines.append("The limit is as many jobs of one rank side by side: what this machine itself allows.")
    }
    return lines.joined(separator: "\n")
  }

  /// A line for each number of ranks.
  var csv: String {
    rows.reduce(
      "ranks,images_per_second,speed_up,efficiency,efficiency_lowest,efficiency_highest,of_limit,compute_share,"
        + "input_share,imbalance_share,exposed_communication_share,rest_share,megabytes_sent\n"
    ) {
      let numbers = [
        $1.imagesPerSecond, $1.speedUp, $1.efficiency, $1.lowest, $1.highest, $1.ofLimit, $1.compute, $1.input,
        $1.imbalance, $1.exposed, $1.rest, $1.megabytesSent,
      ]
      return $0 + "\($1.ranks)," + numbers.map { $0.isFinite ? "\($0)" : "" }.joined(separator: ",") + "\n"
    }
  }

  /// Speed-up beside the ideal line, and efficiency.
  var chart: LineChart {
    let rows = rows
    let base = Double(counts[0].ranks)
    return LineChart(
      title: "\(study.config ?? "mnist"), batch \(study.batchSize), \(study.mode.rawValue) scaling", xLabel: "ranks",
      hasWholeX: true,
      panels: [
        .init(
          "speed-up",
          series: [
            .init("measured", points: rows.map { (Double($0.ranks), $0.speedUp) }, hasMarks: true),
            .init("ideal", points: rows.map { (Double($0.ranks), Double($0.ranks) / base) }),
          ]),
        .init(
          "efficiency (%)",
          series: [
            .init(
              "", points: rows.map { (Double($0.ranks), 100 * $0.efficiency) },
              errors: rows.map { 50 * ($0.highest - $0.lowest) }, hasMarks: true)
          ], levels: [(100, "")], weight: 0.7),
      ])
  }

  /// All runs with all their numbers.
  var json: String {
    get throws(InputError) {
      struct Document: Encodable {
        var config: String?
        var mode: ScalingStudy.Mode
        var batch: Int
        var launcher: String
        var counts: [ScalingStudy.Count]
        var projection: ProjectionStudy.Result?
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      let document = Document(
        config: study.config, mode: study.mode, batch: study.batchSize, launcher: study.launcher.text,
        counts: counts, projection: projection)
      guard let data = try? encoder.encode(document) else {
        throw InputError("dpm-scaling", found: "a number that is not finite", expected: "measured numbers")
      }
      return String(decoding: data, as: UTF8.self)
    }
  }
}
