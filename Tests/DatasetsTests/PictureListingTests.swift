import Foundation
import Tensors
import TestSupport
import Testing

@testable import Datasets

@Suite struct PictureListingTests {
  let folder: TestSupport.TemporaryFolder

  init() throws { folder = try TestSupport.TemporaryFolder() }

  func write(_ names: [String]) throws {
    for name in names {
      let path = URL(fileURLWithPath: folder.file(name))
      try FileManager.default.createDirectory(
        at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
      _ = try folder.write("x", as: name)
    }
  }

  func names(_ listing: PictureListing) -> Set<String> {
    Set(listing.names.map { String(decoding: $0, as: UTF8.self) })
  }

  @Test("pictures are found by their names' ends, in subfolders too; nothing else is")
  func ends() throws {
    try write([
      "a.jpg", "b.JPEG", "c/d/e.Png", "f g\nh.jpeg", "notes.txt", "jpg", ".hidden.jpg", ".thumbs/i.jpg", "j.jpg.part",
    ])
    #expect(names(try PictureListing(of: folder.path)) == ["a.jpg", "b.JPEG", "c/d/e.Png", "f g\nh.jpeg"])
  }

  @Test("names that are no text are found and can be opened")
  func bytes() throws {
    try write(["a.png"])
    let name: [UInt8] = [0x66, 0xFF, 0xFE, 0x0A] + Array(".png".utf8)
    let path = (Array(folder.path.utf8) + [0x2F] + name + [0]).map { CChar(bitPattern: $0) }
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    let listing = try PictureListing(of: folder.path)
    #expect(Set(listing.names) == [name, Array("a.png".utf8)])
    #expect(printable(name) == "f\u{FFFD}\u{FFFD}\\u{a}.png")
    unlink(path)
  }

  @Test("links are followed, circles are not, and a link to nothing is a picture that cannot be decoded")
  func links() throws {
    try write(["a/one.png", "a/two.png"])
    for (link, target) in [
      ("a/up", ".."), ("again", "a"), ("self", "self"), ("gone.jpg", "nowhere"), ("b.png", "a/one.png"),
    ] {
      try FileManager.default.createSymbolicLink(atPath: folder.file(link), withDestinationPath: target)
    }
    #expect(names(try PictureListing(of: folder.path)) == ["a/one.png", "a/two.png", "gone.jpg", "b.png"])
  }

  @Test("a tenth is to test with, chosen by name alone")
  func split() throws {
    let all = (0..<1000).map { "picture \($0).jpg" }
    try write(all)
    let listing = try PictureListing(of: folder.path)
    #expect(listing.names.count == 1000)
    #expect((870...930).contains(listing.trainCount), "\(listing.trainCount)")
    let test = Set(listing.names[listing.trainCount...])
    for name in all.prefix(500) { try FileManager.default.removeItem(atPath: folder.file(name)) }
    try write(["another.png"])
    let other = try PictureListing(of: folder.path)
    for (place, name) in other.names.enumerated() where name != Array("another.png".utf8) {
      #expect(test.contains(name) == (place >= other.trainCount))
    }
  }

  @Test("the first pictures of both sets come from all subfolders")
  func shuffled() throws {
    try write((0..<400).map { "\($0 / 40)/\($0).jpg" })
    let listing = try PictureListing(of: folder.path)
    for names in [listing.names[..<listing.trainCount], listing.names[listing.trainCount...]] {
      #expect(Set(names.prefix(30).map(\.first)).count > 7)
    }
  }

  @Test("of few pictures both sets have some", arguments: 2...12)
  func few(count: Int) throws {
    try write((0..<count).map { "\($0).jpg" })
    let listing = try PictureListing(of: folder.path)
    #expect(listing.trainCount > 0 && listing.trainCount < count)
  }

  @Test("the digest notices names, sizes and times")
  func digest() throws {
    try write(["a.jpg", "b.jpg"])
    var digests = [try PictureListing(of: folder.path).digest]
    #expect(try PictureListing(of: folder.path).digest == digests[0])
    _ = try folder.write("longer", as: "a.jpg")
    digests.append(try PictureListing(of: folder.path).digest)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: folder.file("b.jpg"))
    digests.append(try PictureListing(of: folder.path).digest)
    try FileManager.default.moveItem(atPath: folder.file("b.jpg"), toPath: folder.file("c.jpg"))
    digests.append(try PictureListing(of: folder.path).digest)
    #expect(Set(digests).count == 4)
  }

  @Test("what another rank receives is the same")
  func encoded() throws {
    try write(["a.jpg", "b\n.jpg", "c/d.png"])
    let listing = try PictureListing(of: folder.path)
    let other = PictureListing(encoded: listing.encoded, digest: listing.digest)
    #expect(other.names == listing.names && other.trainCount == listing.trainCount)
  }

  @Test("no pictures, one picture, no folder, a file: each is named")
  func faults() throws {
    func fault(_ path: String) -> InputError? { #expect(throws: InputError.self) { try PictureListing(of: path) } }
    #expect(
      fault(folder.path)?.description.contains(": no pictures, expected JPEG or PNG files (.jpg, .jpeg, .png)") == true)
    try write(["a.jpg"])
    #expect(fault(folder.path)?.found == "one picture")
    #expect(fault(folder.file("none"))?.found == "no such file or directory")
    #expect(fault(folder.file("a.jpg"))?.found == "not a directory")
  }
}
