import CPlatform

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What the machine's processor says of itself.
public enum CPU {
  /// Bytes of a core's second-level cache: what strips and panels are cut to.
  public static var secondLevelCacheBytes: Int { Int(cplatform_l2_bytes()) }

  /// The processor's name as Linux tells it; `unknown` where it does not.
  public static var name: String {
    guard let file = fopen("/proc/cpuinfo", "r") else { return "unknown" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 1024)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if text.hasPrefix("model name"), let value = text.split(separator: ":", maxSplits: 1).last {
        return String(value.drop { $0 == " " }.prefix { $0 != "\n" })
      }
    }
    return "unknown"
  }
}
