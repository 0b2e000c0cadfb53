import CommandSupport
import Foundation
import Tensors

/// The same training step on several numbers of ranks, in turn.
///
/// Speeds of shared machines drift, so all counts are run once before any is run again, and an efficiency compares runs of
/// the same round only.
struct ScalingStudy {
  /// How the batch depends on the number of ranks.
  enum Mode: String, Encodable, CaseIterable {
    /// The same batch, shared out.
    case strong
    /// The same batch for every rank.
    case weak
  }

  /// One run of `dpm-benchmark`; the units are its own.
  struct Run: Encodable {
    var ranks: Int
    var imagesPerSecond: Double
    var stepSeconds: Double
    var stepSecondsMean: Double
    var computeSecondsMean: Double
    var imbalanceSeconds: Double
    var waitingSecondsMean: Double
    var computeSecondsByRank: [Double]
    var exposedCommunicationSeconds: Double
    var communicationSeconds: Double
    var bucketLeadSeconds: [Double]
    var inputSeconds: Double
    var bytesSentPerStep: Double
    var bucketBytes: [Int]

    enum CodingKeys: String, CodingKey {
      case ranks
      case imagesPerSecond = "images_per_second"
      case stepSeconds = "step_seconds_median"
      case stepSecondsMean = "step_seconds_mean"
      case computeSecondsMean = "compute_seconds_mean"
      case imbalanceSeconds = "imbalance_seconds"
      case waitingSecondsMean = "waiting_seconds_mean"
      case computeSecondsByRank = "compute_seconds_by_rank"
      case exposedCommunicationSeconds = "exposed_communication_seconds"
      case communicationSeconds = "communication_seconds"
      case bucketLeadSeconds = "bucket_lead_seconds"
      case inputSeconds = "input_seconds"
      case bytesSentPerStep = "bytes_sent_per_step"
      case bucketBytes = "bucket_bytes"
    }

    init(_ answer: [String: Any]) throws(InputError) {
      func value<Value>(_ key: CodingKeys) throws(InputError) -> Value {
        guard let value = answer[key.rawValue] as? Value else {
          throw InputError("dpm-benchmark", found: "an answer without \(key.rawValue)", expected: "this version's")
        }
        return value
      }
      ranks = try value(.ranks)
      imagesPerSecond = try value(.imagesPerSecond)
      stepSeconds = try value(.stepSeconds)
      stepSecondsMean = try value(.stepSecondsMean)
      computeSecondsMean = try value(.computeSecondsMean)
      imbalanceSeconds = try value(.imbalanceSeconds)
      waitingSecondsMean = try value(.waitingSecondsMean)
      computeSecondsByRank = try value(.computeSecondsByRank)
      exposedCommunicationSeconds = try value(.exposedCommunicationSeconds)
      communicationSeconds = try value(.communicationSeconds)
      bucketLeadSeconds = try value(.bucketLeadSeconds)
      inputSeconds = try value(.inputSeconds)
      bytesSentPerStep = try value(.bytesSentPerStep)
      bucketBytes = try value(.bucketBytes)
    }
  }

  /// A number of ranks with all its runs.
  struct Count: Encodable {
    var ranks: Int
    var runs: [Run]
    /// Images per second of as many single-rank jobs side by side, a number a round: what the machine itself allows.
    ///
    /// Empty where they would not share this machine.
    var limits: [Double]
    /// Of each round: images/s over those of the fewest ranks, times the ratio of the counts.
    var efficiencies: [Double]
  }

  /// What was measured: everything, or what came before a run that failed.
  struct Outcome {
    var counts: [Count]
    var failure: InputError?
  }

  var config: String?
  var settings: [String]
  var batchSize: Int
  /// Threads of a rank.
  var threads: Int
  var counts: [Int]
  var mode: Mode
  var launcher: RankLauncher
  var steps: Int
  var repetitions: Int
  var measuresLimit: Bool

