import Foundation
import Pictures
import TestSupport
import Testing

extension CommandTests {
  @Suite struct SampleTests {
    private func checkpoint(_ small: SmallRun) throws -> String {
      try small.train("run", ["--epochs", "2", "--lr", "3e-3"])
      return small.path("runs/run/checkpoints/epoch-0002.safetensors")
    }

    @discardableResult
    private func sample(ranks: Int = 1, _ arguments: String...) throws -> ProcessResult {
      let program = try builtExecutable("dpm-sample")
      let result =
        try ranks == 1 ? run(program, arguments: arguments) : mpirun(ranks: ranks, program, arguments: arguments)
      try #require(result.status == 0, "\(result.errors)")
      return result
    }

    /// The header's text and the numbers of an .npy file.
    private func numbers(_ path: String) throws -> (header: String, values: [Float]) {
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      let length = Int(bytes[8]) + 256 * Int(bytes[9])
      #expect((10 + length) % 64 == 0)
      let values = bytes[(10 + length)...].withUnsafeBytes { raw in
        (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
      }
      return (String(decoding: bytes[10..<10 + length], as: UTF8.self), values)
    }

    @Test("image i is the same for any count, batch size and number of ranks and threads")
    func sameImages() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      try sample(checkpoint, "--count", "37", "--output", small.path("a.npy"))
      let whole = try numbers(small.path("a.npy"))
      #expect(whole.header.contains("'<f4'") && whole.header.contains("(37, 1, 8, 8)"))
      try sample(checkpoint, "--count", "20", "--batch-size", "3", "--output", small.path("b.npy"))
      #expect(try numbers(small.path("b.npy")).values == Array(whole.values.prefix(20 * 64)))
      for (ranks, threads) in [(1, "1"), (1, "3"), (2, "2"), (3, "1")] {
        try sample(
          ranks: ranks, checkpoint, "--count", "37", "--batch-size", "5", "--threads", threads, "--output",
          small.path("c.npy"), "--force")
        #expect(try numbers(small.path("c.npy")).values == whole.values)
      }
      try sample(checkpoint, "--count", "37", "--seed", "2", "--output", small.path("d.npy"))
      #expect(try numbers(small.path("d.npy")).values != whole.values)
    }

    @Test("a rank without an image to draw is in no hurry")
    func idleRank() throws {
      let small = try SmallRun()
      let long = SmallRun.modelArguments.replacing("trajectory_length=40", with: "trajectory_length=600000")
      try small.train(
        "run", ["--epochs", "100000", "--ext-every-n", "100000", "--model-args", long, "--max-time", "1s"])
      // Several times what lies between two meetings of the ranks, and less than the trajectory takes.
      try sample(
        ranks: 2, small.path("runs/run"), "--count", "1", "--timeout", "4", "--output", small.path("one.npy"))
    }

