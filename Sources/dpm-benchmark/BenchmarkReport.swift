import Foundation
import Training

/// "2 rank(s)", and where they have several threads how many.
private func jobSize(ranks: Int, threads: Int) -> String {
  "\(ranks) rank(s)" + (threads > 1 ? " of \(threads) threads" : "")
}

extension StepBenchmark.Result {
  /// For people: a line a number.
  var report: String {
    let rate = gflopPerStep / stepSecondsMedian
    let memory = peakRssBytes.map { "\($0 >> 20)" }.joined(separator: ", ")
    return """
      \(config), batch \(batch), \(jobSize(ranks: ranks, threads: threads)), kernels \(kernels), OpenBLAS \(openBLASCore), \(cpu)
      images/s              \(String(format: "%10.1f", imagesPerSecond))
      step, median          \(String(format: "%10.5f s", stepSecondsMedian)) of \(steps)
      step, fastest         \(String(format: "%10.5f s", stepSecondsMin))
      forward and backward  \(String(format: "%10.5f s", forwardBackwardSeconds))
      communication, exposed\(String(format: "%10.5f s", exposedCommunicationSeconds))
      effective             \(String(format: "%10.1f GFLOP/s", rate)) (direct-convolution count)
      over the FMA peak     \(String(format: "%10.2f", effectiveOverPeak)) of \(ranks * threads) x \
      \(String(format: "%.1f GFLOP/s", peakGigaflops))
      peak memory           \(memory) MiB by rank
      """
  }
}

extension SampleBenchmark.Result {
  /// For people: a line a number.
  var report: String {
    """
    \(config), \(samples) sample(s), \(jobSize(ranks: ranks, threads: threads)), kernels \(kernels), \(cpu)
    whole trajectory      \(String(format: "%10.3f s", fullTrajectorySeconds)) of \(reverseSteps) steps
    reverse step          \(String(format: "%10.6f s", stepSeconds))
    images/s              \(String(format: "%10.2f", imagesPerSecond))
    """
  }
}

extension ExchangeBenchmark.Result {
  /// For people: a line a size.
  var report: String {
    "\(ranks) rank(s), sums to their owners and updates to all; what a sum takes from computation that hides it\n"
      + exchanges.map {
        String(format: "%10d bytes  %10.1f us  %10.1f us", $0.bytes, $0.seconds * 1e6, $0.pollSeconds * 1e6)
      }.joined(separator: "\n")
  }
}

extension ProfileTable {
  private static let passes = ["forward", "input_gradient", "weight_gradient"]

  /// For people: a row a layer, milliseconds and GFLOP/s for each pass; then the rest of the step.
  var report: String {
    var names: [String] = []
    for entry in entries where !names.contains(entry.name) { names.append(entry.name) }
    let header = ["ms (GFLOP/s)", "forward", "input gradient", "weight gradient", "sum", "of the step"]
    var lines = [Self.line(header)]
    for name in names {
      let own = entries.filter { $0.name == name }
      let seconds = own.reduce(0) { $0 + $1.seconds }
      let cells = Self.passes.map { pass in own.first { $0.pass == pass }.map(Self.cell) ?? "" }
      lines.append(
        Self.line(
          [name] + cells + [String(format: "%.2f", seconds * 1e3), Self.percent(seconds / stepSeconds)]))
    }
    lines.append(Self.line(["step, mean", "", "", "", String(format: "%.2f", stepSeconds * 1e3), "100.0 %"]))
    lines.append("noise, dequantization and objective: \(Self.percent(share(of: ["forward process", "objective"])))")
    lines.append("input: \(Self.percent(share(of: ["input"])))")
    return lines.joined(separator: "\n")
  }

  private static func cell(_ entry: Entry) -> String {
    String(format: "%.2f", entry.seconds * 1e3) + (entry.gigaflops.map { String(format: " (%.0f)", $0) } ?? "")
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

  private static func line(_ cells: [String]) -> String {
    cells.enumerated().map { index, cell in
      let padding = String(repeating: " ", count: max(0, (index == 0 ? 26 : 17) - cell.count))
      return index == 0 ? cell + padding : padding + cell
    }.joined()
  }
}
