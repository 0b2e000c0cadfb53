import Foundation
import Tensors

/// What other processes of a host need to map a process's memory: one number, which ranks can exchange.
struct MemoryOffer {
  /// The process and the descriptor; negative for no memory.
  let number: Int

  /// Offers this process's memory, or none.
  init(_ memory: MappedMemory?) { number = memory.map { Int(getpid()) << 32 | Int($0.descriptor) } ?? -1 }

  /// Another process's offer.
  init(number: Int) { self.number = number }

  /// Maps the memory; nil where there is none or it cannot be seen from here.
  ///
  /// - Parameter isWritten: Whether to write it too.
  func memory(count: Int, isWritten: Bool) -> MappedMemory? {
    guard number >= 0 else { return nil }
    let (process, descriptor) = (Int32(number >> 32), Int32(truncatingIfNeeded: number))
    return isWritten
      ? MappedMemory(sharedBy: process, descriptor: descriptor, count: count)
      : MappedMemory(of: process, descriptor: descriptor, count: count, isFile: false)
  }
}
