#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Checks that a folder's file system has room, as far as the system tells.
///
/// - Parameter advice: What an error says behind the mebibytes that it expects.
/// - Throws: `InputError` with what is free and what is needed.
public func requireFreeSpace(bytes: Int, in folder: String, advice: String) throws(InputError) {
  var system = statvfs()
  guard statvfs(folder, &system) == 0 else { return }
  let free = Int(system.f_bavail) * Int(system.f_frsize)
  guard free >= bytes else {
    throw InputError(folder, found: "\(free >> 20) MiB free", expected: "\((bytes >> 20) + 1) MiB\(advice)")
  }
}