  /// Runs everything, until a run fails.
  ///
  /// - Parameter progress: Told of every run; what it throws ends the study.
  func run(progress: (String) throws(InputError) -> Void) -> Outcome {
    var results = counts.map { Count(ranks: $0, runs: [], limits: [], efficiencies: []) }
    var failure: InputError?
    do throws(InputError) {
      // What the launcher cannot start is known before the long runs.
      if counts.count > 1 { for count in counts { _ = try run(ranks: count, steps: 1) } }
      for repetition in 1...repetitions {
        for (index, count) in counts.enumerated() {
          let run = try run(ranks: count, steps: steps)
          results[index].runs.append(run)
          let base = results[0].runs[repetition - 1].imagesPerSecond / Double(counts[0])
          results[index].efficiencies.append(run.imagesPerSecond / Double(count) / base)
          var line = "round \(repetition), \(count) rank(s): \(format(run.imagesPerSecond))"
          if measuresLimit && count > 1 {
            let limit = try sideBySide(count)
            results[index].limits.append(limit)
            line += ", \(count) jobs of one rank side by side: \(format(limit))"
          }
          try progress(line)
        }
      }
    } catch { failure = error }
    return Outcome(counts: results.filter { !$0.runs.isEmpty }, failure: failure)
  }

  private func format(_ rate: Double) -> String { String(format: "%.1f images/s", rate) }

  /// Runs on so many ranks.
  private func run(ranks: Int, steps: Int) throws(InputError) -> Run {
    let command = command(ranks: ranks, batch: batch(of: ranks), steps: steps)
    let run = try Run(answers([command], flag: "--launcher", expected: "a command that starts \(ranks) rank(s)")[0])
    guard run.ranks == ranks else {
      throw InputError(
        "--launcher",
        found: "'\(launcher.words(ranks: ranks).joined(separator: " "))', which starts \(run.ranks) rank(s)",
        expected: "a command that starts \(ranks)")
    }
    return run
  }

  /// Images per second of the share of one rank, `count` times at once; without a launcher, which would bind each to the
  /// first core.
  private func sideBySide(_ count: Int) throws(InputError) -> Double {
    let single = command(ranks: 1, batch: max(1, batch(of: count) / count), isLaunched: false)
    var sum = 0.0
    for answer in try answers(Array(repeating: single, count: count), flag: "dpm-benchmark") {
      sum += try Run(answer).imagesPerSecond
    }
    return sum
  }

  /// Images of a minibatch over so many ranks.
  func batch(of ranks: Int) -> Int { mode == .strong ? batchSize : batchSize * ranks }

  /// Whether so many ranks have an image each, for each of their threads.
  func fits(ranks: Int) -> Bool { ranks * threads <= batch(of: ranks) }

  /// What one run is started by.
  func command(
    ranks: Int, batch: Int, isLaunched: Bool = true, steps: Int? = nil, more: [String] = []
  ) -> [String] {
    let program = URL(fileURLWithPath: JSONCommand.ownPath).deletingLastPathComponent().appendingPathComponent(
      "dpm-benchmark")
    return (isLaunched ? launcher.words(ranks: ranks) : []) + [program.path] + (config.map { [$0] } ?? [])
      + settings.flatMap { ["--set", $0] }
      + ["--batch-size", "\(batch)", "--steps", "\(steps ?? self.steps)", "--json"] + more
  }

  /// Runs commands at the same time.
  private func answers(
    _ commands: [[String]], flag: String, expected: String = ""
  ) throws(InputError) -> [[String: Any]] {
    do throws(JSONCommand.Failure) {
      var running: [JSONCommand.Running] = []
      for command in commands { running.append(try JSONCommand.start(command)) }
      var answers: [[String: Any]] = []
      for job in running { answers.append(try job.object()) }
      return answers
    } catch {
      throw InputError(
        flag, found: "'\(commands.first?.joined(separator: " ") ?? "")' failed: \(error.reason)", expected: expected)
    }
  }
}
