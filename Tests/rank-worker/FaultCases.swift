import Collectives
import Foundation
import Tensors

/// RANKS, input | other: those ranks fail in an agreement; afterwards all must still be able to work together.
@Sendable func failInAgreement(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let failing = try arguments.numbers(0)
  let isInput = try arguments.text(1) == "input"
  var report = Report(rank: communicator.rank)
  do {
    let value = try communicator.agree("load the data set") {
      if failing.contains(communicator.rank) {
        if isInput { throw InputError("train-images", found: "rank \(communicator.rank)'s", expected: "a file") }
        throw WorkerError.mine
      }
      return communicator.rank + 100
    }
    report.numbers["value"] = Double(value)
  } catch {
    report.texts["error"] = "\(error)"
    report.texts["type"] = "\(type(of: error))"
  }
  report.numbers["rankCount"] = try communicator.sum([1])[0]
  try communicator.finish()
  try report.write()
}

/// yes | no: whether rank 0's own work fails.
@Sendable func failOnRankZero(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let fails = try arguments.text(0) == "yes"
  var report = Report(rank: communicator.rank)
  do {
    let value = try communicator.onRankZero("write the checkpoint") {
      if fails { throw InputError("output", found: "read-only file system") }
      return 7
    }
    report.texts["value"] = "\(value.map(String.init) ?? "none")"
  } catch {
    report.texts["error"] = "\(error)"
  }
  try communicator.finish()
  try report.write()
}

/// Steps without end, in which each rank first does `body`.
private func step(
  _ communicator: Communicator, forever body: (Int) throws -> Void
) throws {
  let gradient = FloatBuffer(count: 4096)
  let reducer = try GradientReducer(
    communicator: communicator, gradient: gradient,
    buckets: buckets(of: 4096, largest: 1024))
  for step in 0... {
    try body(step)
    for bucket in reducer.buckets.indices { try reducer.begin(bucket: bucket) }
    try reducer.finish()
    try reducer.allGather(gradient)
  }
}

/// RANK: that rank is killed in its tenth step.
@Sendable func dieInStep(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let victim = try arguments.number(0)
  try step(communicator) { step in
    if step == 10, communicator.rank == victim { kill(getpid(), SIGKILL) }
  }
}

/// RANK, STATUS: that rank cannot go on.
@Sendable func abortInStep(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let culprit = try arguments.number(0)
  let status = Int32(try arguments.number(1))
  try step(communicator) { step in
    if step == 10, communicator.rank == culprit { communicator.abort(status: status) }
  }
}

/// RANK, TIMEOUT, step | barrier | agreement: says its process number; that rank never comes.
@Sendable func hangInStep(_ arguments: Arguments) throws {
  let communicator = try Communicator.start(timeout: .seconds(try arguments.number(1)))
  let culprit = try arguments.number(0)
  var report = Report(rank: communicator.rank)
  report.numbers["process"] = Double(getpid())
  try report.write()
  func hang() { while true { sleep(1000) } }
  switch try arguments.text(2) {
  case "step":
    try step(communicator) { step in
      if step == 10, communicator.rank == culprit { hang() }
    }
  case "agreement":
    try communicator.agree("load the data set") {
      if communicator.rank == culprit { hang() }
    }
  default:
    if communicator.rank == culprit { hang() }
    try communicator.barrier()
  }
}

/// TIMEOUT, SECONDS: says its process number; rank 1 comes late to a barrier, but not too late.
@Sendable func pauseBeforeBarrier(_ arguments: Arguments) throws {
  let communicator = try Communicator.start(timeout: .seconds(try arguments.number(0)))
  var report = Report(rank: communicator.rank)
  report.numbers["process"] = Double(getpid())
  try report.write()
  let seconds = try arguments.number(1)
  if communicator.rank == 1 { Thread.sleep(forTimeInterval: Double(seconds)) }
  try communicator.barrier()
  try communicator.finish()
}

/// Says its process number, and never looks whether it has got a signal.
@Sendable func ignoreStop(_ arguments: Arguments) throws {
  StopRequest.install()
  var report = Report(rank: 0)
  report.numbers["process"] = Double(getpid())
  try report.write()
  while true { sleep(1000) }
}

/// Says its process number, then steps until any rank has got a signal; the vote rides in the step's sum.
@Sendable func stopOnSignal(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  StopRequest.install()
  var report = Report(rank: communicator.rank)
  report.numbers["process"] = Double(getpid())
  try communicator.barrier()
  try report.write()
  let gradient = FloatBuffer(count: 17)
  var steps = 0
  repeat {
    usleep(1000)
    gradient[16] = StopRequest.pending == nil ? 0 : 1
    try communicator.sum(gradient.elements)
    steps += 1
  } while gradient[16] == 0
  let number = try communicator.maximum(of: StopRequest.pending?.rawValue ?? 0)
  report.texts["signal"] = StopSignal(rawValue: number).map { "\($0)" }
  report.numbers["steps"] = Double(steps)
  try report.write()
  try communicator.finish()
}
