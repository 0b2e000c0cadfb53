internal import Tensors

/// The program's version.
public enum DPM {
  /// Semantic version, as `--version` prints it and checkpoints keep it.
  public static let version = "0.1.0"

  /// The version with a digest of the program's file: what ranks compare, as two builds may have one version.
  ///
  /// 20 ms for 20 MB.
  public static var build: String {
    guard let file = MappedMemory(contentsOf: "/proc/self/exe") else { return version }
    return "\(version) (build \(Digest.hexadecimal(of: UnsafeRawBufferPointer(file.bytes))))"
  }
}
