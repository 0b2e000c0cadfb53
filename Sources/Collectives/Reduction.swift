/// How gradients are summed.
public enum Reduction: String, Sendable, CaseIterable {
  /// A fixed binary tree over the ranks, bit for bit the same on every run (`HalvingPlan`).
  case fixedOrder
  /// MPI's own sum, for any number of ranks, in an order that is its own.
  case mpi

  /// What is used with this many ranks: only powers of two can keep the order.
  public func available(rankCount: Int) -> Reduction { rankCount.nonzeroBitCount == 1 ? self : .mpi }
}
