internal import CZlib
import Glibc
import Tensors

/// The bytes of a file from its beginning, inflated on the way if the file is gzipped.
///
/// Whether it is gzipped is decided by its first two bytes, not by its name. Nothing is read ahead of what the caller asks
/// for but one block, so a file that inflates to gigabytes costs only what its reader was ready to take.
struct GzipFile: ~Copyable {
  /// The path, as errors name it.
  let path: String

  private let file: UnsafeMutablePointer<FILE>
  /// On the heap: zlib refuses a stream whose address has changed.
  private let stream: UnsafeMutablePointer<z_stream>
  private let input: UnsafeMutableBufferPointer<UInt8>
  private let output: UnsafeMutableBufferPointer<UInt8>
  private var isCompressed = false
  /// Whether a compressed member has begun and not ended.
  private var isInsideMember = false
  private var finishedMembers = 0

  private static let blockBytes = 1 << 18
  /// zlib's window of 2¹⁵ bytes, plus 16: a gzip header and trailer, checksum included, and nothing else.
  private static let gzipWindowBits: Int32 = 15 + 16

  /// Opens a file and looks at its first bytes.
  ///
  /// - Throws: `InputError` if it is missing, not a regular file, or not readable.
  static func open(_ path: String) throws(InputError) -> GzipFile {
    var opened = GzipFile(path: path, file: try openedFile(path))
    try opened.begin()
    return opened
  }

  /// Takes over an open file.
  private init(path: String, file: UnsafeMutablePointer<FILE>) {
    self.path = path
    self.file = file
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    input = .allocate(capacity: Self.blockBytes)
    output = .allocate(capacity: Self.blockBytes)
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    input.deallocate()
    output.deallocate()
    fclose(file)
  }

  /// The next `limit` bytes, or all that are left if they are fewer.
  ///
  /// At the end of a gzipped file its checksum has been compared. That needs one byte more than the content has: ask for
  /// one too many where the end should be.
  ///
  /// - Throws: `InputError` if the compressed data are damaged, cut off or followed by something else, or if reading
  ///   fails.
  mutating func bytes(upTo limit: Int) throws(InputError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < limit {
      if stream.pointee.avail_in == 0 { try refill() }
      guard stream.pointee.avail_in > 0 else {
        if isInsideMember { throw damage(or: "compressed data that end too early") }
        break
      }
      let wanted = min(limit - bytes.count, output.count)
      let arrived = isCompressed ? try inflate(upTo: wanted) : copy(upTo: wanted)
      bytes.append(contentsOf: UnsafeBufferPointer(rebasing: output[..<arrived]))
    }
    return bytes
  }

  private mutating func begin() throws(InputError) {
    guard
      inflateInit2_(stream, Self.gzipWindowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { throw InputError(path, found: "no memory left to inflate it") }
    try refill()
    isCompressed = stream.pointee.avail_in >= 2 && input[0] == 0x1F && input[1] == 0x8B
  }

  /// Inflates at most `limit` bytes into `output` and says how many there are; possibly none, where a member ends.
  private mutating func inflate(upTo limit: Int) throws(InputError) -> Int {
    // A gzip file may be several compressed members, one after the other (RFC 1952, 2.2).
    if !isInsideMember {
      inflateReset(stream)
      isInsideMember = true
    }
    stream.pointee.next_out = output.baseAddress
    stream.pointee.avail_out = UInt32(limit)
    switch CZlib.inflate(stream, Z_NO_FLUSH) {
    case Z_OK: break
    case Z_STREAM_END:
      isInsideMember = false
      finishedMembers += 1
    case Z_MEM_ERROR: throw InputError(path, found: "no memory left to inflate it")
    default: throw damage(or: "damaged compressed data (\(stream.pointee.msg.map { String(cString: $0) } ?? "zlib"))")
    }
    return limit - Int(stream.pointee.avail_out)
  }

  /// Copies at most `limit` bytes of an uncompressed file into `output` and says how many there are.
  private mutating func copy(upTo limit: Int) -> Int {
    let count = min(limit, Int(stream.pointee.avail_in))
    guard let destination = output.baseAddress, let source = stream.pointee.next_in else { return 0 }
    destination.update(from: source, count: count)
    stream.pointee.next_in = source + count
    stream.pointee.avail_in -= UInt32(count)
    return count
  }

  /// Reads the next block of the file into `input`; afterwards `avail_in` is 0 only at the file's end.
  private mutating func refill() throws(InputError) {
    errno = 0
    let count = fread(input.baseAddress, 1, input.count, file)
    guard count > 0 || ferror(file) == 0 else { throw InputError(systemFault: path, expected: "a readable file") }
    stream.pointee.next_in = input.baseAddress
    stream.pointee.avail_in = UInt32(count)
  }

  /// The fault of the member being read; one that breaks at once after another has ended is no member at all.
  private func damage(or description: String) -> InputError {
    finishedMembers > 0 && stream.pointee.total_out == 0
      ? InputError(path, found: "further bytes behind the compressed data", expected: "the end of the file")
      : InputError(path, found: description, expected: "a whole gzip file")
  }

  private static func openedFile(_ path: String) throws(InputError) -> UnsafeMutablePointer<FILE> {
    var status = stat()
    guard stat(path, &status) == 0 else { throw InputError(systemFault: path, expected: "a readable file") }
    // Checked before opening, which would block for ever on a pipe that nobody writes to.
    guard status.st_mode & S_IFMT != S_IFDIR else { throw InputError(path, found: "a folder", expected: "a file") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw InputError(path, found: "a pipe or a device", expected: "a file")
    }
    guard let file = fopen(path, "rb") else { throw InputError(systemFault: path, expected: "a readable file") }
    return file
  }
}
