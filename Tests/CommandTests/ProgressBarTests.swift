import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// What a terminal shows while a command works; `script` is the terminal.
  @Suite struct ProgressBarTests {
    /// Runs a command with its standard error on a terminal; gives that, and its standard output.
    private func onTerminal(
      _ small: SmallRun, _ command: [String], environment: [String: String] = [:]
    ) throws -> (terminal: String, output: String) {
      let line = command.map { "'\($0)'" }.joined(separator: " ") + " >'\(small.path("output"))'"
      let result = try run(
        "script", arguments: ["-qec", line, "/dev/null"], environment: ["TERM": "xterm"].merging(environment) { $1 })
      try #require(result.status == 0, "\(result.output)")
      return (result.output, try small.folder.text("output"))
    }

    @Test("--json prints an object and nothing else, beside a bar that is gone in the end")
    func evaluation() throws {
      let small = try SmallRun()
      try small.train("run", ["--epochs", "1"])
      let command = [try builtExecutable("dpm-evaluate"), small.path("runs/run"), "--exact", "--json"]
      let (terminal, output) = try onTerminal(small, command)
      #expect((try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])?["images"] as? Int == 40)
      let piped = try run(command[0], arguments: Array(command.dropFirst()))
      #expect(piped.output == output && piped.errors.isEmpty, "\(piped.errors)")
      #expect(terminal.contains("░") && terminal.contains("%"), "\(terminal)")
      #expect(terminal.hasSuffix("\r\u{1B}[K"), "\(terminal)")
      // Its only escape is the one that clears the line: it has no colours that NO_COLOR could take.
      #expect(terminal.components(separatedBy: "\u{1B}").dropFirst().allSatisfy { $0.hasPrefix("[K") }, "\(terminal)")
      #expect(try onTerminal(small, command, environment: ["NO_COLOR": "1"]).terminal.contains("░"))
      // No cursor can go back on a dumb terminal.
      #expect(try onTerminal(small, command, environment: ["TERM": "dumb"]).terminal.isEmpty)
    }

    @Test("sampling and training draw a bar, and clear it before each line")
    func others() throws {
      let small = try SmallRun()
      let train = [try builtExecutable("dpm-train")] + small.arguments("run", ["--epochs", "2"])
      let trained = try onTerminal(small, train)
      #expect(trained.terminal.contains("epoch 1/2") && trained.terminal.hasSuffix("\r\u{1B}[K"), "\(trained.terminal)")
      #expect(trained.output.contains("epoch 2/2") && !trained.output.contains("\u{1B}"))
      let sample = [try builtExecutable("dpm-sample"), small.path("runs/run"), "--output", small.path("x.png")]
      let sampled = try onTerminal(small, sample)
      #expect(sampled.terminal.contains("images") && sampled.terminal.hasSuffix("\r\u{1B}[K"), "\(sampled.terminal)")
      #expect(sampled.output.contains("49 standard samples"))
    }
  }
}
