import CPlatform

/// What the machine's processor says of itself.
public enum CPU {
  /// Bytes of a core's second-level cache: what strips and panels are cut to.
  public static var secondLevelCacheBytes: Int { Int(cplatform_l2_bytes()) }
}
