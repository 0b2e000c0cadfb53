import Foundation
import TestSupport
import Testing

extension CommandTests {
  /// What is said to a terminal (of util-linux's `script`), to a pipe, and at each level.
  @Suite struct TerminalTests {
    /// Everything that a command prints on a terminal.
    private func onTerminal(
      _ program: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> String {
      let command = ([program] + arguments).map { "'\($0)'" }.joined(separator: " ")
      let variables = ["TERM": "xterm", "NO_COLOR": ""].merging(environment) { $1 }
      return try run("script", arguments: ["-qec", command, "/dev/null"], environment: variables).output
    }

    @Test("errors are red on a terminal that can, unless NO_COLOR says otherwise")
    func colours() throws {
      let program = try builtExecutable("dpm-train")
      let arguments = ["/none/such.yaml"]
      #expect(try onTerminal(program, arguments).hasPrefix("\u{1B}[1;31merror:\u{1B}[0m /none/such.yaml: "))
      for environment in [["NO_COLOR": "1"], ["TERM": "dumb"]] {
        #expect(try onTerminal(program, arguments, environment: environment).hasPrefix("error: /none/such.yaml: "))
      }
      #expect(try run(program, arguments: arguments).errors.hasPrefix("error: /none/such.yaml: "))
    }

    @Test("a terminal gets a bar; pipes, quiet levels and dumb terminals get none")
    func bar() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      func output(_ name: String, _ more: [String] = [], _ environment: [String: String] = [:]) throws -> String {
        try onTerminal(program, small.arguments(name, ["--epochs", "2"] + more), environment: environment)
      }
      for environment in [[:], ["NO_COLOR": "1"]] {
        let shown = try output("shown\(environment.count)", [], environment)
        #expect(shown.contains("░ ") && shown.contains(" %  epoch 1/2") && shown.contains("done in"))
      }
      for (name, more, environment) in [
        ("quiet", ["--log-level", "warning"], [:]), ("dumb", [], ["TERM": "dumb"]),
      ] {
        let text = try output(name, more, environment)
        #expect(!text.contains("░") && !text.contains("\u{1B}"), "\(text)")
      }
      let piped = try small.train("piped", ["--epochs", "2"])
      #expect(piped.errors.isEmpty && !piped.output.contains("░") && !piped.output.contains("\r"))
    }

    /// Runs a program whose standard output or error goes where a shell's words say.
    private func redirected(_ program: String, _ arguments: [String], _ words: String) throws -> ProcessResult {
      try run(
        "bash", arguments: ["-o", "pipefail", "-c", "\"$0\" \"$@\" \(words)", builtExecutable(program)] + arguments)
    }

    @Test("a result that cannot be printed is one line and status 1; a run goes on, as it has a log")
    func fullOutput() throws {
      let small = try SmallRun()
      try small.train("run", ["--epochs", "1"])
      let checkpoint = small.path("runs/run/checkpoints/epoch-0001.safetensors")
      let sizes = SmallRun.modelArguments.split(separator: ",").flatMap { ["--set", "model.\($0)"] }
      let commands = [
        ["dpm-evaluate", checkpoint], ["dpm-evaluate", checkpoint, "--json"],
        ["dpm-sample", checkpoint, "--count", "1", "--output", small.path("x.png")],
        ["dpm-train", "--print-config"], ["dpm-train"] + small.arguments("x", ["--dry-run"]),
        ["dpm-benchmark", "--steps", "1", "--json"] + sizes,
        ["dpm-scaling", "--ranks", "1", "--steps", "1", "--repetitions", "1"] + sizes,
      ]
      for command in commands {
        let result = try redirected(command[0], Array(command.dropFirst()), "> /dev/full")
        #expect(result.status == 1, "\(command)")
        #expect(result.errors == "error: standard output: no space left on device\n", "\(command)")
      }
      #expect(FileManager.default.fileExists(atPath: small.path("x.png")))
      let run = try redirected("dpm-train", small.arguments("lines", ["--epochs", "2"]), "> /dev/full")
      #expect(run.status == 0 && run.errors.hasPrefix("warning: standard output: no space left on device; "))
      #expect(run.errors.count { $0 == "\n" } == 1, "\(run.errors)")
      let log = try String(contentsOfFile: small.path("runs/lines/train.log"), encoding: .utf8)
      #expect(log.contains("epoch 2/2") && log.contains("done in"))
      #expect(try redirected("dpm-train", ["/none/such.yaml"], "2> /dev/full").status == 1)
    }

    @Test("a run whose reader goes away goes on; so does the drawing of samples")
    func closedPipe() throws {
      let small = try SmallRun()
      let reader = "| head -1 > /dev/null"
      let run = try redirected("dpm-train", small.arguments("run", ["--epochs", "20"]), reader)
      #expect(run.status == 0, "\(run.errors)")
      #expect(run.errors.isEmpty || run.errors.hasPrefix("warning: standard output: broken pipe; "), "\(run.errors)")
      let checkpoint = small.path("runs/run/checkpoints/epoch-0020.safetensors")
      let sample = ["--count", "1", "--output", small.path("x.png")]
      let result = try redirected("dpm-sample", [checkpoint] + sample, "| true")
      #expect(result.errors.isEmpty || result.errors == "error: standard output: broken pipe\n", "\(result.errors)")
      #expect(FileManager.default.fileExists(atPath: small.path("x.png")))
    }

    @Test("each level says what the ones before it do, and the log in the run's folder says everything")
    func levels() throws {
      let small = try SmallRun()
      let program = try builtExecutable("dpm-train")
      for (level, isWarned, isInformed) in [
        ("error", false, false), ("warning", true, false), ("info", true, true),
      ] {
        let more = ["--epochs", "1", "--threads", "2", "--log-level", level]
        // Two threads on one core: a warning.
        let result = try run("taskset", arguments: ["-c", "0", program] + small.arguments(level, more))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.hasPrefix("warning: ") == isWarned && result.errors.isEmpty != isWarned)
        #expect(result.output.contains("epoch 1/1") == isInformed && result.output.isEmpty != isInformed)
        let log = try String(contentsOfFile: small.path("runs/\(level)/train.log"), encoding: .utf8)
        #expect(log.contains("epoch 1/1"))
      }
      let unknown = try run(program, arguments: small.arguments("x", ["--log-level", "loud"]))
      #expect(unknown.status == 64)
      let words = "'loud' is invalid for '--log-level <log-level>'. Please provide one of 'error', 'warning' or 'info'."
      #expect(unknown.errors.contains(words), "\(unknown.errors)")
    }
  }
}