    @Test("known pixels of one's own picture come out exactly as they went in; several samples differ elsewhere")
    func inpainting() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      try sample(checkpoint, "--count", "1", "--output", small.path("one/"))
      let own = small.path("one/00000.png")
      for mask in ["right", "left", "top", "bottom", "center", "random:0.5"] {
        try sample(
          checkpoint, "--kind", "inpaint", "--images", own, "--mask", mask, "--per-image", "3", "--output",
          small.path("in/"), "--force")
        let truth = try Picture(contentsOf: own).elements(colors: 1)
        let samples = try (0..<3).map { try Picture(contentsOf: small.path("in/00000-\($0).png")).elements(colors: 1) }
        let equal = (0..<64).filter { pixel in samples.allSatisfy { $0[pixel] == truth[pixel] } }
        #expect(equal.count >= (mask == "center" ? 16 : mask == "random:0.5" ? 15 : 32), "\(mask)")
        if mask == "right" { #expect(Set(equal).isSuperset(of: (0..<64).filter { $0 % 8 >= 4 })) }
        #expect(samples[0] != samples[1] && samples[1] != samples[2])
        for name in ["true", "start", "mean", "deviation"] {
          #expect(FileManager.default.fileExists(atPath: small.path("in/00000-\(name).png")))
        }
      }
      // Numbers too: k/255 to the last bit.
      try sample(
        checkpoint, "--kind", "inpaint", "--images", own, "--mask", "left", "--per-image", "2", "--output",
        small.path("in.npy"))
      let pixels = try Picture(contentsOf: own).elements(colors: 1)
      for (index, value) in try numbers(small.path("in.npy")).values.enumerated() where index % 8 < 4 {
        #expect(value == Float(pixels[index % 64]) / 255)
      }
      // What an earlier drawing left is told of, and stays.
      let again = try sample(checkpoint, "--count", "2", "--output", small.path("in"), "--force")
      #expect(again.errors.contains("of an earlier drawing lie there too, 00000-0.png among them"), "\(again.errors)")
      // A picture as the mask: white where known.
      try sample(
        checkpoint, "--kind", "inpaint", "--images", own, "--mask", own, "--output", small.path("masked/"))
      let (truth, result) = try (
        Picture(contentsOf: own).elements(colors: 1),
        Picture(contentsOf: small.path("masked/00000.png")).elements(colors: 1)
      )
      for pixel in 0..<64 where truth[pixel] >= 128 { #expect(truth[pixel] == result[pixel]) }
    }

    @Test(
      "a run's folder stands for its newest checkpoint; dark ink on light paper is inverted, paper beyond the sheet too"
    )
    func ownInk() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let text = try sample(small.path("runs/run"), "--count", "3", "--output", small.path("a.npy")).output
      #expect(text.contains("\(checkpoint) (epoch 2"))
      try sample(checkpoint, "--count", "3", "--output", small.path("b.npy"))
      #expect(try numbers(small.path("a.npy")).values == numbers(small.path("b.npy")).values)
      // A sheet twice as wide as high, with a stroke over its whole height.
      let sheet = (0..<32 * 16).map { UInt8($0 % 32 / 8 == 1 ? 20 : 250) }
      let own = try small.folder.write(Array("P5 32 16 255 ".utf8) + sheet, as: "own.pgm")
      try sample(
        checkpoint, "--kind", "inpaint", "--images", own, "--invert", "--output", small.path("ink/"))
      let seen = try Picture(contentsOf: small.path("ink/00000-true.png")).elements(colors: 1)
      let (stroke, paper) = ((0..<64).filter { (2..<4).contains($0 % 8) && (2..<6).contains($0 / 8) }, 5)
      #expect(stroke.allSatisfy { seen[$0] > 200 }, "\(seen)")
      #expect((0..<64).allSatisfy { pixel in seen[pixel] <= 60 || abs(pixel % 8 - 3) <= 2 }, "\(seen)")
      #expect(seen[0] == 0 && seen[63] == 0 && seen[32 + 7] <= paper)
    }

    @Test("pictures, numbers and animations of every kind, of the data set's images")
    func kinds() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let shapes = ["denoise": "(5, 1, 1, 8, 8)", "inpaint": "(5, 1, 1, 8, 8)", "reconstruct": "(2, 5, 1, 8, 8)"]
      for (kind, shape) in shapes {
        let output = small.path("\(kind).npy")
        try sample(ranks: 2, checkpoint, "--kind", kind, "--count", "5", "--times", "10,30", "--output", output)
        #expect(try numbers(output).header.contains(shape))
        let drawn = try sample(
          checkpoint, "--kind", kind, "--count", "5", "--times", "10,30", "--output", small.path("\(kind).png"))
        let warning = "warning: --times: says nothing with --kind \(kind), it is for --kind reconstruct\n"
        #expect(drawn.errors == (kind == "reconstruct" ? "" : warning))
      }
      // From a tenth, three and six tenths of the trajectory; an ending in capitals is one too.
      try sample(checkpoint, "--kind", "reconstruct", "--count", "2", "--output", small.path("three.NPY"))
      #expect(try numbers(small.path("three.NPY")).header.contains("(3, 2, 1, 8, 8)"))
      let grid = try Picture(contentsOf: small.path("reconstruct.png"))
      #expect(grid.width > 5 * 9 && grid.height > 5 * 9)
      let text = try sample(checkpoint, "--count", "4", "--output", small.path("way.gif")).output
      #expect(text.contains("4 standard samples"))
      let animation = try Data(contentsOf: URL(fileURLWithPath: small.path("way.gif")))
      #expect(animation.starts(with: Data("GIF89a".utf8)) && animation.last == 0x3B)
    }

