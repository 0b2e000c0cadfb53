internal import Collectives

/// How long epochs take: training alone, without the checkpoints within them.
struct EpochClock {
  /// Images of this epoch that were trained on by this process.
  private(set) var images = 0
  /// Steps of this epoch with a gradient that was not finite.
  private(set) var badSteps = 0
  /// Images and seconds of all of this process's steps.
  private(set) var total = (images: 0, seconds: 0.0)
  private var start = ContinuousClock.now
  private var stepStart = ContinuousClock.now
  private var pauseSeconds = 0.0
  private var communication = CommunicationTime()
  private var isRunning = false

  /// Seconds of an epoch, or of what was done of it.
  struct Times {
    var seconds: Double
    /// Of these, inside MPI with nothing to compute.
    var waiting: Double
    /// From each exchange's beginning to its end.
    var communicating: Double
  }

  /// Begins an epoch, or what is left of it.
  ///
  /// - Parameter communication: The time that exchanges have taken until now.
  mutating func begin(communication: CommunicationTime) {
    start = .now
    stepStart = start
    images = 0
    badSteps = 0
    pauseSeconds = 0
    self.communication = communication
    isRunning = true
  }

  /// Counts a step that has ended.
  mutating func add(images: Int, isBad: Bool) {
    let now = ContinuousClock.now
    self.images += images
    total.images += images
    total.seconds += stepStart.duration(to: now).seconds
    stepStart = now
    if isBad { badSteps += 1 }
  }

  /// Leaves out what a checkpoint has just taken.
  mutating func pause(seconds: Double) {
    pauseSeconds += seconds
    stepStart = .now
  }

  /// Ends the epoch, or its part; nil where none has begun.
  mutating func end(communication now: CommunicationTime) -> Times? {
    guard isRunning else { return nil }
    isRunning = false
    return Times(
      seconds: start.duration(to: .now).seconds - pauseSeconds, waiting: now.exposed - communication.exposed,
      communicating: now.total - communication.total)
  }
}
