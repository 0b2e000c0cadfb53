#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A file that comes to be whole or not at all, whatever ends the process or the machine meanwhile.
///
/// It is written under a temporary name in the folder of its own, synced, renamed, and the folder synced: an older file of
/// the name stays until that moment. Leftovers of processes that were killed are swept by `sweepLeftovers(in:)`.
public struct AtomicFile {
  private let descriptor: Int32
  /// The file, as errors name it: the final name, not the temporary one.
  private let path: String

  /// Writes a file; `body` appends its content.
  ///
  /// - Throws: `InputError` with the system's text (no space left on device, permission denied, …), or what `body`
  ///   throws. The file is then what it was before, unless its folder could not be synced: then it is the new one.
  public static func write(
    to path: String, _ body: (AtomicFile) throws(InputError) -> Void
  ) throws(InputError) {
    let (descriptor, temporaryPath) = try createTemporary(for: path)
    do throws(InputError) {
      // Whether syncing and closing fail matters as much as writing: network file systems report a full disk late.
      do throws(InputError) {
        try body(AtomicFile(descriptor: descriptor, path: path))
        guard fsync(descriptor) == 0 else { throw InputError(systemFault: path) }
      } catch {
        close(descriptor)
        throw error
      }
      guard close(descriptor) == 0 else { throw InputError(systemFault: path) }
      guard rename(temporaryPath, path) == 0 else { throw InputError(systemFault: path) }
    } catch {
      unlink(temporaryPath)
      throw error
    }
    try syncFolder(of: path)
  }

  /// Writes a text file.
  ///
  /// - Throws: `InputError` with the system's text; the file is then what it was before.
  public static func write(_ text: String, to path: String) throws(InputError) { try write(Array(text.utf8), to: path) }

  /// Writes a file of these bytes.
  ///
  /// - Throws: `InputError` with the system's text; the file is then what it was before.
  public static func write(_ bytes: [UInt8], to path: String) throws(InputError) {
    try write(to: path) { file throws(InputError) in
      try bytes.withUnsafeBufferPointer { bytes throws(InputError) in try file.append(UnsafeRawBufferPointer(bytes)) }
    }
  }

  /// Appends bytes.
  ///
  /// - Throws: `InputError` with the system's text.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(InputError) {
    try writeAll(bytes, to: descriptor, path: path)
  }

  /// Removes what killed processes left half-written in a folder; the run's lock must be held.
  ///
  /// Files of processes that are alive on this machine stay.
  public static func sweepLeftovers(in folder: String) {
    for name in names(in: folder) {
      guard let owner = ownerOfTemporary(named: name) else { continue }
      let isAlive = owner != getpid() && (kill(owner, 0) == 0 || errno == EPERM)
      if !isAlive { unlink("\(folder)/\(name)") }
    }
  }

  /// What a folder holds; nothing where there is no folder.
  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) })
    }
    return names
  }

  private static let temporarySuffix = ".tmp"

  /// Creates `.NAME.PROCESS-NUMBER.tmp` beside the file.
  private static func createTemporary(for path: String) throws(InputError) -> (descriptor: Int32, path: String) {
    let (folder, name) = split(path)
    guard !name.isEmpty else { throw InputError(path, found: "a folder", expected: "a file") }
    var status = stat()
    guard lstat(path, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR else {
      throw InputError(path, found: "a folder", expected: "a file, or nothing yet")
    }
    // A leftover of an earlier process of the same number, as containers have them, is in nobody's way.
    for number in 0..<1000 {
      let temporary = "\(folder)/.\(name).\(getpid())-\(number)\(temporarySuffix)"
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (descriptor, temporary) }
      guard errno == EEXIST else { throw InputError(systemFault: path) }
    }
    throw InputError(path, found: "1000 half-written files beside it", expected: "a folder without them")
  }

  /// The process that a temporary file's name tells of; nil for other names.
  private static func ownerOfTemporary(named name: String) -> pid_t? {
    guard name.hasPrefix("."), name.hasSuffix(temporarySuffix) else { return nil }
    let parts = name.dropLast(temporarySuffix.count).split(separator: ".").last?.split(separator: "-") ?? []
    guard parts.count == 2, Int(parts[1]) != nil else { return nil }
    return pid_t(parts[0])
  }

  private static func syncFolder(of path: String) throws(InputError) {
    let folder = split(path).folder
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw InputError(systemFault: folder) }
    defer { close(descriptor) }
    // Some file systems cannot sync folders, and need not.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else { throw InputError(systemFault: folder) }
  }

  private static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }
}

/// Writes all of some bytes to a descriptor.
///
/// - Parameter path: What errors name.
/// - Throws: `InputError` with the system's text.
public func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws(InputError) {
  var done = 0
  while done < bytes.count {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
    let count = write(descriptor, rest.baseAddress, rest.count)
    if count < 0 && errno == EINTR { continue }
    guard count > 0 else { throw InputError(systemFault: path) }
    done += count
  }
}