    @Test("what cannot be drawn is refused with one line")
    func badInput() throws {
      let small = try SmallRun()
      let checkpoint = try checkpoint(small)
      let text = try small.folder.write("no picture", as: "text.png")
      let clear = SamplePicture.path("greyalpha_camera.png")
      let picture = small.path("wide.png")
      try sample(checkpoint, "--count", "4", "--output", picture)
      for name in ["full", "empty"] {
        try FileManager.default.createDirectory(atPath: small.path(name), withIntermediateDirectories: true)
      }
      _ = try small.folder.write("mine", as: "full/mine.txt")
      let inpaint = [checkpoint, "--kind", "inpaint", "--output", small.path("x.png")]
      let cases: [([String], String)] = [
        ([small.path("none")], "no such file"), ([text], "text.png"),
        ([checkpoint, "--count", "0"], "--count: 0"), ([checkpoint, "--kind", "dream"], "--kind: \"dream\""),
        ([checkpoint, "--output", picture], "which exists"),
        ([checkpoint, "--output", small.path("full")], "which exists"),
        ([checkpoint, "--output", "/nowhere/x.png"], "/nowhere/x.png"),
        (inpaint + ["--images", text], "no picture that can be decoded"),
        (inpaint + ["--images", small.path("absent.png")], "absent.png: no such file"),
        (inpaint + ["--images", small.path("full")], "a folder or device"),
        (inpaint + ["--invert"], "--invert: no --images beside it"),
        ([small.path("empty")], "empty/checkpoints: no checkpoint, expected one at least"),
        (inpaint + ["--mask", "middle"], "--mask: \"middle\""), (inpaint + ["--mask", "random:2"], "--mask"),
        (inpaint + ["--mask", picture], "expected 8×8"), (inpaint + ["--count", "41"], "at most the test set's 40"),
        ([checkpoint, "--kind", "denoise", "--noise-sd", "0"], "--noise-sd: 0.0, expected"),
        (inpaint + ["--per-image", "0"], "--per-image: 0"),
        ([checkpoint, "--per-image", "2", "--output", small.path("x.png")], "--per-image: 2 with --kind standard"),
        ([checkpoint, "--kind", "reconstruct", "--times", "40", "--output", small.path("x.png")], "--times: 40"),
        ([checkpoint, "--kind", "reconstruct", "--times", "a", "--output", small.path("x.png")], "--times: \"a\""),
        (inpaint + ["--threads", "0"], "--threads: 0, expected 1 ... 1024"),
        (inpaint + ["--mask", clear], "greyalpha_camera.png: transparent pixels, expected an opaque picture"),
        (inpaint + ["--images", clear], "greyalpha_camera.png: transparent pixels"),
        ([checkpoint, "--output", "/dev/full"], "/dev/full"),
        ([checkpoint, "--output", ""], "--output: \"\", expected"),
        ([checkpoint, "--output", small.path("x.jpg")], "x.jpg, expected a .png, a .npy, a .gif, or a folder"),
        ([checkpoint, "--output", "-"], "--output: -, expected a .png"),
        ([checkpoint, "--output", "\(text)/"], "text.png/: not a directory"),
        (
          [checkpoint, "--kind", "reconstruct", "--times", "9,9", "--output", small.path("x.png")], "--times: 9, twice"
        ),
      ]
      for (arguments, text) in cases {
        let result = try run(builtExecutable("dpm-sample"), arguments: arguments)
        #expect(result.status == 1, "\(arguments)")
        #expect(result.errors.contains(text) && result.errors.hasPrefix("error: "), "\(arguments): \(result.errors)")
        #expect(result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      }
    }
  }
}
