import Foundation
import TestSupport
import Testing

extension InputTests {
  @Suite struct HelpTests {
    static let commands = ["dpm-train", "dpm-evaluate", "dpm-sample", "dpm-benchmark", "dpm-scaling"]
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()

    private func help(_ name: String) throws -> String {
      let result = try run(try builtExecutable(name), arguments: ["--help"], environment: ["COLUMNS": "80"])
      #expect(result.status == 0 && result.errors.isEmpty)
      return result.output
    }

    /// The flags that a command's help lists, in all spellings.
    private func flags(of name: String) throws -> Set<String> {
      let flags = try help(name).split(separator: "\n").filter { $0.hasPrefix("  -") }
        // "  --name, --other_name <value>       What it means."
        .flatMap { $0.dropFirst(2).components(separatedBy: "  ")[0].prefix { $0 != "<" }.split { " ,".contains($0) } }
        .map(String.init)
      #expect(flags.count > 5 && flags.contains("--help"), "\(flags)")
      return Set(flags)
    }

    @Test("docs/help has the help of each command, examples first", arguments: commands)
    func documented(_ name: String) throws {
      let help = try help(name)
      let file = "docs/help/\(name).txt"
      let documented = try String(contentsOf: Self.root.appendingPathComponent(file), encoding: .utf8)
      #expect(help == documented, "after a change: COLUMNS=80 .build/release/\(name) --help >\(file)")
      let lines = help.split(separator: "\n", omittingEmptySubsequences: false)
      let first = try #require(lines.firstIndex { $0 == "Examples:" })
      #expect(first <= 3 && lines[first + 1].contains(name))
      #expect(lines.allSatisfy { $0.count <= 80 })
    }

    /// What a text has in backticks, and its lines of code.
    private func code(in text: String) -> [String] {
      let blocks = text.split(separator: /^```.*$/.anchorsMatchLineEndings(), omittingEmptySubsequences: false)
      return blocks.enumerated().flatMap { index, block in
        let lines = block.split(separator: "\n").filter { !index.isMultiple(of: 2) || $0.hasPrefix("    ") }
        let prose = index.isMultiple(of: 2) ? block : ""
        return lines.map(String.init) + prose.matches(of: /`([^`]+)`/).map { String($0.1) }
      }
    }

    @Test("each flag that a document names is one of the program that it names")
    func namedFlags() throws {
      let own = Dictionary(
        uniqueKeysWithValues: try Self.commands.map { ($0, try flags(of: $0).union(["--generate-completion-script"])) })
      let all = Set(own.values.joined())
      let files = try ["", "docs", "configs"].flatMap { folder in
        try FileManager.default.contentsOfDirectory(
          at: Self.root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
      }
      var named = 0
      for file in files where ["md", "yaml"].contains(file.pathExtension) {
        for code in code(in: try String(contentsOf: file, encoding: .utf8)) {
          // What quotation marks hold is another program's, and what follows # is a remark.
          let words = code.replacing(/'[^']*'|"[^"]*"|\s#.*/, with: "").split(whereSeparator: \.isWhitespace).map(
            String.init)
          let program = words.firstIndex { $0.hasPrefix("dpm-") }
          guard let first = program ?? (code.hasPrefix("--") ? 0 : nil) else { continue }
          let known = program.map { own[words[$0], default: []] } ?? all
          for flag in words[first...] where flag.hasPrefix("-") && flag.count > 1 {
            named += 1
            #expect(known.contains(flag), "\(file.lastPathComponent) has \(flag) in: \(code)")
          }
        }
      }
      #expect(named > 80, "\(named) are named")
    }

    @Test("completion scripts for three shells know every flag", arguments: ["bash", "zsh", "fish"])
    func completions(_ shell: String) throws {
      for name in Self.commands {
        let result = try run(try builtExecutable(name), arguments: ["--generate-completion-script", shell])
        #expect(result.status == 0 && result.errors.isEmpty)
        for flag in try flags(of: name) {
          #expect(result.output.contains(flag.drop { $0 == "-" }), "\(name) \(flag)")
        }
      }
    }

    @Test("bash completes a flag, a value and a file's name")
    func bash() throws {
      let folder = try TemporaryFolder()
      let script = try run(try builtExecutable("dpm-train"), arguments: ["--generate-completion-script", "bash"]).output
      _ = try folder.write(script, as: "dpm-train.bash")
      _ = try folder.write("", as: "mine.yaml")
      func replies(_ line: String) throws -> [String] {
        let program = """
          cd "$0" && . ./dpm-train.bash
          COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
          function=$(complete -p dpm-train | sed 's/.*-F \\([^ ]*\\).*/\\1/')
          "$function" dpm-train "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
          printf '%s\\n' "${COMPREPLY[@]}"
          """
        let path = URL(fileURLWithPath: try builtExecutable("dpm-train")).deletingLastPathComponent().path
        let variables = ProcessInfo.processInfo.environment["PATH"].map { "\(path):\($0)" } ?? path
        let result = try run(
          "bash", arguments: ["-O", "extglob", "-c", program, folder.path, line], environment: ["PATH": variables])
        return result.lines.map { $0.trimmingCharacters(in: .whitespaces) }
      }
      #expect(try replies("dpm-train --batch-s") == ["--batch-size"])
      #expect(try replies("dpm-train --log-level w") == ["warning"])
      #expect(try replies("dpm-train min") == ["mine.yaml"])
    }

    @Test("no flag is one of mpirun's, and all arrive under it as they do without")
    func launchersFlags() throws {
      let own = ["-n", "-x", "-H", "--am", "--tune", "--mca", "-np", "-c", "-host", "--hostfile"]
      for name in Self.commands {
        let flags = try flags(of: name)
        #expect(flags.isDisjoint(with: own), "\(name)")
        // Only the two that every program has are short.
        #expect(flags.allSatisfy { $0.hasPrefix("--") || $0 == "-h" }, "\(flags)")
      }
      let program = try builtExecutable("dpm-train")
      let arguments = [
        "--set", "training.optimizer=adam", "--batch-size", "100", "--lr", "2e-3", "--suffix", "s", "--output-dir", "o",
        "--ext-every-n", "3", "--model-args", "n_scales=2,n_hidden_conv=7", "--dropout-rate", "0.1", "--dataset",
        "cifar10", "--plot-before-training", "--epochs", "9", "--seed", "5", "--data-dir", "d", "--offline",
        "--threads",
        "2", "--reduction", "mpi", "--wire-precision", "float32", "--timeout", "70", "--max-time", "1h", "--log-level",
        "warning", "--name", "n", "--dry-run", "--print-config",
      ]
      let alone = try run(program, arguments: arguments)
      #expect(alone.status == 0 && alone.output.contains("n_hidden_conv: 7"), "\(alone.errors)")
      let launched = try mpirun(ranks: 2, program, arguments: arguments)
      #expect(launched.output == alone.output && launched.errors.isEmpty, "\(launched.errors)")
    }
  }
}
