import Foundation
import Testing

@testable import dpm_scaling

@Suite struct ProjectionTests {
  /// 100 ms of computation on one rank, hardly any of it repeated by all; a byte a nanosecond.
  private func projection(_ buckets: [Projection.Bucket], latency: Double = 0, poll: Double = 0) -> Projection {
    Projection(
      network: .init(name: "test", latency: latency, bandwidth: 1e9), pollSecondsPerByte: poll, fixedSeconds: 0,
      groupSeconds: 0.1 / 32, buckets: buckets, mode: .strong, batchSize: 512)
  }

  @Test("latency and bandwidth of an ideal network are found again", arguments: [2, 4, 8])
  func fit(ranks: Int) {
    let rounds = Double(2 * [2: 1, 4: 2, 8: 3][ranks, default: 0])
    let part = Double(ranks - 1) / Double(ranks)
    let measured = [0, 1e4, 1e5, 1e6, 1e7].map {
      Projection.Exchange(bytes: $0, seconds: rounds * 20e-6 + 2 * part * $0 / 0.5e9, pollSeconds: part * $0 * 3e-10)
    }
    let fit = Projection.fit(measured, ranks: ranks)
    #expect(abs(fit.network.latency - 20e-6) < 1e-12)
    #expect(abs(fit.network.bandwidth - 0.5e9) < 1)
    #expect(abs(fit.pollSecondsPerByte - 3e-10) < 1e-20)
  }

  @Test("a bandwidth that noise has hidden is null in files")
  func hiddenBandwidth() throws {
    let faster = [1e4, 1e6].map { Projection.Exchange(bytes: $0, seconds: 1e-3 - 1e-10 * $0, pollSeconds: 0) }
    let json = try JSONEncoder().encode(Projection.fit(faster, ranks: 2).network)
    #expect(String(decoding: json, as: UTF8.self).contains("\"bytes_per_second\":null"))
  }

  @Test("sums hide behind what is left of the backward pass, updates behind nothing")
  func hiding() {
    // 5 ms a bucket for two ranks; both leads are halved with the computation.
    let hidden = projection([.init(bytes: 10e6, lead: 0.04), .init(bytes: 10e6, lead: 0.02)]).row(2)
    #expect(abs(hidden.exposedSeconds - 0.010) < 1e-9)
    let last = projection([.init(bytes: 10e6, lead: 0.04), .init(bytes: 10e6, lead: 0)]).row(2)
    #expect(abs(last.exposedSeconds - 0.015) < 1e-9)
    // The second waits for the link, not only for its own completion.
    let queue = projection([.init(bytes: 20e6, lead: 0.01), .init(bytes: 10e6, lead: 0)]).row(2)
    #expect(abs(queue.exposedSeconds - 0.025) < 1e-9)
    #expect(abs(queue.stepSeconds - 0.075) < 1e-9 && abs(queue.efficiency - 0.05 / 0.075) < 1e-9)
  }

  @Test("rounds cost latency, and hidden bytes the processor's time")
  func costs() {
    let late = projection([.init(bytes: 0, lead: 0)], latency: 1e-3).row(8)
    // Three rounds for the sums, twice three for the message between, three for the updates.
    #expect(abs(late.exposedSeconds - 0.012) < 1e-9)
    let busy = projection([.init(bytes: 10e6, lead: 0.1)], poll: 1e-9).row(2)
    #expect(abs(busy.stepSeconds - (0.05 + 0.005 + 0.005)) < 1e-9)
    #expect(projection([.init(bytes: 10e6, lead: 0)]).row(1).efficiency == 1)
  }
}
