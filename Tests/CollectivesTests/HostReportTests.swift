import Foundation
import Testing

@testable import Collectives

extension MultiProcessTests {
  @Suite struct HostReportRunTests {
    @Test("all ranks see all ranks' cores and memory", arguments: [1, 2])
    func report(ranks: Int) throws {
      for report in try RankJob.reports(ranks: ranks, "host-report", "100000") {
        #expect(report.numbers["ranks"] == Double(ranks))
        #expect((report.numbers["cores"] ?? 0) >= 1)
        #expect((report.numbers["residentBytes"] ?? 0) > 1_048_576)
        #expect((report.numbers["peakResidentBytes"] ?? 0) >= (report.numbers["residentBytes"] ?? .infinity))
        #expect(report.texts["warnings"]?.contains("\(ranks * 100_000) threads") == true)
      }
    }
  }
}

@Suite struct HostReportTests {
  private func report(cores: [[Int]], threads: Int, leaders: [Int]) -> HostReport {
    HostReport(
      ranks: cores.enumerated().map {
        HostReport.Rank(
          rank: $0, host: "node\(leaders[$0])", cores: $1, hostCoreCount: 2, threads: threads, residentBytes: 0,
          peakResidentBytes: 0)
      },
      topology: Topology(hosts: leaders.map { "node\($0)" }, hostLeaders: leaders))
  }

  @Test("as many threads as cores is no reason for a warning")
  func enough() {
    #expect(report(cores: [[0], [1], [0], [1]], threads: 1, leaders: [0, 0, 2, 2]).warnings.isEmpty)
    #expect(report(cores: [[0, 1, 2, 3], [0, 1, 2, 3]], threads: 2, leaders: [0, 0]).warnings.isEmpty)
  }

  @Test("ranks with too few cores are counted; those that have all of their host's are not told to take more")
  func tooFew() {
    let bound = report(cores: [[0], [1]], threads: 4, leaders: [0, 0]).warnings
    #expect(
      bound == [
        "node0: 1 rank has 4 threads for 1 core: use fewer ranks or threads, or bind them to more cores (mpirun --bind-to none)"
      ])
    let free = report(cores: [[0, 1], [0, 1], [0, 1], [5]], threads: 1, leaders: [0, 0, 0, 3]).warnings
    #expect(free == ["node0: 3 ranks have 3 threads for 2 cores: use fewer ranks or threads"])
  }

  @Test("the kernel's status text is read")
  func status() {
    let text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\nCpus_allowed_list:\t0-2,7,9-9\nnonsense\nVmRSS\n"
    let status = ProcessStatus(text: text)
    #expect(status.cores == [0, 1, 2, 7, 9])
    #expect(status.residentBytes == 1 << 20)
    #expect(status.peakResidentBytes == 2 << 20)
    #expect(ProcessStatus(text: "Cpus_allowed_list:\t3-1,x\nVmRSS:\tmuch").cores.isEmpty)
  }

  @Test("hosts that are alike share a line, with their ranks and cores")
  func places() {
    let bound = report(cores: [[0], [1], [2], [0], [1], [2]], threads: 1, leaders: [0, 0, 0, 3, 3, 3])
    #expect(bound.places == ["node0 (ranks 0-2), node3 (ranks 3-5): 1 core each of 0-2"])
    let mixed = report(cores: [[0, 1], [0, 1], [7]], threads: 1, leaders: [0, 0, 2])
    #expect(mixed.places == ["node0 (ranks 0, 1): all on cores 0, 1", "node2 (rank 2): core 7"])
    let many = report(cores: Array(repeating: [0], count: 9), threads: 1, leaders: Array(0..<9))
    #expect(
      many.places == ["node0 (rank 0), node1 (rank 1), node2 (rank 2), node3 (rank 3) and 5 more hosts: core 0"])
  }

  @Test("uneven bindings are told rank by rank")
  func unevenCores() {
    #expect(HostReport.cores(of: [[0], [1, 2, 3]]) == "core 0; cores 1-3")
    #expect(HostReport.cores(of: [[0, 1], [1, 2]]) == "cores 0, 1; cores 1, 2")
    #expect(HostReport.cores(of: [[0], [0], [1], [1], [2], [2]]) == "core 0; core 0; core 1; core 1; and 2 more ranks")
    #expect(HostReport.cores(of: [[]]) == "cores unknown")
  }

  @Test("memory names the ranks that hold least and most")
  func memory() {
    func report(_ bytes: [Int]) -> HostReport {
      HostReport(
        ranks: bytes.enumerated().map {
          HostReport.Rank(
            rank: $0, host: "a", cores: [0], hostCoreCount: 1, threads: 1, residentBytes: $1, peakResidentBytes: $1)
        }, topology: Topology(hosts: bytes.map { _ in "a" }, hostLeaders: bytes.map { _ in 0 }))
    }
    #expect(report([3 << 20]).memory == "3 MiB")
    #expect(report([3 << 20, 1 << 20, 2 << 20]).memory == "1 MiB (rank 1) to 3 MiB (rank 0)")
  }
}
