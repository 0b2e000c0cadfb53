internal import Tensors

/// What shows a run: figures, its page, events for TensorBoard; rank 0's.
///
/// Training needs none of it: that something cannot be written is said once, and the run goes on.
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
    background.submitIfIdle { () throws(InputError) in try page.write() }
    warn(background.takeFault())
  }

  /// Has an epoch's figures drawn and shown.
  func show(_ drawing: @escaping BackgroundWork.Piece, epoch: Int, step: Int) {
    let page = currentPage("running")
    // Where one cannot be written, the next one may: it is another file, and perhaps a smaller one.
    background.submit(drawing)
    background.append { () throws(InputError) in try page.write() }
    background.append { [events] () throws(InputError) in try events?.appendFigures(epoch: epoch, step: step) }
    warn(background.takeFault())
  }

  /// Waits for drawings, and writes the page for the last time.
  ///
  /// - Parameter status: How the run ended.
  func finish(_ status: String) {
    background.finish()
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
