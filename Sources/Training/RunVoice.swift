internal import Foundation

/// How rank 0 speaks of a run: to its user, and into the run's log; other ranks say nothing.
///
/// Where no bar shows that a long epoch goes on, and in the log, a line now and then does.
final class RunVoice {
  private let console: RunConsole
  private let log: RunLog?
  private let isHeard: Bool
  private var heartbeat = Heartbeat(.now)
  /// The first that was shown of the work under way: its pace is measured from there.
  private var start: (fraction: Double, time: ContinuousClock.Instant)?

  /// - Parameters:
  ///   - log: Nil where nothing is written.
  ///   - isHeard: Whether this is rank 0.
  init(_ console: RunConsole, log: RunLog?, isHeard: Bool) {
    self.console = console
    self.log = log
    self.isHeard = isHeard
  }

  /// Says a line.
  func line(_ text: String) { line(text, at: .now) }

  private func line(_ text: String, at now: ContinuousClock.Instant) {
    guard isHeard else { return }
    console.line(text)
    log?.append(text)
    heartbeat.reset(now)
  }

  /// Warns.
  func warn(_ text: String) {
    guard isHeard else { return }
    console.warn(text)
    log?.append("warning: \(text)")
  }

  /// Begins work whose progress will be shown.
  func beginWork() { start = nil }

  /// Shows what fraction of the work is done.
  func progress(_ fraction: Double, at now: ContinuousClock.Instant = .now, _ text: () -> String) {
    guard isHeard else { return }
    console.progress(fraction, text)
    guard let start else { return start = (fraction, now) }
    guard fraction > start.fraction, heartbeat.isDue(now) else { return }
    let rest = start.time.duration(to: now).seconds * (1 - fraction) / (fraction - start.fraction)
    line("         \(text()), \(Int(100 * fraction)) %, \(ClockTime.text(rest)) to go", at: now)
  }
}

/// When a log that says nothing is to say that the run goes on: soon at first, for then one wants to know how long it will take.
struct Heartbeat {
  /// Seconds of silence before the first sign of life, and before every later one.
  static let silences = (first: 60.0, later: 600.0)

  private var lastLine: ContinuousClock.Instant
  private var silence = silences.first

  init(_ now: ContinuousClock.Instant) { lastLine = now }

  /// Notes that something was said.
  mutating func reset(_ now: ContinuousClock.Instant) { lastLine = now }

  /// Whether a sign of life is due.
  mutating func isDue(_ now: ContinuousClock.Instant) -> Bool {
    guard lastLine.duration(to: now).seconds >= silence else { return false }
    silence = Self.silences.later
    return true
  }
}
