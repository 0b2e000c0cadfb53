import Datasets
import Testing

@Suite struct EpochPermutationTests {
  @Test("an epoch visits every image once", arguments: [0, 1, 2, 3, 17, 7500])
  func isPermutation(count: Int) {
    let order = EpochPermutation.order(count: count, seed: 5, epoch: 3)
    #expect(order.sorted() == (0..<Int32(count)).map { $0 })
  }

  @Test("the order is a function of count, seed and epoch alone")
  func isPure() {
    let order = EpochPermutation.order(count: 1000, seed: 5, epoch: 3)
    #expect(order == EpochPermutation.order(count: 1000, seed: 5, epoch: 3))
    #expect(order != EpochPermutation.order(count: 1000, seed: 5, epoch: 4))
    #expect(order != EpochPermutation.order(count: 1000, seed: 6, epoch: 3))
  }

  // Another order would make a resumed run differ from the one it continues.
  @Test("the order stays what earlier versions drew")
  func isStable() {
    #expect(EpochPermutation.order(count: 10, seed: 1, epoch: 0) == [6, 2, 9, 8, 0, 7, 1, 3, 5, 4])
  }

  @Test("every image is equally likely at every place")
  func isUniform() {
    let (count, epochs) = (5, 4000)
    var visits = Array(repeating: Array(repeating: 0, count: count), count: count)
    for epoch in 0..<epochs {
      for (place, image) in EpochPermutation.order(count: count, seed: 9, epoch: epoch).enumerated() {
        visits[place][Int(image)] += 1
      }
    }
    // Four standard deviations of a binomial count of 4000 trials at 1/5.
    for count in visits.joined() { #expect(abs(count - 800) < 102) }
  }
}
