import Collectives
import Foundation
import Tensors

/// What rank `rank` contributes to element `index` in step `step`: every rank can compute every other's.
private func term(rank: Int, index: Int, step: Int) -> Float {
  var bits = UInt64(rank) << 48 ^ UInt64(step) << 40 ^ UInt64(index)
  bits = (bits &+ 1) &* 0x9E37_79B9_7F4A_7C15
  bits = (bits ^ bits >> 31) &* 0xBF58_476D_1CE4_E5B9
  // The reciprocal has all bits of the mantissa, so that every addition rounds and every other order shows.
  let uniform = Double(bits >> 11) * 0x1p-53
  return Float((uniform < 0.5 ? -1 : 1) / (uniform + 0.1))
}

private func fill(_ buffer: FloatBuffer, rank: Int, step: Int) {
  for index in 0..<buffer.count { buffer.pointer[index] = term(rank: rank, index: index, step: step) }
}

/// The sum over `ranks` by the complete binary tree of neighbours.
private func tree(_ ranks: Range<Int>, index: Int, step: Int) -> Float {
  guard ranks.count > 1 else { return term(rank: ranks.lowerBound, index: index, step: step) }
  let middle = ranks.lowerBound + ranks.count / 2
  return tree(ranks.lowerBound..<middle, index: index, step: step)
    + tree(middle..<ranks.upperBound, index: index, step: step)
}

/// Compares with the tree's bits and with the sum in double precision.
private func compare(
  _ sums: FloatBuffer, range: Range<Int>, rankCount: Int, step: Int, into report: inout Report
) {
  for index in range {
    let exact = (0..<rankCount).reduce(0.0) { $0 + Double(term(rank: $1, index: index, step: step)) }
    let expected = tree(0..<rankCount, index: index, step: step)
    report.numbers["largestError", default: 0] = max(
      report.numbers["largestError", default: 0], abs(Double(sums.pointer[index]) - exact))
    report.numbers["differentBits", default: 0] += sums.pointer[index].bitPattern == expected.bitPattern ? 0 : 1
  }
}

/// Cuts a gradient of `count` floats into buckets of at most `largest`.
func buckets(of count: Int, largest: Int) -> [Range<Int>] {
  stride(from: 0, to: count, by: largest).map { $0..<min(count, $0 + largest) }
}

/// BUCKET SIZES, fixedOrder | mpi | most ranks of a block, whole | reused: three steps with the same reducer, the gradient's last
/// bucket first.
@Sendable func reduceGradient(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  var ranges: [Range<Int>] = []
  for size in try arguments.numbers(0) {
    let start = ranges.last?.upperBound ?? 0
    ranges.append(start..<start + size)
  }
  let count = ranges.last?.upperBound ?? 0
  let buckets = Array(ranges.reversed())
  let mode = try arguments.text(1)
  let block = try Int(mode).flatMap {
    try HostBlock(communicator, reduction: .fixedOrder, wirePrecision: .float32, atMost: $0)
  }
  let gradient = FloatBuffer(count: count)
  let parameters = try block?.sharedBuffer(count: count) ?? FloatBuffer(count: count)
  let reducer = try GradientReducer(
    communicator: communicator, gradient: gradient, buckets: buckets, reduction: mode == "mpi" ? .mpi : .fixedOrder,
    block: block, places: BucketPlaces(buckets, isReused: try arguments.text(2) == "reused"))
  var report = Report(rank: communicator.rank)
  report.numbers["block"] = Double(block?.ranks.count ?? 1)
  for step in 0..<3 {
    for (bucket, range) in buckets.enumerated() {
      try reducer.waitForPlace(of: bucket)
      let place = reducer.place(of: bucket)
      for index in range {
        place[index - range.lowerBound] = term(rank: communicator.rank, index: index, step: step)
      }
      try reducer.begin(bucket: bucket)
      try reducer.poll()
    }
    // One rank has nothing left to wait for when it finishes; the others may have.
    while communicator.rank == 0, !reducer.isIdle { try reducer.poll() }
    try reducer.finish()
    for range in reducer.ownedRanges {
      compare(gradient, range: range, rankCount: communicator.rankCount, step: step, into: &report)
      // A "parameter" that is the gradient's negative shows in all its bits whether every range came through.
      for index in range { parameters.pointer[index] = -gradient.pointer[index] }
    }
    try reducer.allGatherUpdates(exact: parameters, into: parameters, largestUpdate: 1)
    let sums = FloatBuffer(count: count)
    for index in 0..<count { sums.pointer[index] = -parameters.pointer[index] }
    compare(sums, range: 0..<count, rankCount: communicator.rankCount, step: step, into: &report)
    // A step's parameters are everyone's until all have read them.
    try communicator.barrier()
    for range in reducer.ownedRanges { for index in range { parameters.pointer[index] = .nan } }
  }
  report.texts["reduction"] = reducer.reduction.rawValue
  report.numbers["bytesSent"] = Double(reducer.bytesSent)
  report.numbers["timesAddUp"] =
    reducer.time.total > 0 && reducer.time.polling + reducer.time.exposed <= reducer.time.total * 1.01 ? 1 : 0
  try communicator.finish()
  try report.write()
}

