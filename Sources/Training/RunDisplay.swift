internal import Tensors

/// What shows a run: figures, its page, events for TensorBoard; rank 0's.
///
/// Training needs none of it: that something cannot be written is said once, and the run goes on. Where one file cannot be
/// written, the next may: it is another, and perhaps a smaller one.
final class RunDisplay {
  /// What the page shows beside what lies in the run's folder.
  var page: RunPage
  /// Where the user wants TensorBoard to see the run.
  private let events: RunEvents?
  private let voice: RunVoice
  private let background = BackgroundWork()
  private var hasWarned = false

  init(page: RunPage, events: RunEvents?, voice: RunVoice) {
    self.page = page
    self.events = events
    self.voice = voice
  }

  /// Shows an epoch's numbers as events.
  func show(_ metrics: Metrics) {
    do throws(InputError) { try events?.append(metrics) } catch { warn(error) }
  }

  /// Keeps the untrained network's test bound for figures and page, and shows it as events.
  func showUntrained(_ metrics: Metrics) {
    do throws(InputError) { try page.folder.untrained.append(metrics) } catch { warn(error) }
    show(metrics)
  }

  /// Has the page rewritten, unless there is something else to do; a later one will make up for it.
  func showPage() {
    let page = currentPage("running")
    background.submitIfIdle(.init { () throws(InputError) in try page.write() })
    warn(background.takeFault())
  }

  /// Has an epoch's figures drawn and shown.
  func show(_ drawing: [BackgroundWork.Piece], epoch: Int, step: Int) {
    let page = currentPage("running")
    background.submit(
      drawing + [
        .init { () throws(InputError) in try page.write() },
        .init { [events] () throws(InputError) in try events?.appendFigures(epoch: epoch, step: step) },
      ])
    warn(background.takeFault())
  }

  /// Goes on with what is being drawn, for about this long; to be called again until all is done.
  ///
  /// - Returns: Whether all is done.
  func advance(for duration: Duration) -> Bool { background.advance(for: duration) }

  /// Writes the page for the last time, once all is drawn.
  ///
  /// - Parameter status: How the run ended.
  func finish(_ status: String) {
    warn(background.takeFault())
    do throws(InputError) { try currentPage(status).write() } catch { warn(error) }
  }

  private func currentPage(_ status: String) -> RunPage {
    page.status = status
    page.drawingSeconds = background.seconds
    return page
  }

  private func warn(_ fault: InputError?) {
    guard let fault, !hasWarned else { return }
    hasWarned = true
    voice.warn("\(fault); the run goes on, and more of what shows it may be missing")
  }
}
