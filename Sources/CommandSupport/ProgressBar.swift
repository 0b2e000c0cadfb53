import Foundation

/// A bar at the bottom of a terminal; nothing where standard error is no terminal.
///
/// Drawn on standard error, ten times a second at most, so that standard output stays clean for pipes.
public struct ProgressBar {
  private let isVisible: Bool
  private var lastDrawing = ContinuousClock.now - .seconds(1)
  private var isDrawn = false

  /// A bar on standard error.
  public init() { isVisible = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb" }

  /// Shows a fraction of 1 and a text behind it.
  public mutating func show(_ fraction: Double, _ text: @autoclosure () -> String) {
    let now = ContinuousClock.now
    guard isVisible, now - lastDrawing > .milliseconds(100) else { return }
    lastDrawing = now
    isDrawn = true
    let cells = 24
    let filled = min(cells, max(0, Int(fraction * Double(cells))))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: cells - filled)
    StandardError.write("\r\u{1B}[K\(bar) \(Int(fraction * 100)) %  \(text())")
  }

  /// Removes the bar, before a line is printed.
  public mutating func clear() {
    guard isDrawn else { return }
    isDrawn = false
    StandardError.write("\r\u{1B}[K")
  }
}
