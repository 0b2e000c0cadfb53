internal import Collectives
internal import Datasets
internal import Foundation
internal import Tensors

extension Configuration.Dataset {
  /// The data set with the folder that its files are in on this host; where none is named, they are found in the cache or
  /// downloaded into it.
  ///
  /// Collective: the lowest rank of each host that lacks the files downloads them, a few seconds at a time, and all ranks
  /// meet in between. So none waits longer in one operation than the watchdog allows, however slow the line.
  ///
  /// - Throws: `InputError` that says which files to put where; the same on all ranks.
  func provided(on communicator: Communicator, console: RunConsole) throws -> Configuration.Dataset {
    guard path == nil, DatasetDownload.isPublished(name) else { return self }
    let isLeader = communicator.topology.hostLeaders[communicator.rank] == communicator.rank
    let isMissing = isLeader && DatasetDownload.cached(name) == nil
    let hosts = Int(try communicator.sum([isMissing ? 1.0 : 0])[0])
    if hosts > 0 { try download(isMissing: isMissing, hosts: hosts, on: communicator, console: console) }
    var provided = self
    provided.path = CacheFolder.path()
    return provided
  }

  private func download(
    isMissing: Bool, hosts: Int, on communicator: Communicator, console: RunConsole
  ) throws {
    let task = "download the data set"
    let mirror = ProcessInfo.processInfo.environment["DPM_DATA_MIRROR"].flatMap { $0.isEmpty ? nil : $0 }
    let download = try communicator.agree(task, ranksAtWork: hosts) { () throws -> DatasetDownload? in
      guard isMissing else { return nil }
      if isOffline { throw DatasetDownload.unavailable(name, reason: "--offline forbids to download them") }
      return try DatasetDownload(name, mirror: mirror)
    }
    var isFinished = download == nil
    var wasTold = false
    while true {
      isFinished = try communicator.agree(task, ranksAtWork: hosts) {
        try isFinished || download?.advance(for: Self.meetingInterval) ?? true
      }
      let sums = try communicator.sum([
        isFinished ? 0 : 1, Double(download?.receivedBytes ?? 0), Double(download?.expectedBytes ?? 0),
      ])
      guard sums[0] > 0 else { break }
      if let signal = StopSignal(rawValue: try communicator.maximum(of: StopRequest.pending?.rawValue ?? 0)) {
        throw Stopped(by: signal, task: "downloading; what has arrived is kept")
      }
      guard communicator.isRankZero else { continue }
      let status = download?.status ?? "downloading \(name.rawValue.uppercased()) on other hosts"
      if !wasTold { console.line(status) }
      wasTold = true
      console.progress(sums[1] / max(1, sums[2])) {
        "\(status)  " + String(format: "%.0f of %.0f MB", sums[1] / 1e6, sums[2] / 1e6)
      }
    }
  }

  /// How long the ranks that download do so before they meet the others.
  private static let meetingInterval = Duration.milliseconds(500)
}
