import Foundation
import TestSupport
import Testing

extension InputTests {
  /// While a folder of pictures becomes a cache file: what else happens to both, and what is in the file then.
  @Suite struct PictureCachingTests {
    private let pictures: PictureRun
    private var folder: TemporaryFolder { pictures.folder }

    init() throws { pictures = try PictureRun() }

    private func isWriting(_ cache: String = "cache") -> Bool {
      (try? pictures.cacheFiles(cache))?.contains { $0.hasSuffix(".part") } == true
    }

    /// Adds pictures, until decoding takes long enough to look at.
    private func fill(_ count: Int) throws {
      for number in 0..<count { try pictures.copy("cmyk_coffee.jpg", to: "in/\(number).jpg") }
    }

    @Test("a folder that changes while it is cached: one line, and no cache of half of it", arguments: [1, 2])
    func changing(ranks: Int) throws {
      try fill(400)
      let all = try FileManager.default.subpathsOfDirectory(atPath: folder.file("in"))
        .count { $0.hasSuffix("g") }
      let job = try pictures.start("x", ranks: ranks)
      while job.isRunning, !isWriting() { usleep(500) }
      // Open MPI's launcher passes SIGTSTP on as SIGSTOP.
      job.send(ranks == 1 ? SIGSTOP : SIGTSTP)
      try #require(isWriting(), "\(job.finish(timeout: 10).errors)")
      try pictures.copy("rocket_96.png", to: "in/another.png")
      job.send(SIGCONT)
      pictures.fails(
        job.finish(timeout: 60), saying: "\(folder.file("in")): files that changed while they were read",
        "expected a folder that stays as it is")
      #expect(try pictures.cacheFiles().isEmpty)
      #expect(!FileManager.default.fileExists(atPath: folder.file("runs/x")))
      // The next run has all of it.
      let data = try #require(try pictures.train("y").output.firstMatch(of: /IMAGES: (\d+) images .* (\d+) to test/))
      #expect(Int(data.1).flatMap { train in Int(data.2).map { train + $0 } } == all + 1)
    }

    @Test("two jobs that cache a folder at once: each trains, and one whole file is left")
    func twoJobs() throws {
      try fill(100)
      let jobs = [try pictures.start("one"), try pictures.start("two", ranks: 2)]
      for result in jobs.map({ $0.finish(timeout: 60) }) { #expect(result.status == 0, "\(result.errors)") }
      #expect(try pictures.train("alone", cache: "other").status == 0)
      let files = try pictures.cacheFiles()
      #expect(try files == pictures.cacheFiles("other"))
      for file in files {
        #expect(try folder.bytes("cache/dpm/images/\(file)") == folder.bytes("other/dpm/images/\(file)"))
      }
    }

    @Test("a job that is killed leaves what the next one sweeps away")
    func killed() throws {
      try fill(400)
      let job = try pictures.start("x")
      while job.isRunning, !isWriting() { usleep(500) }
      job.send(SIGKILL)
      #expect(job.finish(timeout: 10).status == 128 + SIGKILL && isWriting())
      #expect(try pictures.train("x").status == 0)
      #expect(try pictures.cacheFiles().count == 1 && !isWriting())
    }

    @Test("names with spaces and newlines, and names that are no text: each is a picture, or is named")
    func names() throws {
      let names: [[UInt8]] = [
        [0xFF, 0xFE, 0x0A] + Array(" a.jpg".utf8), Array(" \t.png".utf8), Array("caf\u{E9} \u{1F600}\r\n.jpeg".utf8),
      ]
      try fill(100)
      for name in names { try write(SamplePicture.path("rocket_96.png"), as: name) }
      defer { for name in names { unlink(path(name)) } }
      let result = try pictures.train("x", ranks: 2)
      #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
      _ = try folder.write("no picture", as: "broken")
      let broken = [0xC3, 0x28, 0x0A] + Array(" b.png".utf8)
      try write(folder.file("broken"), as: broken)
      defer { unlink(path(broken)) }
      let other = try pictures.train("y")
      let lines = other.errors.split(separator: "\n")
      #expect(other.status == 0 && lines.contains { $0.contains("in/\u{FFFD}(\\u{a} b.png: no picture") }, "\(lines)")
      #expect(lines.allSatisfy { $0.hasPrefix("warning: ") }, "\(lines)")
    }

    private func path(_ name: [UInt8]) -> [CChar] {
      (Array(folder.file("in/").utf8) + name + [0]).map { CChar(bitPattern: $0) }
    }

    private func write(_ source: String, as name: [UInt8]) throws {
      try #require(link(source, path(name)) == 0 || symlink(source, path(name)) == 0)
    }

    @Test("three colours of grey files are equal, and grey of colour files is ITU-R BT.601's")
    func colors() throws {
      let count = try FileManager.default.contentsOfDirectory(atPath: SamplePicture.folder).count
      try pictures.copy("greyalpha_camera.png", to: "in/grey.png")
      for colors in [1, 3] {
        let result = try pictures.train("\(colors)", cache: "\(colors)", ["--set", "model.n_colors=\(colors)"])
        #expect(result.status == 0 && result.output.contains("of \(colors)×16×16"), "\(result.output)\(result.errors)")
      }
      let inColor = try pictures.cachedPixels("3", count: count - 1, colors: 3)
      let inGrey = try pictures.cachedPixels("1", count: count - 1, colors: 1)
      var greyPictures = 0
      for (color, grey) in zip(inColor, inGrey) {
        let planes = [0, 256, 512].map { Array(color[$0..<$0 + 256]) }
        greyPictures += planes[0] == planes[1] && planes[1] == planes[2] ? 1 : 0
        for pixel in 0..<256 {
          let exact =
            0.299 * Double(planes[0][pixel]) + 0.587 * Double(planes[1][pixel]) + 0.114 * Double(planes[2][pixel])
          #expect(abs(Double(grey[pixel]) - exact) <= 0.5 + 1e-9)
        }
      }
      // bilevel_camera.png, grey16_camera.png, greyalpha_camera.png and its copy.
      #expect(greyPictures == 4)
    }
  }
}
