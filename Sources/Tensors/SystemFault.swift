#if canImport(Glibc)
  public import Glibc
#elseif canImport(Musl)
  public import Musl
#endif

extension InputError {
  /// What the system says of its last failed call, such as "no space left on device".
  ///
  /// - Parameters:
  ///   - subject: The file or folder that the call was about.
  ///   - expected: What would have worked; empty where the system's text says it all.
  ///   - code: The system's error number; by default that of the thread's last failed call.
  public init(systemFault subject: String, expected: String = "", code: Int32 = errno) {
    self.init(subject, found: String(cString: strerror(code)).lowercased(), expected: expected)
  }
}
