import Testing

@testable import Training

@Suite struct HeartbeatTests {
  @Test(
    "a log that says nothing says after a minute that the run goes on, then every ten; not where it says something else"
  )
  func silence() {
    let start = ContinuousClock.now
    var heartbeat = Heartbeat(start)
    func isDue(_ seconds: Int) -> Bool { heartbeat.isDue(start + .seconds(seconds)) }
    func speak(_ seconds: Int) { heartbeat.reset(start + .seconds(seconds)) }
    #expect(!isDue(59))
    speak(59)
    #expect(!isDue(100))
    #expect(isDue(119))
    speak(119)
    #expect(!isDue(700))
    #expect(isDue(719))
  }

  @Test("a line in a long silence has the pace since the work began, and is in no bar's way")
  func lines() throws {
    var (lines, shown): ([String], [Double]) = ([], [])
    let console = RunConsole(
      line: { lines.append($0) }, warn: { _ in }, progress: { fraction, _ in shown.append(fraction) })
    let voice = RunVoice(console, log: nil, isHeard: true)
    let now = ContinuousClock.now
    voice.beginWork()
    // A resumed epoch: half of it was done before.
    voice.progress(0.5, at: now) { "epoch 1" }
    voice.progress(0.6, at: now + .seconds(30)) { "epoch 1" }
    voice.progress(0.7, at: now + .seconds(60)) { "epoch 1" }
    voice.progress(0.8, at: now + .seconds(90)) { "epoch 1" }
    #expect(lines == ["         epoch 1, 70 %, 1:30 to go"])
    #expect(shown == [0.5, 0.6, 0.7, 0.8])
    RunVoice(console, log: nil, isHeard: false).line("of another rank")
    #expect(lines.count == 1)
  }
}
