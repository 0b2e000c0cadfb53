#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A number that a safetensors file can hold.
public protocol SafetensorsElement: BitwiseCopyable, AdditiveArithmetic {
  /// The format's name of the type.
  static var safetensorsType: SafetensorsType { get }
}

extension Float: SafetensorsElement {
  /// 32-bit floats.
  public static var safetensorsType: SafetensorsType { .float32 }
}
extension Double: SafetensorsElement {
  /// 64-bit floats.
  public static var safetensorsType: SafetensorsType { .float64 }
}
extension UInt8: SafetensorsElement {
  /// Bytes.
  public static var safetensorsType: SafetensorsType { .uint8 }
}
extension Int32: SafetensorsElement {
  /// 32-bit signed integers.
  public static var safetensorsType: SafetensorsType { .int32 }
}
extension Int64: SafetensorsElement {
  /// 64-bit signed integers.
  public static var safetensorsType: SafetensorsType { .int64 }
}

/// An open safetensors file (https://github.com/huggingface/safetensors), for little-endian machines.
///
/// Opening reads and checks the header; each tensor is read when it is asked for. Memory is a small multiple of the
/// header's bytes, which the file really has, and what is asked for: a file that lies about sizes is refused.
public final class SafetensorsFile: Sendable {
  /// The file, as errors name it.
  public let path: String
  private let header: SafetensorsHeader
  private let descriptor: Int32
  /// Where the tensors' bytes begin.
  private let dataStart: Int

  /// Opens a file and checks its header.
  ///
  /// - Throws: `InputError` if it cannot be read, or is damaged or forbidden by the format.
  public init(contentsOf path: String) throws(InputError) {
    let (descriptor, size) = try Self.openFile(path)
    do {
      (header, dataStart) = try Self.readHeader(descriptor, size: size, path: path)
    } catch {
      close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// The strings under `__metadata__`.
  public var metadata: [String: String] { header.metadata }

  /// All tensors, in the order of their bytes in the file.
  public var names: [String] { header.names }

  /// Whether the file has a tensor of this name.
  public func contains(_ name: String) -> Bool { header.tensors[name] != nil }

  /// A tensor's shape, row-major; empty for a single number.
  ///
  /// - Throws: `InputError` if there is no such tensor.
  public func shape(of name: String) throws(InputError) -> [Int] { try tensor(name).shape }

  /// The type of a tensor's numbers.
  ///
  /// - Throws: `InputError` if there is no such tensor.
  public func type(of name: String) throws(InputError) -> SafetensorsType { try tensor(name).type }

  /// A tensor of 32-bit floats.
  ///
  /// - Throws: `InputError` if there is no such tensor, it has another type, or reading fails.
  public func floats(_ name: String) throws(InputError) -> [Float] { try values(name) }

  /// A tensor of 64-bit or 32-bit floats.
  ///
  /// - Throws: `InputError` if there is no such tensor, it has another type, or reading fails.
  public func doubles(_ name: String) throws(InputError) -> [Double] {
    if try type(of: name) == .float32 { return try floats(name).map(Double.init) }
    return try values(name)
  }

  /// A tensor of bytes.
  ///
  /// - Throws: `InputError` if there is no such tensor, it has another type, or reading fails.
  public func bytes(_ name: String) throws(InputError) -> [UInt8] { try values(name) }

  /// A tensor of 64-bit or 32-bit integers.
  ///
  /// - Throws: `InputError` if there is no such tensor, it has another type, or reading fails.
  public func integers(_ name: String) throws(InputError) -> [Int] {
    if try type(of: name) == .int32 { return try (values(name) as [Int32]).map(Int.init) }
    return try (values(name) as [Int64]).map(Int.init)
  }

  /// Reads a tensor to where it is wanted.
  ///
  /// - Parameter destination: As many elements as the tensor has: compare `shape(of:)` first.
  /// - Throws: `InputError` if there is no such tensor, it has another type, or reading fails.
  public func read<Element: SafetensorsElement>(
    _ name: String, into destination: UnsafeMutableBufferPointer<Element>
  ) throws(InputError) {
    let tensor = try tensor(name, of: Element.self)
    precondition(destination.count == tensor.count, "the destination has another size than the tensor")
    try Self.read(
      descriptor, into: UnsafeMutableRawBufferPointer(destination), at: dataStart + tensor.bytes.lowerBound, path: path)
  }

  private func values<Element: SafetensorsElement>(_ name: String) throws(InputError) -> [Element] {
    var values = [Element](repeating: .zero, count: try tensor(name, of: Element.self).count)
    try values.withUnsafeMutableBufferPointer { buffer throws(InputError) in try read(name, into: buffer) }
    return values
  }

  private func tensor(_ name: String) throws(InputError) -> SafetensorsHeader.Tensor {
    guard let tensor = header.tensors[name] else {
      throw InputError(path, found: "no tensor \(name)", expected: "one of this name")
    }
    return tensor
  }

  private func tensor<Element: SafetensorsElement>(
    _ name: String, of: Element.Type
  ) throws(InputError) -> SafetensorsHeader.Tensor {
    let tensor = try tensor(name)
    guard tensor.type == Element.safetensorsType else {
      throw InputError(
        path, found: "tensor \(name) of type \(tensor.type.rawValue)", expected: Element.safetensorsType.rawValue)
    }
    return tensor
  }

  private static func openFile(_ path: String) throws(InputError) -> (descriptor: Int32, size: Int) {
    // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw InputError(systemFault: path, expected: "a readable file") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let fault = InputError(systemFault: path)
      close(descriptor)
      throw fault
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "a pipe or a device"
      throw InputError(path, found: kind, expected: "a file")
    }
    return (descriptor, Int(status.st_size))
  }

  private static func readHeader(
    _ descriptor: Int32, size: Int, path: String
  ) throws(InputError) -> (SafetensorsHeader, dataStart: Int) {
    guard size >= SafetensorsHeader.lengthBytes else {
      throw InputError(path, found: "\(size) bytes", expected: "a safetensors file, which has at least 8")
    }
    var stored: UInt64 = 0
    try withUnsafeMutableBytes(of: &stored) { bytes throws(InputError) in
      try read(descriptor, into: bytes, at: 0, path: path)
    }
    let length = UInt64(littleEndian: stored)
    let mostBytes = min(size - SafetensorsHeader.lengthBytes, SafetensorsHeader.mostBytes)
    guard length <= UInt64(mostBytes) else {
      throw InputError(
        path, found: "a header of \(length) bytes",
        expected: "a safetensors file: here at most \(mostBytes) bytes of header")
    }
    var json = [UInt8](repeating: 0, count: Int(length))
    try json.withUnsafeMutableBufferPointer { bytes throws(InputError) in
      try read(
        descriptor, into: UnsafeMutableRawBufferPointer(bytes), at: SafetensorsHeader.lengthBytes, path: path)
    }
    let dataStart = SafetensorsHeader.lengthBytes + json.count
    return (try SafetensorsHeader(json: json, dataBytes: size - dataStart, path: path), dataStart)
  }

  private static func read(
    _ descriptor: Int32, into destination: UnsafeMutableRawBufferPointer, at offset: Int, path: String
  ) throws(InputError) {
    var done = 0
    while done < destination.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: destination[done...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw InputError(systemFault: path) }
      guard count > 0 else {
        throw InputError(path, found: "an end at byte \(offset + done)", expected: "the size it had when it was opened")
      }
      done += count
    }
  }
}
