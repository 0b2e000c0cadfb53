import Foundation
import TestSupport
import Testing

@testable import dpm_scaling

extension MeasurementTests {
  @Suite struct ScalingTests {
    /// A model that steps in milliseconds.
    private static let small = [
      "--set", "model.n_hidden_conv=4", "--set", "model.n_layers_conv=2", "--set", "model.n_hidden_dense_lower=20",
      "--set", "training.batch_size=64", "--steps", "2", "--repetitions", "2",
    ]

    @Test("a study prints and writes its table, and predicts what was not measured")
    func study() throws {
      let folder = try TemporaryFolder()
      let result = try run(
        builtExecutable("dpm-scaling"),
        arguments: Self.small + ["--ranks", "1,2", "--output", folder.file("s"), "--project", "--network", "HDR"])
      try #require(result.status == 0, "\(result.errors)")
      for text in [
        "strong scaling, batch 64", "medians of 2 rounds", "speed-up", "measured between 2 ranks",
        "predicted, not measured",
        "\n   64  ", "training refuses",
      ] {
        #expect(result.output.contains(text), "\(text)")
      }
      // Of another network than the one measured there is nothing to compare with.
      #expect(!result.output.contains("efficiency measured") && !result.output.contains("\n  128  "))
      let lines = try String(contentsOfFile: folder.file("s.csv"), encoding: .utf8).split(separator: "\n")
      #expect(lines.count == 3 && lines[1].hasPrefix("1,") && lines[2].hasPrefix("2,"))
      let names = lines[0].split(separator: ",")
      for line in lines.dropFirst() {
        let values = zip(names, line.split(separator: ",", omittingEmptySubsequences: false))
        let shares = values.filter { $0.0.hasSuffix("_share") }.compactMap { Double($0.1) }
        #expect(shares.count == 5 && shares.allSatisfy { $0 > -0.01 }, "\(line)")
        #expect(abs(shares.reduce(0, +) - 1) < 1e-9, "\(line)")
      }
      let data = try Data(contentsOf: URL(fileURLWithPath: folder.file("s.json")))
      let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      #expect((json["counts"] as? [Any])?.count == 2)
      let projection = try #require(json["projection"] as? [String: Any])
      #expect((projection["fit"] as? [String: Any])?["ranks"] as? Int == 2)
      #expect((projection["predicted"] as? [[String: Any]])?.map { $0["ranks"] as? Int } == [1, 2, 4, 8, 16, 32, 64])
      for type in ["png", "pdf"] { #expect(FileManager.default.fileExists(atPath: folder.file("s.\(type)"))) }
    }

    @Test("a prediction for the network that was measured is held against the measurement, in 16 bits too")
    func comparison() throws {
      let result = try run(
        builtExecutable("dpm-scaling"),
        arguments: Self.small + ["--ranks", "1,2", "--project", "--set", "distributed.wire_precision=bfloat16"])
      try #require(result.status == 0, "\(result.errors)")
      #expect(result.output.contains("2 ranks: efficiency measured "), "\(result.output)")
    }

    @Test(
      "what cannot be measured is refused with one line",
      arguments: [
        (["--ranks", "2,1"], "--ranks: \"2,1\""), (["--ranks", "0"], "--ranks"),
        (["--mode", "odd"], "--mode: \"odd\""),
        (["--network", "tin cans"], "--network: \"tin cans\""),
        (["--network", "HDR"], "--network: HDR without --project"), (["--steps", "0"], "--steps: 0"),
        (["--launcher", "no-such-launcher -n {ranks}"], "no-such-launcher"),
        (["--launcher", "mpirun -n 2"], "expected {ranks}"), (["--launcher", ""], "expected {ranks}"),
        (["--launcher", "mpirun -n '{ranks}"], "quotation"),
        (["--launcher", "env FOO={ranks}"], "which starts 1 rank(s), expected a command that starts 2"),
        (["--output", "/no/such/folder/x"], "--output: /no/such/folder/x.csv: no such file"),
        (["--ranks", "1", "--project"], "--project: one rank alone"), (["--ranks", "1,65"], "--ranks: 65"),
      ])
    func badInput(_ arguments: [String], _ text: String) throws {
      let result = try run(builtExecutable("dpm-scaling"), arguments: Self.small + arguments)
      #expect(result.status == 1)
      #expect(result.errors.hasPrefix("error: ") && result.errors.contains(text), "\(result.errors)")
      #expect(result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      #expect(!result.output.contains("round"))
    }

    @Test("the launcher's words are a shell's, with the number of ranks in them")
    func words() throws {
      for (text, words) in [
        ("mpirun -n {ranks}", ["mpirun", "-n", "3"]), (" a\t{ranks}{ranks} ", ["a", "33"]),
        (#"a --mca plm_rsh_args "-p 2222" {ranks}"#, ["a", "--mca", "plm_rsh_args", "-p 2222", "3"]),
        (
          #"a 'b "c' "d 'e" f\ g "\"\n" '\' "" h''i {ranks}"#,
          ["a", "b \"c", "d 'e", "f g", "\"\\n", "\\", "", "hi", "3"]
        ),
      ] { #expect(try RankLauncher(text).words(ranks: 3) == words, "\(text)") }
    }

    @Test(
      "a run that fails: at the trial before the long ones, or later, when what is finished is still told and written")
    func failingRun() throws {
      let small = try SmallRun()
      try FileManager.default.createDirectory(atPath: small.path("a folder"), withIntermediateDirectories: true)
      // Trials of both numbers, then both in each of two rounds.
      for call in [2, 6] {
        let launcher = try small.folder.write(
          """
          #!/bin/sh
          echo >>"$0.calls-\(call)"
          if [ "$(wc -l <"$0.calls-\(call)")" -eq \(call) ]; then
            printf '%s\n' ------- 'There are not enough slots available in the system to satisfy the 2' \
              'slots that were requested by the application:' '' '  dpm-benchmark' '' 'Either request fewer slots.'
            exit 1
          fi
          exec "$@"
          """, as: "a folder/launcher")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: launcher)
        let result = try run(
          builtExecutable("dpm-scaling"),
          arguments: Self.small + [
            "--launcher", "'\(launcher)' mpirun -n {ranks}", "--output", small.path("s\(call)"), "--project",
          ])
        #expect(result.status == 1 && result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
        for text in [
          "satisfy the 2 slots that were requested", "--oversubscribe", "expected a command that starts 2 rank(s)",
        ] { #expect(result.errors.contains(text), "\(result.errors)") }
        let table = try? small.folder.text("s\(call).csv").split(separator: "\n")
        #expect(table?.count == (call == 2 ? nil : 3))
        #expect(result.output.contains("medians of 1 or 2 rounds") == (call == 6), "\(result.output)")
      }
    }

    @Test(
      "of what a launcher prints before it fails, one line says why",
      arguments: [
        (
          "echo -----; echo 'mpirun has detected an attempt to run as root.'; echo; echo 'We reiterate our advice.'",
          "failed: mpirun has detected an attempt to run as root. OMPI_ALLOW_RUN_AS_ROOT=1 and "
        ),
        ("echo 'error: x: found y'; echo -----; echo 'Exit code: 1'; echo -----", "failed: x: found y, expected"),
        ("echo Traceback; echo 'ModuleNotFoundError: torch'", "failed: ModuleNotFoundError: torch"),
        ("true", "failed: no output"),
      ])
    func failingLauncher(_ output: String, _ reason: String) throws {
      let small = try SmallRun()
      let launcher = try small.folder.write("#!/bin/sh\n\(output)\nexit 1\n", as: "mpirun")
      let path = "\(small.folder.path):\(ProcessInfo.processInfo.environment["PATH"] ?? "")"
      #expect(try run("chmod", arguments: ["+x", launcher]).status == 0)
      let study = ["dpm-scaling"] + Self.small
      for command in [study, ["dpm-benchmark", "--ranks", "2", "--compare-pytorch", "python3"]] {
        let result = try run(
          builtExecutable(command[0]), arguments: Array(command.dropFirst()), environment: ["PATH": path])
        #expect(result.status == 1 && result.errors.contains(reason), "\(result.errors)")
        #expect(result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      }
    }
  }
}
