import Foundation
import TestSupport
import Testing

extension InputTests {
  /// Files that are not what `dpm-evaluate` and `dpm-sample` need: one line that names them, nothing written.
  @Suite struct StrangeFileTests {
    private let small: SmallRun
    private let checkpoint: String

    init() throws {
      small = try SmallRun()
      try small.train("run", ["--epochs", "1", "--ext-every-n", "1"])
      checkpoint = small.path("runs/run/checkpoints/epoch-0001.safetensors")
    }

    /// Both commands must refuse the checkpoint, one alone and the other on two ranks.
    private func refused(_ path: String, saying parts: String...) throws {
      for result in [
        try run(builtExecutable("dpm-evaluate"), arguments: [path], timeout: 20),
        try mpirun(
          ranks: 2, builtExecutable("dpm-sample"), arguments: [path, "--output", small.path("x.png")], timeout: 20),
      ] {
        #expect(result.status == 1 && !result.isTimedOut, "\(path): \(result.errors)")
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("error:") }
        #expect(lines.count == 1, "\(result.errors)")
        for part in [path] + parts { #expect(lines.first?.contains(part) == true, "\(result.errors)") }
      }
      #expect(!FileManager.default.fileExists(atPath: small.path("x.png")))
    }

    @Test("checkpoints of other programs: another format, another writer's tensors, nothing at all")
    func otherPrograms() throws {
      // PyTorch's files are zip archives.
      try refused(
        try small.folder.write(Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 7, count: 200), as: "torch.pt"))
      try refused(try small.folder.write("", as: "empty.safetensors"))
      let header = #"{"__metadata__":{"format":"pt"},"unet.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
      let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
      let foreign = try small.folder.write(length + Array(header.utf8) + [0, 0, 0, 0], as: "unet.safetensors")
      try refused(foreign, saying: "format pt, expected dpm-1")
      let picture = small.path("runs/run/figures/progress.png")
      try refused(picture)
    }

    @Test("a checkpoint whose tensors are of another architecture than its configuration, and one cut off")
    func otherArchitecture() throws {
      var text = try Data(contentsOf: URL(fileURLWithPath: checkpoint))
      let place = try #require(text.firstRange(of: Data(#"\"n_hidden_conv\":6"#.utf8)))
      text[place.upperBound - 1] = UInt8(ascii: "7")
      let other = small.path("other.safetensors")
      try text.write(to: URL(fileURLWithPath: other))
      try refused(other, saying: "tensor conv.0.scale0.weight of F32 [6, 1, 3, 3], expected F32 [7, 1, 3, 3]")
      let cut = try small.folder.write(Array(text.prefix(text.count - 100)), as: "cut.safetensors")
      try refused(cut)
    }

    @Test("data of another shape than the model's")
    func otherData() throws {
      let wide = try TemporaryFolder()
      for (name, count) in [("train-images-idx3-ubyte", 40), ("t10k-images-idx3-ubyte", 9)] {
        var bytes = SmallRun.idx(count: count)
        // The same bytes as a quarter as many images of 16 × 16.
        bytes.replaceSubrange(4..<16, with: [0, 0, 0, UInt8(count / 4), 0, 0, 0, 16, 0, 0, 0, 16])
        _ = try wide.write(Array(bytes.prefix(16 + count / 4 * 256)), as: name)
      }
      for arguments in [
        [checkpoint, "--data-dir", wide.path],
        [checkpoint, "--data-dir", wide.path, "--kind", "inpaint", "--output", small.path("x.png")],
      ] {
        let name = arguments.contains("--kind") ? "dpm-sample" : "dpm-evaluate"
        let result = try run(builtExecutable(name), arguments: arguments)
        #expect(result.status == 1)
        #expect(result.errors == "error: model.spatial_width: 8, expected 16, as MNIST's images have\n")
      }
    }

    @Test("what cannot be read: a pipe that nobody writes to, a device, a file that the user may not read")
    func unreadable() throws {
      let pipe = small.path("pipe.safetensors")
      #expect(mkfifo(pipe, 0o600) == 0)
      try refused(pipe)
      try refused("/dev/zero")
      let secret = try small.folder.write("secret", as: "secret.safetensors")
      chmod(secret, 0)
      var program = try builtExecutable("dpm-sample")
      var arguments = [secret, "--output", small.path("x.png")]
      if getuid() == 0 {
        // Root may read everything: so somebody else tries, with a program that he can reach.
        let copy = small.path("dpm-sample")
        try FileManager.default.copyItem(atPath: program, toPath: copy)
        chmod(small.folder.path, 0o777)
        arguments = ["--reuid=65534", "--clear-groups", copy] + arguments
        program = "setpriv"
      }
      let result = try run(program, arguments: arguments, timeout: 20)
      #expect(
        result.status == 1 && result.errors == "error: \(secret): permission denied, expected a readable file\n",
        "\(result.errors)")
    }

    @Test("pictures and masks that are cut off, empty, or none")
    func pictures() throws {
      let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: small.path("runs/run/figures/progress.png"))))
      let cut = try small.folder.write(Array(whole.prefix(100)), as: "cut.png")
      let empty = try small.folder.write("", as: "empty.png")
      let pipe = small.path("pipe.png")
      #expect(mkfifo(pipe, 0o600) == 0)
      for (flag, file) in ["--images", "--mask"].flatMap({ flag in [cut, empty, pipe].map { (flag, $0) } }) {
        let result = try run(
          builtExecutable("dpm-sample"),
          arguments: [checkpoint, "--kind", "inpaint", flag, file, "--output", small.path("x.png")], timeout: 20)
        #expect(result.status == 1 && result.errors.hasPrefix("error: \(file): "), "\(result.errors)")
        #expect(result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      }
      #expect(!FileManager.default.fileExists(atPath: small.path("x.png")))
    }

    @Test("what exists is replaced with --force only")
    func existing() throws {
      let program = try builtExecutable("dpm-sample")
      for name in ["mine.png", "mine.npy", "mine.gif", "folder/mine.txt"] {
        try FileManager.default.createDirectory(atPath: small.path("folder"), withIntermediateDirectories: true)
        let mine = try small.folder.write("mine", as: name)
        let output = name.hasPrefix("folder") ? small.path("folder") : mine
        let arguments = [checkpoint, "--count", "2", "--output", output]
        let result = try run(program, arguments: arguments)
        #expect(result.status == 1 && result.errors.contains("\(output), which exists"), "\(result.errors)")
        #expect(try small.folder.text(name) == "mine")
        #expect(try run(program, arguments: arguments + ["--force"]).status == 0)
        // What else lies in a folder stays.
        #expect(try small.folder.bytes(name) == Array("mine".utf8) || !name.hasPrefix("folder"))
        #expect(try small.folder.bytes(name) != Array("mine".utf8) || name.hasPrefix("folder"))
      }
    }
  }
}
