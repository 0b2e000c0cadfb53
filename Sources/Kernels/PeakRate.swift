import KernelInterface

extension VectorKernels {
  /// Multiplies and adds in twelve chains that do not wait for each other: what the FMA units can do at most.
  ///
  /// - Returns: Floating-point operations done, 2 for each element of a multiply-add.
  public func multiplyAddChains(rounds: Int, result: UnsafeMutablePointer<Float>) -> Int {
    // Twelve hide the latency of two units (4 cycles each) and fit 16 registers with the two factors.
    let zero = Vector()
    var chains: InlineArray<12, Vector> = [zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero]
    let factor = Vector(repeating: result[0])
    let other = Vector(repeating: result[1])
    for _ in 0..<rounds {
      for chain in 0..<12 { chains[chain] = multiplyAdd(chains[chain], factor, other) }
    }
    var sum = Vector()
    for chain in 0..<12 { sum += chains[chain] }
    result[0] = sum[0]
    return 2 * 12 * rounds * Vector.scalarCount
  }
}
