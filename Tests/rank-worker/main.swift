import Foundation

// What one rank of the multi-process tests does: `rank-worker CASE [ARGUMENT]…` prints one JSON line per rank.
do {
  let arguments = Array(CommandLine.arguments.dropFirst())
  guard let name = arguments.first, let body = cases[name] else { throw WorkerError.usage(cases.keys.sorted()) }
  try body(Arguments(values: Array(arguments.dropFirst())))
} catch {
  FileHandle.standardError.write(Data("error: \(error)\n".utf8))
  exit(1)
}