/// fixedOrder | mpi: a step, then one gather of state that each rank has its ranges of.
@Sendable func gatherState(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let gradient = FloatBuffer(count: 1000)
  let reducer = try GradientReducer(
    communicator: communicator, gradient: gradient, buckets: buckets(of: 1000, largest: 300),
    reduction: try arguments.text(0) == "mpi" ? .mpi : .fixedOrder)
  var report = Report(rank: communicator.rank)
  fill(gradient, rank: communicator.rank, step: 0)
  for bucket in reducer.buckets.indices { try reducer.begin(bucket: bucket) }
  try reducer.finish()
  let state = FloatBuffer(count: 1000)
  state.fill(.nan)
  for range in reducer.ownedRanges {
    for index in range { state.pointer[index] = gradient.pointer[index] }
  }
  try reducer.allGather(state)
  compare(state, range: 0..<1000, rankCount: communicator.rankCount, step: 0, into: &report)
  report.numbers["ownedCount"] = Double(reducer.ownedRanges.reduce(0) { $0 + $1.count })
  try communicator.finish()
  try report.write()
}

/// ROUNDS, LARGEST BUCKET: sums and gathers 46 MiB, then computes (here: sleeps), without a call of MPI.
///
/// Reports when each gather returned and when the next round was begun, in seconds of the host's clock.
@Sendable func gatherThenCompute(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let count = 12_000_000
  let gradient = FloatBuffer(count: count)
  let reducer = try GradientReducer(
    communicator: communicator, gradient: gradient,
    buckets: buckets(of: count, largest: try arguments.number(1)))
  let state = FloatBuffer(count: count)
  fill(gradient, rank: 0, step: 0)
  fill(state, rank: 0, step: 0)
  var report = Report(rank: communicator.rank)
  for round in 0..<(try arguments.number(0)) {
    report.numbers["begun\(round)"] = ProcessInfo.processInfo.systemUptime
    for bucket in reducer.buckets.indices { try reducer.begin(bucket: bucket) }
    try reducer.finish()
    try communicator.barrier()
    try reducer.allGather(state)
    report.numbers["returned\(round)"] = ProcessInfo.processInfo.systemUptime
    Thread.sleep(forTimeInterval: 0.5)
  }
  try communicator.finish()
  try report.write()
}

/// FORMAT, STEPS: gradient descent whose sums and updates travel in 16 bits, with the same gradient in every step.
///
/// Without feedback of the rounding errors they would add up; with it the parameters stay within about one rounding of the
/// exact path's, whatever the number of steps.
@Sendable func descendInHalves(_ arguments: Arguments) throws {
  let communicator = try Communicator.start()
  let (count, steps, rate) = (2000, try arguments.number(1), 0.001)
  guard let precision = WirePrecision(rawValue: try arguments.text(0)) else { throw WorkerError.argument(0) }
  let gradient = FloatBuffer(count: count)
  let parameters = FloatBuffer(count: count)
  let exact = FloatBuffer(count: count)
  let reducer = try GradientReducer(
    communicator: communicator, gradient: gradient, buckets: buckets(of: count, largest: 600),
    wirePrecision: precision)
  for _ in 0..<steps {
    fill(gradient, rank: communicator.rank, step: 0)
    for bucket in reducer.buckets.indices { try reducer.begin(bucket: bucket) }
    try reducer.finish()
    for range in reducer.ownedRanges {
      for index in range { exact.pointer[index] -= Float(rate) * gradient.pointer[index] }
    }
    try reducer.allGatherUpdates(exact: exact, into: parameters, largestUpdate: rate)
  }
  var report = Report(rank: communicator.rank)
  var squares = 0.0
  var errors = 0.0
  for index in 0..<count {
    let sum = (0..<communicator.rankCount).reduce(0.0) { $0 + Double(term(rank: $1, index: index, step: 0)) }
    let expected = -rate * Double(steps) * sum
    squares += expected * expected
    errors += (Double(parameters.pointer[index]) - expected) * (Double(parameters.pointer[index]) - expected)
  }
  report.numbers["relativeError"] = (errors / squares).squareRoot()
  // Bits of all parameters, folded: the same on all ranks.
  let fold = (0..<count).reduce(UInt64(7)) { ($0 &* 0x100_0000_01B3) ^ UInt64(parameters.pointer[$1].bitPattern) }
  report.texts["bits"] = String(fold, radix: 16)
  try communicator.finish()
  try report.write()
}
