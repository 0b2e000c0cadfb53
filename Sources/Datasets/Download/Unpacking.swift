internal import CGLib
import Glibc
import Tensors

extension PublishedArchive {
  /// Unpacks the files from a downloaded archive into a folder; each appears under its name only once it is whole, right
  /// and on the disk.
  ///
  /// No more is inflated than the files have, whatever the archive claims.
  ///
  /// - Throws: `UnpackingFault.wrongContent` where the archive is damaged or not the published one; `.system` where a file
  ///   cannot be written.
  func unpack(_ archive: String, into folder: String) throws(UnpackingFault) {
    var reader: GzipFile
    do { reader = try GzipFile.open(archive) } catch { throw .system(error) }
    switch format {
    case .gzip:
      guard let file = files.first else { return }
      try Self.copy(file, from: &reader, into: folder)
    case .tar:
      var missing = files
      while !missing.isEmpty {
        let header = try reader.next(upTo: TarHeader.bytes)
        guard let member = TarHeader(header) else {
          throw .wrongContent("no \(missing[0].name) in it")
        }
        if let index = missing.firstIndex(where: { $0.name == member.name && $0.bytes == member.length }) {
          try Self.copy(missing.remove(at: index), from: &reader, into: folder)
          _ = try reader.next(upTo: member.padding)
        } else {
          // An index or a readme: published ones are small, and a hostile archive is not read for ever.
          guard member.length <= 1 << 20 else { throw .wrongContent("\(member.name) of \(member.length) bytes in it") }
          _ = try reader.next(upTo: member.length + member.padding)
        }
      }
    }
  }

  private static func copy(
    _ file: PublishedFile, from reader: inout GzipFile, into folder: String
  ) throws(UnpackingFault) {
    let (path, temporary) = ("\(folder)/\(file.name)", "\(folder)/.\(file.name).part")
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .system(InputError(systemFault: temporary)) }
    defer {
      close(descriptor)
      // After the rename there is nothing of this name.
      unlink(temporary)
    }
    let checksum = g_checksum_new(G_CHECKSUM_SHA256)
    defer { g_checksum_free(checksum) }
    var rest = file.bytes
    while rest > 0 {
      let bytes = try reader.next(upTo: min(rest, 1 << 20))
      guard !bytes.isEmpty else { throw .wrongContent("\(file.name) ends \(rest) bytes early") }
      g_checksum_update(checksum, bytes, bytes.count)
      do throws(InputError) {
        try bytes.withUnsafeBufferPointer { bytes throws(InputError) in
          try writeAll(UnsafeRawBufferPointer(bytes), to: descriptor, path: path)
        }
      } catch { throw .system(error) }
      rest -= bytes.count
    }
    let digest = g_checksum_get_string(checksum).map { String(cString: $0) } ?? ""
    guard digest == file.digest else {
      throw .wrongContent("\(file.name) of SHA-256 \(digest), expected \(file.digest)")
    }
    guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw .system(InputError(systemFault: path)) }
  }
}

/// Why an archive could not be unpacked.
enum UnpackingFault: Error {
  /// It is not what was published; the text says in which way.
  case wrongContent(String)
  /// The system refused.
  case system(InputError)
}

extension GzipFile {
  fileprivate mutating func next(upTo limit: Int) throws(UnpackingFault) -> [UInt8] {
    do { return try bytes(upTo: limit) } catch { throw .wrongContent(error.found) }
  }
}

/// The 512 bytes before a member of a tar archive (POSIX ustar).
private struct TarHeader {
  static let bytes = 512
  /// The last part of its path.
  let name: String
  let length: Int

  /// Bytes that fill its last block.
  var padding: Int { (Self.bytes - length % Self.bytes) % Self.bytes }

  /// nil for the block of zeros at an archive's end, and for what is no header.
  init?(_ block: [UInt8]) {
    guard block.count == Self.bytes, block[0] != 0 else { return nil }
    func text(_ range: Range<Int>) -> String { String(decoding: block[range].prefix { $0 != 0 }, as: UTF8.self) }
    guard let length = Int(text(124..<136).filter { $0 != " " }, radix: 8), length >= 0 else { return nil }
    name = text(0..<100).split(separator: "/").last.map(String.init) ?? ""
    self.length = length
  }
}
