public import Foundation
import Tensors

/// The folder for what can be had again: `dpm` in the user's cache folder.
public enum CacheFolder {
  /// `$XDG_CACHE_HOME/dpm`, or `~/.cache/dpm` where the variable is unset or no absolute path, which is then ignored as the
  /// XDG Base Directory Specification asks.
  public static func path(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> String {
    let base = environment["XDG_CACHE_HOME"] ?? ""
    let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
    return (base.hasPrefix("/") ? base : "\(home)/.cache") + "/dpm"
  }

  /// Makes a folder in it, with all that it lies in, and returns its path.
  ///
  /// - Throws: `InputError` with the system's text.
  static func make(_ name: String, in cache: String) throws(InputError) -> String {
    let folder = "\(cache)/\(name)"
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      let code = ((error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError)?.code ?? Int(EACCES)
      throw InputError(
        systemFault: folder, expected: "a folder that can be made, or another XDG_CACHE_HOME", code: Int32(code))
    }
    return folder
  }
}
