import Foundation

/// A command's result for programs: one object on one line, its keys in alphabetical order.
public func jsonLine(_ result: any Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys]
  return String(decoding: try encoder.encode(result), as: UTF8.self)
}
