import Foundation
import Synchronization
import Tensors
import Testing

@testable import Training

@Suite struct BackgroundWorkTests {
  /// What pieces note, from whichever thread.
  private final class Notes: Sendable {
    let values = Mutex<[Int]>([])
    func add(_ value: Int) { values.withLock { $0.append(value) } }
    var all: [Int] { values.withLock { $0 } }
  }

  private func finish(_ work: BackgroundWork) { while !work.advance(for: .milliseconds(50)) {} }

  @Test("who waits does what is left, at its own priority, in order and once")
  func takeOver() {
    let (work, order, priorities) = (BackgroundWork(), Notes(), Notes())
    let own = getpriority(__priority_which_t(0), 0)
    work.submit(
      (0..<40).map { number in
        .init {
          usleep(5000)
          order.add(number)
          priorities.add(Int(getpriority(__priority_which_t(0), 0)))
        }
      })
    #expect(!work.advance(for: .zero))
    finish(work)
    #expect(order.all == Array(0..<40))
    #expect(priorities.all.contains(Int(own)))
    // Where nobody waits, the thread does it.
    let count = order.all.count
    work.submit([.init { order.add(Int(getpriority(__priority_which_t(0), 0))) }])
    while order.all.count == count { usleep(1000) }
    #expect(order.all.last == Int(own) + 5)
  }

  @Test("a piece under way is not waited for longer than is allowed")
  func underWay() {
    let (work, order) = (BackgroundWork(), Notes())
    let gate = DispatchSemaphore(value: 0)
    work.submit([
      .init {
        order.add(0)
        gate.wait()
      }, .init { order.add(1) },
    ])
    while order.all.isEmpty { usleep(1000) }
    #expect(!work.advance(for: .milliseconds(20)))
    work.submitIfIdle(.init { order.add(2) })
    gate.signal()
    finish(work)
    #expect(order.all == [0, 1])
  }

  @Test("what a piece throws is told once, and the next pieces are done")
  func fault() {
    let (work, order) = (BackgroundWork(), Notes())
    work.submit([
      .init { order.add(0) }, .init { () throws(InputError) in throw InputError("figure", found: "a full disk") },
      .init { order.add(1) },
    ])
    finish(work)
    #expect(work.takeFault()?.description.hasPrefix("figure: a full disk") == true && work.takeFault() == nil)
    #expect(order.all == [0, 1])
  }
}
