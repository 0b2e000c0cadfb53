import Collectives
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
  @Test("every thread runs every piece of work once, and all are done when run returns", arguments: [1, 2, 5])
  func rounds(count: Int) {
    let team = ThreadTeam(count: count)
    let calls = Mutex([Int](repeating: 0, count: count))
    for round in 1...200 {
      team.run { thread in calls.withLock { $0[thread] += 1 } }
      #expect(calls.withLock { $0 } == [Int](repeating: round, count: count))
    }
  }
}
