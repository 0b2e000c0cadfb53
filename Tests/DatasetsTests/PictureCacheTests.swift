import Foundation
import Tensors
import TestSupport
import Testing

@testable import Datasets

@Suite struct PictureCacheTests {
  let folder: TestSupport.TemporaryFolder
  let cache: PictureCache
  let shape = ImageShape(colors: 1, height: 2, width: 2)

  init() throws {
    folder = try TestSupport.TemporaryFolder()
    cache = try PictureCache(of: "/pictures", shape: shape, name: "IMAGES", cache: folder.path)
  }

  func write(listing: String = "now", train: Int = 3, test: Int = 2, skipped: [PictureCache.Skipped] = []) throws {
    let writer = try PictureCacheWriter(cache, listing: listing, count: train + test)
    for image in 0..<train + test {
      try [UInt8](repeating: UInt8(10 * image), count: 4).withUnsafeBufferPointer {
        try writer.append($0, isTest: image >= train)
      }
    }
    try writer.finish(skipped: skipped)
  }

  @Test("what was written is mapped, with its standardization and what was left out")
  func roundTrip() throws {
    let skipped = [PictureCache.Skipped(name: "a.jpg", reason: "cut short")]
    try write(skipped: skipped)
    let contents = try #require(try cache.contents(listing: "now"))
    #expect(contents.data.train.count == 3 && contents.data.test.count == 2)
    #expect(
      contents.data.train.image(at: 2) == [20, 20, 20, 20] && contents.data.test.image(at: 0) == [30, 30, 30, 30])
    #expect(contents.standardization == (try Standardization(of: contents.data.train)))
    #expect(contents.skipped == skipped)
    contents.data.train.willNeed(0..<3)
  }

  @Test(
    "a cache of another listing does not count; a newer one takes its place, and who has mapped the older one keeps it")
  func changed() throws {
    try write()
    let old = try #require(try cache.contents(listing: "now"))
    #expect(try cache.contents(listing: "later") == nil)
    try write(listing: "later", train: 4)
    #expect(try cache.contents(listing: "now") == nil)
    #expect(try cache.contents(listing: "later")?.data.train.count == 4)
    #expect(old.data.train.image(at: 2) == [20, 20, 20, 20] && old.data.train.count == 3)
    #expect(try folder.contents(of: "images").count == 1)
  }

  @Test("a file that is cut short anywhere, or has a flipped byte behind the pixels, is made anew")
  func damaged() throws {
    try write()
    let name = "images/" + (try folder.contents(of: "images")[0])
    let whole = try folder.bytes(name)
    for length in 0..<whole.count {
      _ = try folder.write(Array(whole.prefix(length)), as: name)
      #expect(try cache.contents(listing: "now") == nil, "\(length) bytes")
    }
    for index in 20..<whole.count {
      var flipped = whole
      flipped[index] ^= 0x80
      _ = try folder.write(flipped, as: name)
      // A digit of a sum may still be one: what counts is that nothing is read that is not there.
      _ = try? cache.contents(listing: "now")
      // Another digit.
      flipped[index] ^= 0x81
      _ = try folder.write(flipped, as: name)
      _ = try? cache.contents(listing: "now")
    }
    let text = String(decoding: whole.dropFirst(20), as: UTF8.self)
    let other = text.replacingOccurrences(of: "\"version\":2", with: "\"version\":1")
    #expect(other != text)
    _ = try folder.write(Array(whole.prefix(20)) + Array(other.utf8), as: name)
    #expect(try cache.contents(listing: "now") == nil)
  }

  @Test("two writers at a time do not disturb each other, and leftovers of dead ones are swept")
  func twoWriters() throws {
    let first = try PictureCacheWriter(cache, listing: "now", count: 5)
    _ = try folder.write("half", as: "images/.x.dpm.1234.part")
    try write()
    #expect(try folder.contents(of: "images").filter { $0.hasSuffix(".part") }.count == 1)
    for image in 0..<5 {
      try [UInt8](repeating: UInt8(image), count: 4).withUnsafeBufferPointer { try first.append($0, isTest: image > 2) }
    }
    try first.finish(skipped: [])
    #expect(try cache.contents(listing: "now")?.data.train.image(at: 2) == [2, 2, 2, 2])
    #expect(try folder.contents(of: "images").count == 1)
  }

  @Test("without images to train on or to test with there is no file", arguments: [(0, 2), (2, 0)])
  func empty(train: Int, test: Int) throws {
    #expect(throws: InputError.self) { try write(train: train, test: test) }
    #expect(try folder.contents(of: "images").isEmpty)
  }

  @Test("every folder and shape has a file of its own")
  func names() throws {
    let others = [
      try PictureCache(of: "/other", shape: shape, name: "IMAGES", cache: folder.path),
      try PictureCache(
        of: "/pictures", shape: ImageShape(colors: 3, height: 2, width: 2), name: "IMAGES", cache: folder.path),
      try PictureCache(
        of: "/pictures", shape: ImageShape(colors: 1, height: 3, width: 3), name: "IMAGES", cache: folder.path),
    ]
    #expect(Set((others + [cache]).map(\.path)).count == 4)
  }
}
