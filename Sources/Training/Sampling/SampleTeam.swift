internal import Collectives
internal import Diffusion
internal import KernelInterface
internal import Network
internal import Synchronization
internal import Tensors

/// Draws samples on all threads of all ranks, each its share, and brings them together in their order.
struct SampleTeam {
  /// What is drawn together.
  struct Share {
    /// The samples' numbers in the seed's sequence.
    var numbers: [Int]
    /// The numbers whose starting noise they have; nil for their own.
    var starts: [Int]?
    /// r(x) of these samples; nil for plain ones.
    var factor: (any PosteriorFactor)?
  }

  let architecture: Architecture
  let layout: ParameterLayout
  let process: ForwardProcess
  let parameters: FloatBuffer
  let kernels: any KernelSet
  let communicator: Communicator
  /// Of each rank.
  let threads: Int

  /// Threads of a rank that shorten the work: fewer images take a thread as long as half a lane group.
  static func usefulThreads(_ wanted: Int, samples: Int) -> Int {
    min(wanted, (2 * samples + laneCount - 1) / laneCount)
  }

  /// Draws samples at once; collective.
  ///
  /// - Parameters:
  ///   - count: Of all ranks together.
  ///   - seed: Chooses the sequence.
  ///   - startTime: The first time whose step is taken.
  ///   - times: When x_t is kept, from the first to the last.
  ///   - share: What some of the `count` samples are.
  ///   - value: What is kept of a standardized value.
  ///   - progress: Told after each step of the trajectory what fraction of it is done, on the calling thread of all
  ///     ranks, also of those without a sample; what it throws ends the work.
  /// - Returns: For each of the times [count][C][H][W], on all ranks.
  /// - Throws: `CollectiveError` where the ranks cannot exchange their images.
  func draw<Value: BitwiseCopyable>(
    _ count: Int, seed: UInt64, from startTime: Int, keeping times: [Int], share: (Range<Int>) -> Share,
    value: (Float) -> Value, progress: (Double) throws -> Void
  ) throws -> [[Value]] {
    let workers = communicator.rankCount * threads
    // By thread and time.
    var parts = [[[Value]]](repeating: [], count: threads)
    var failure: (any Error)?
    let isOver = Atomic(false)
    parts.withUnsafeMutableBufferPointer { parts in
      ThreadTeam(count: threads).run { thread in
        let worker = communicator.rank * threads + thread
        let own = worker * count / workers..<(worker + 1) * count / workers
        do {
          parts[thread] = try trajectory(
            own.isEmpty ? nil : share(own), seed: seed, from: startTime, keeping: times, value: value
          ) { time in
            if isOver.load(ordering: .relaxed) { throw CancellationError() }
            if thread == 0 { try progress(1 - Double(time) / Double(max(1, startTime))) }
          }
        } catch {
          isOver.store(true, ordering: .relaxed)
          if thread == 0 { failure = error }
        }
      }
    }
    if let failure { throw failure }
    let own = times.indices.flatMap { time in parts.flatMap { $0.isEmpty ? [] : $0[time] } }
    let gathered = try communicator.gather(own.withUnsafeBytes { Array($0) }).map { bytes in
      bytes.withUnsafeBytes { raw in
        (0..<raw.count / MemoryLayout<Value>.stride).map {
          raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.stride, as: Value.self)
        }
      }
    }
    return times.indices.map { time in
      gathered.flatMap { part in
        let length = part.count / times.count
        return part[time * length..<(time + 1) * length]
      }
    }
  }

  /// One thread's part: its samples at each of the times; empty without a share.
  private func trajectory<Value>(
    _ share: Share?, seed: UInt64, from startTime: Int, keeping times: [Int], value: (Float) -> Value,
    report: (Int) throws -> Void
  ) throws -> [[Value]] {
    guard let share else {
      for time in (0...startTime).reversed() { try report(time) }
      return []
    }
    // Its memory is needed for as long as the drawing takes only.
    let model = ReverseModel(
      architecture, layout: layout, kernels: kernels,
      groupCapacity: (share.numbers.count + laneCount - 1) / laneCount, partCapacity: 1, forTraining: false,
      isForSamples: true)
    let sampler = Sampler(
      forwardProcess: process, network: SamplingNetwork(model, parameters: parameters),
      colors: architecture.colorCount, width: architecture.spatialWidth, capacity: share.numbers.count,
      kernels: kernels)
    var kept: [[Value]] = []
    try sampler.sample(
      share.numbers, starts: share.starts, seed: seed, factor: share.factor, from: startTime,
      wants: { time in
        try report(time)
        return times.contains(time)
      }
    ) { _, images in kept.append(images.map(value)) }
    return kept
  }
}
