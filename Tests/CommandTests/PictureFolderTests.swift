import Foundation
import TestSupport
import Testing

extension InputTests {
  /// `--dataset images`: a folder of pictures, from the first decoding to sampling.
  @Suite struct PictureFolderTests {
    private let pictures: PictureRun
    private var folder: TemporaryFolder { pictures.folder }

    init() throws { pictures = try PictureRun() }

    @Test("three ranks decode what one does; a second run decodes nothing; the model is evaluated and sampled")
    func trains() throws {
      let one = try pictures.train("one")
      let three = try pictures.train("three", ranks: 3, cache: "other")
      #expect(one.status == 0 && three.status == 0, "\(one.errors)\(three.errors)")
      let file = try pictures.cacheFiles()
      #expect(try file.count == 1 && file == pictures.cacheFiles("other"))
      #expect(try folder.bytes("cache/dpm/images/\(file[0])") == folder.bytes("other/dpm/images/\(file[0])"))

      let before = try FileManager.default.attributesOfItem(atPath: folder.file("cache/dpm/images/\(file[0])"))
      #expect(try pictures.train("again", ranks: 2).status == 0)
      let after = try FileManager.default.attributesOfItem(atPath: folder.file("cache/dpm/images/\(file[0])"))
      #expect(before[.systemFileNumber] as? Int == after[.systemFileNumber] as? Int)

      // The checkpoint tells where the pictures are, in which width and colours.
      let model = folder.file("runs/one/checkpoints/epoch-0001.safetensors")
      let environment = ["XDG_CACHE_HOME": folder.file("cache")]
      let bound = try run(
        try builtExecutable("dpm-evaluate"),
        arguments: [model, "--split", "both", "--per-image", folder.file("images.csv")], environment: environment)
      #expect(bound.status == 0 && bound.output.contains("IMAGES"), "\(bound.output)\(bound.errors)")
      let files = try ["train", "test"].flatMap { split in
        try String(contentsOfFile: folder.file("images-\(split).csv"), encoding: .utf8).split(separator: "\n")
          .dropFirst()
          .map { $0.split(separator: ",", maxSplits: 3).last }
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: SamplePicture.folder).sorted().enumerated()
        .map { $0 % 2 == 0 ? "\"\($1)\"" : "\"sub dir/new\\u{a}line \($1)\"" }
      #expect(files.compactMap { $0.map(String.init) }.sorted() == names.filter { $0.hasSuffix("g\"") }.sorted())
      let painted = try run(
        try builtExecutable("dpm-sample"),
        arguments: [model, "--kind", "inpaint", "--count", "1", "--output", folder.file("samples.png")],
        environment: environment)
      #expect(
        painted.status == 0 && FileManager.default.fileExists(atPath: folder.file("samples.png")), "\(painted.errors)")
    }

    @Test("grey models see colour files as grey; a changed folder and a damaged cache are decoded anew")
    func changes() throws {
      let grey = try pictures.train("grey", ["--set", "model.n_colors=1"])
      #expect(grey.status == 0 && grey.output.contains("of 1×16×16"), "\(grey.output)\(grey.errors)")
      let file = "cache/dpm/images/" + (try pictures.cacheFiles()[0])
      let size = try folder.bytes(file).count
      try pictures.copy("rocket_96.png", to: "in/another.png")
      #expect(try pictures.train("more", ["--set", "model.n_colors=1"]).status == 0)
      #expect(try folder.bytes(file).count > size)
      _ = try folder.write(Array(folder.bytes(file).prefix(1000)), as: file)
      #expect(try pictures.train("damaged", ["--set", "model.n_colors=1"]).status == 0)
      #expect(try folder.bytes(file).count > size)
    }

    @Test("a run that goes on with a folder that has changed says so")
    func resumed() throws {
      #expect(try pictures.train("one").status == 0)
      let same = try pictures.train("one", ["--epochs", "2", "--resume"])
      #expect(same.status == 0 && same.errors.isEmpty, "\(same.errors)")
      try pictures.copy("rocket_96.png", to: "in/another.png")
      let other = try pictures.train("one", ["--epochs", "3", "--resume"])
      #expect(
        other.status == 0 && other.errors.contains("goes on with other images than it began with"), "\(other.errors)")
    }

    @Test(
      "a broken file among many is named and left out; with --strict it is an error; so are more than one in a hundred")
    func broken() throws {
      for number in 0..<100 { try pictures.copy("tiny_17x31.jpg", to: "in/\(number).jpg") }
      _ = try folder.write("no picture", as: "in/broken.png")
      let result = try pictures.train("lenient")
      #expect(
        result.status == 0 && result.errors.contains("broken.png: no picture that can be decoded"), "\(result.errors)")
      #expect(try pictures.train("cached").errors.contains("1 files that cannot be decoded are left out"))
      pictures.fails(try pictures.train("strict", ["--strict"]), saying: "in/broken.png", "expected none with --strict")
      pictures.fails(
        try pictures.train("strict", ranks: 2, cache: "new", ["--strict"]), saying: "in/broken.png",
        "none with --strict")
      #expect(try pictures.cacheFiles("new").isEmpty)
      _ = try folder.write([], as: "in/empty.jpg")
      pictures.fails(try pictures.train("many", ranks: 2), saying: "1 more such files of 114", "at most 1 %")
      #expect(!FileManager.default.fileExists(atPath: folder.file("runs/many")))
    }

    @Test("folders without pictures, with one, without rights, or that are none; no folder at all")
    func folders() throws {
      pictures.fails(
        try pictures.train("x", ["--data-dir", folder.file("none")]), saying: folder.file("none"),
        "no such file or directory")
      try FileManager.default.createDirectory(atPath: folder.file("few"), withIntermediateDirectories: true)
      pictures.fails(
        try pictures.train("x", ranks: 2, ["--data-dir", folder.file("few")]), saying: "no pictures",
        ".jpg, .jpeg, .png")
      try pictures.copy("rocket_96.png", to: "few/one.png")
      pictures.fails(try pictures.train("x", ["--data-dir", folder.file("few")]), saying: "one picture")
      pictures.fails(
        try run(
          try builtExecutable("dpm-train"), arguments: ["--dataset", "images", "--set", "dataset.path=null"],
          environment: ["DPM_DATA_DIR": ""]),
        saying: "dataset.path: no folder to read IMAGES from")
      pictures.fails(
        try pictures.train("x", ["--set", "model.n_colors=2"]), saying: "model.n_colors: 2, expected 1 (grey) or 3")
      _ = try folder.write("a file", as: "file")
      pictures.fails(try pictures.train("x", cache: "file"), saying: folder.file("file"), "XDG_CACHE_HOME")
    }

    @Test("a subfolder that may not be read is named")
    func rights() throws {
      try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: folder.file("in/sub dir"))
      defer {
        try? FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.file("in/sub dir"))
      }
      // Root may read everything, unless it gives that up.
      let capabilities = "-dac_override,-dac_read_search"
      let program = try builtExecutable("dpm-train")
      let environment = ["XDG_CACHE_HOME": folder.file("cache")]
      let result =
        geteuid() == 0
        ? try run(
          "setpriv",
          arguments: ["--bounding-set", capabilities, "--inh-caps", capabilities, program]
            + pictures.arguments("x", []),
          environment: environment)
        : try run(program, arguments: pictures.arguments("x", []), environment: environment)
      pictures.fails(result, saying: "in/sub dir/: permission denied")
    }
  }
}
