internal import CTransfer
import Foundation
import Tensors

/// One archive's way into the cache: lock, download from one address after the other, unpack.
final class ArchiveTransfer {
  /// What became of it so far.
  enum Outcome {
    case underWay
    case complete
    /// No address had it; what was wrong with each.
    case failed([String])
  }

  /// What is being done: "from https://…".
  private(set) var status = ""
  /// Bytes that are here.
  private(set) var receivedBytes = 0

  private let archive: PublishedArchive
  private let folder: String
  private let partialPath: String
  private let stallSeconds: Int
  private var addresses: ArraySlice<String>
  /// The partial file, locked; -1 before this job has it.
  private var descriptor: Int32 = -1
  private var connection: OpaquePointer?
  /// Bytes that were there when the connection was made.
  private var offset = 0
  /// Attempts in a row that brought nothing, and all attempts, at the current address.
  private var attempts = (idle: 0, all: 0)
  private var pauseEnd = ContinuousClock.now
  private var reasons: [String] = []

  private static let idleAttempts = 3
  private static let allAttempts = 20

  init(_ archive: PublishedArchive, folder: String, mirror: String?, stallSeconds: Int) {
    self.archive = archive
    self.folder = folder
    self.stallSeconds = stallSeconds
    partialPath = archive.partialPath(in: folder)
    addresses = (mirror.map { ["\($0)/\(archive.path)"] } ?? archive.addresses)[...]
  }

  deinit {
    disconnect()
    if descriptor >= 0 { close(descriptor) }
  }

  /// Goes on until about `deadline`.
  ///
  /// - Throws: `InputError` where the disk refuses.
  func advance(until deadline: ContinuousClock.Instant) throws(InputError) -> Outcome {
    while true {
      let now = ContinuousClock.now
      if pauseEnd > now { Thread.sleep(forTimeInterval: (min(pauseEnd, deadline) - now) / .seconds(1)) }
      guard ContinuousClock.now < deadline else { return .underWay }
      guard try lock() else {
        status = "in another job"
        pauseEnd = .now + .milliseconds(200)
        continue
      }
      // The job that had the lock may have done it all.
      if archive.files.allSatisfy({ $0.exists(in: folder) }) { return finish() }
      guard let address = addresses.first else { return .failed(reasons) }
      status = "from \(address)"
      if try step(address, until: deadline) { return finish() }
    }
  }

  /// Connects or goes on receiving.
  ///
  /// - Returns: Whether the archive is unpacked.
  private func step(_ address: String, until deadline: ContinuousClock.Instant) throws(InputError) -> Bool {
    guard let connection = connection ?? connect(address) else { return false }
    let milliseconds = max(1, Int32((deadline - .now) / .milliseconds(1)))
    var progress = ctransfer_advance(connection, milliseconds)
    receivedBytes = offset + Int(progress.received)
    if progress.state == ctransfer_under_way { return false }
    disconnect()
    switch progress.state {
    // Also where a server has nothing behind what is there (HTTP 416): libcurl takes the file for whole.
    case ctransfer_complete: return try unpack()
    case ctransfer_write_failed:
      throw InputError(
        systemFault: partialPath, expected: "room to go on: what has arrived is kept", code: progress.system_error)
    case ctransfer_not_resumable:
      startAfresh()
    case ctransfer_refused:
      // 5xx and 429: another time, perhaps.
      let isPassing = progress.status >= 500 || progress.status == 429
      retry(isPassing ? nil : 0, reason: "HTTP \(progress.status)")
    default:
      let text = withUnsafeBytes(of: &progress.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      retry(nil, reason: text, hasProgress: progress.received > 0)
    }
    return false
  }

  private func unpack() throws(InputError) -> Bool {
    do throws(UnpackingFault) {
      try archive.unpack(partialPath, into: folder)
      return true
    } catch {
      switch error {
      case .system(let fault): throw fault
      case .wrongContent(let text):
        // Bytes of two servers may not fit each other: once more, all from this one.
        let wasResumed = offset > 0
        startAfresh()
        if !wasResumed { retry(0, reason: text) }
        return false
      }
    }
  }

  private func finish() -> Outcome {
    unlink(partialPath)
    receivedBytes = archive.bytes
    return .complete
  }

  /// Tries again after a pause, or the next address.
  ///
  /// - Parameters:
  ///   - most: How many attempts in a row may bring nothing; nil for the usual number.
  ///   - hasProgress: Whether something arrived.
  private func retry(_ most: Int?, reason: String, hasProgress: Bool = false) {
    attempts.idle = hasProgress ? 0 : attempts.idle + 1
    attempts.all += 1
    guard attempts.idle < most ?? Self.idleAttempts, attempts.all < Self.allAttempts else {
      reasons.append("\(addresses.first ?? ""): \(reason)")
      addresses = addresses.dropFirst()
      attempts = (0, 0)
      return
    }
    pauseEnd = .now + .milliseconds(hasProgress ? 200 : 500 << attempts.idle)
  }

  private func startAfresh() {
    ftruncate(descriptor, 0)
    lseek(descriptor, 0, SEEK_SET)
    receivedBytes = 0
  }

  private func connect(_ address: String) -> OpaquePointer? {
    offset = Int(lseek(descriptor, 0, SEEK_END))
    var text = [CChar](repeating: 0, count: Int(ctransfer_text_capacity))
    connection = ctransfer_begin(address, descriptor, Int64(offset), stallSeconds, &text)
    if connection == nil {
      reasons.append(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
      addresses = []
    }
    return connection
  }

  private func disconnect() {
    if let connection { ctransfer_end(connection) }
    connection = nil
  }

  /// Opens the partial file for this job alone.
  ///
  /// - Returns: Whether it is this job's; not while another one has it.
  private func lock() throws(InputError) -> Bool {
    guard descriptor < 0 else { return true }
    let file = open(partialPath, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard file >= 0 else { throw InputError(systemFault: partialPath, expected: "a file that can be written") }
    var (own, named) = (stat(), stat())
    // The job that had it removes it at its end: then the lock is on a file without a name.
    guard flock(file, LOCK_EX | LOCK_NB) == 0, fstat(file, &own) == 0, stat(partialPath, &named) == 0,
      own.st_ino == named.st_ino
    else {
      close(file)
      return false
    }
    descriptor = file
    return true
  }
}
