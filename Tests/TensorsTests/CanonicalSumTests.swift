import KernelInterface
import Tensors
import Testing

@Suite struct CanonicalSumTests {
  private func part(_ number: Int, count: Int) -> [Float] {
    let random = CounterRandom(seed: 9, purpose: .initialization, step: number)
    return (0..<count).map { Float(random.uniform(index: 0, element: $0)) - 0.3 }
  }

  private func tree(_ parts: [[Float]]) -> [Float] {
    parts.count == 1
      ? parts[0]
      : zip(tree(Array(parts[..<(parts.count / 2)])), tree(Array(parts[(parts.count / 2)...]))).map { $0 + $1 }
  }

  private func sum(_ parts: [[Float]], accumulatingOnto start: [Float]? = nil, inPlace: Bool = false) throws -> [Float]
  {
    let count = parts[0].count
    let kernels = try KernelChoice.kernels(requested: nil)
    let sum = CanonicalSum(count: count, parts: parts.count, kernels: kernels)
    for part in parts {
      if inPlace {
        sum.addInPlace(count: count) { pointer, accumulating in
          for index in 0..<count { pointer[index] = accumulating ? pointer[index] + part[index] : part[index] }
        }
      } else {
        sum.add(count: count) { pointer in
          for index in 0..<count { pointer[index] = part[index] }
        }
      }
    }
    let result = FloatBuffer(count: count)
    for index in 0..<count { result[index] = start?[index] ?? 99 }
    sum.finish(into: result.pointer, count: count, accumulating: start != nil)
    return Array(result.elements)
  }

  @Test("parts are added by the complete binary tree", arguments: [1, 2, 4, 8])
  func completeTree(_ count: Int) throws {
    let parts = (0..<count).map { part($0, count: 37) }
    #expect(try sum(parts) == tree(parts))
    #expect(
      try sum(parts, accumulatingOnto: part(50, count: 37)) == zip(part(50, count: 37), tree(parts)).map { $0 + $1 })
  }

  @Test("adding in place gives the same bits", arguments: [1, 2, 3, 5, 8])
  func inPlace(_ count: Int) throws {
    let parts = (0..<count).map { part($0, count: 37) }
    #expect(try sum(parts, inPlace: true) == sum(parts))
  }

  @Test("sums over halves of the parts are subtrees of the sum over all", arguments: [2, 4, 8])
  func subtrees(_ ranks: Int) throws {
    let parts = (0..<8).map { part($0, count: 20) }
    let shares = try (0..<ranks).map { rank in
      try sum(Array(parts[rank * 8 / ranks..<(rank + 1) * 8 / ranks]))
    }
    #expect(try sum(shares) == sum(parts))
  }

  @Test("other numbers of parts are added too, and sums do not leak into the next", arguments: [3, 5, 6, 7])
  func otherCounts(_ count: Int) throws {
    let parts = (0..<count).map { part($0, count: 16) }
    for (index, value) in try sum(parts).enumerated() {
      #expect(abs(value - parts.reduce(0) { $0 + $1[index] }) < 1e-5)
    }
  }
}
