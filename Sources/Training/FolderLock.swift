internal import Foundation
public import Tensors

/// Keeps a second run out of a run's folder, until it is released or its process ends.
///
/// A file in the folder says who holds it, by host and process, and carries the system's own lock (flock), which ends
/// with the process however it dies: nothing stale is ever in the way, not even after a restart on another host. On file
/// systems without such locks the file's text decides: a process of this host that is dead holds nothing.
public final class FolderLock {
  private let descriptor: Int32
  private let path: String

  /// The file's name.
  static let fileName = "run.lock"

  /// Locks a folder.
  ///
  /// - Throws: `InputError` that names the holder, or with the system's text.
  public convenience init(folder: String) throws(InputError) {
    try self.init(folder: folder, systemLock: { flock($0, LOCK_EX | LOCK_NB) == 0 ? 0 : errno })
  }

  /// Locks a folder with a given system lock, which returns 0 or the system's error number.
  init(folder: String, systemLock: (Int32) -> Int32) throws(InputError) {
    path = "\(folder)/\(Self.fileName)"
    var held: Int32?
    while held == nil {
      let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw InputError(systemFault: path) }
      do throws(InputError) {
        try Self.take(descriptor, folder: folder, systemLock: systemLock)
      } catch {
        close(descriptor)
        throw error
      }
      // Between opening and locking, the holder before may have removed the file: then the lock is on nothing.
      if Self.isSameFile(descriptor, path) { held = descriptor } else { close(descriptor) }
    }
    descriptor = held ?? -1
    ftruncate(descriptor, 0)
    let text = Array("\(Self.hostName) \(getpid())\n".utf8)
    do throws(InputError) {
      try text.withUnsafeBufferPointer { text throws(InputError) in
        try writeAll(UnsafeRawBufferPointer(text), to: descriptor, path: path)
      }
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit {
    // In this order: whoever finds the file gone finds the lock free.
    unlink(path)
    close(descriptor)
  }

  private static func take(
    _ descriptor: Int32, folder: String, systemLock: (Int32) -> Int32
  ) throws(InputError) {
    let code = systemLock(descriptor)
    switch code {
    case 0: return
    case EWOULDBLOCK: throw inUse(folder, by: owner(descriptor))
    case ENOLCK, ENOSYS, ENOTSUP, EINVAL:
      guard let owner = owner(descriptor) else { return }
      let isOurs = owner.process == getpid()
      let isDead = isOurs || (kill(owner.process, 0) != 0 && errno == ESRCH)
      guard owner.host == hostName && isDead else { throw inUse(folder, by: owner) }
    default: throw InputError(systemFault: "\(folder)/\(fileName)", code: code)
    }
  }

  private static func inUse(_ folder: String, by owner: (host: String, process: pid_t)?) -> InputError {
    let holder = owner.map { "process \($0.process) on \($0.host)" } ?? "another run"
    return InputError(
      folder, found: "in use by \(holder)",
      expected: "another --name, or the end of that run (if it has ended, remove \(fileName) there)")
  }

  private static func owner(_ descriptor: Int32) -> (host: String, process: pid_t)? {
    var text = [UInt8](repeating: 0, count: 1024)
    let count = pread(descriptor, &text, text.count, 0)
    guard count > 0 else { return nil }
    let words = String(decoding: text[..<count], as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.count == 2, let process = pid_t(words[1]), process > 0 else { return nil }
    return (String(words[0]), process)
  }

  private static func isSameFile(_ descriptor: Int32, _ path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino
      && opened.st_dev == named.st_dev
  }

  private static var hostName: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { characters in
      guard let start = characters.baseAddress, gethostname(start, 255) == 0 else { return "localhost" }
      start[255] = 0
      return String(cString: start)
    }
  }
}
