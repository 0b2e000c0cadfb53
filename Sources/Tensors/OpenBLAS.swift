import CPlatform

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// LAPACK from OpenBLAS, loaded when first asked for.
///
/// OpenBLAS chooses its kernels in its constructor, and takes SSE3 ones on CPUs newer than itself (Debian 12's 0.3.21: 8 ×
/// slower). Only its environment can tell it better, and only before it is loaded: so it is not linked but opened here,
/// after OPENBLAS_CORETYPE is set. It runs on one thread, since every rank has a core of its own.
public struct OpenBLAS {
  /// The kernels that OpenBLAS chose.
  public let coreName: String
  /// The threads that it works on: one, unless the user's OPENBLAS_NUM_THREADS says another number.
  public let threadCount: Int
  private let factorize: Factorize
  private let formOrthogonal: FormOrthogonal
  private let addOuterProducts: AddOuterProducts
  private let factorizePositive: TriangularTask
  private let invertPositive: TriangularTask

  private typealias Pointer = UnsafeMutablePointer<Int32>
  private typealias Floats = UnsafeMutablePointer<Float>
  /// sgeqrf(m, n, a, lda, tau, work, lwork, info).
  private typealias Factorize =
    @convention(c) (Pointer, Pointer, Floats, Pointer, Floats, Floats, Pointer, Pointer) ->
    Void
  /// sorgqr(m, n, k, a, lda, tau, work, lwork, info).
  private typealias FormOrthogonal =
    @convention(c) (
      Pointer, Pointer, Pointer, Floats, Pointer, Floats, Floats, Pointer, Pointer
    ) -> Void

  private typealias Doubles = UnsafeMutablePointer<Double>
  /// dsyrk(uplo, trans, n, k, alpha, a, lda, beta, c, ldc).
  private typealias AddOuterProducts =
    @convention(c) (
      UnsafePointer<CChar>, UnsafePointer<CChar>, Pointer, Pointer, Doubles, UnsafePointer<Double>, Pointer, Doubles,
      Doubles, Pointer
    ) -> Void
  /// dpotrf and dpotri(uplo, n, a, lda, info).
  private typealias TriangularTask = @convention(c) (UnsafePointer<CChar>, Pointer, Doubles, Pointer, Pointer) -> Void

  /// Loads the library.
  ///
  /// - Throws: `InputError` where it is not installed or lacks LAPACK.
  public init() throws(InputError) {
    let coreType: String? =
      switch cplatform_x86_level() {
      case 4: "SkylakeX"
      case 3: "Haswell"
      default: nil
      }
    if let coreType { setenv("OPENBLAS_CORETYPE", coreType, 0) }
    setenv("OPENBLAS_NUM_THREADS", "1", 0)
    let names = ["libopenblas.so.0", "libopenblas.so"]
    guard let library = names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else {
      throw InputError(names[0], found: "not found", expected: "OpenBLAS (Debian: libopenblas0-pthread)")
    }
    guard let factorize = dlsym(library, "sgeqrf_"), let formOrthogonal = dlsym(library, "sorgqr_"),
      let addOuterProducts = dlsym(library, "dsyrk_"), let factorizePositive = dlsym(library, "dpotrf_"),
      let invertPositive = dlsym(library, "dpotri_"),
      let coreName = dlsym(library, "openblas_get_corename"),
      let threadCount = dlsym(library, "openblas_get_num_threads")
    else {
      throw InputError(names[0], found: "no LAPACK in it", expected: "OpenBLAS with LAPACK")
    }
    self.factorize = unsafeBitCast(factorize, to: Factorize.self)
    self.formOrthogonal = unsafeBitCast(formOrthogonal, to: FormOrthogonal.self)
    self.addOuterProducts = unsafeBitCast(addOuterProducts, to: AddOuterProducts.self)
    self.factorizePositive = unsafeBitCast(factorizePositive, to: TriangularTask.self)
    self.invertPositive = unsafeBitCast(invertPositive, to: TriangularTask.self)
    let name = unsafeBitCast(coreName, to: (@convention(c) () -> UnsafePointer<CChar>?).self)()
    self.coreName = name.map { String(cString: $0) } ?? "unknown"
    self.threadCount = Int(unsafeBitCast(threadCount, to: (@convention(c) () -> Int32).self)())
  }

  /// Replaces a matrix by the orthonormal columns of its QR factorization, with R's diagonal made positive.
  ///
  /// A matrix of independent standard normals becomes uniformly distributed over all matrices with orthonormal columns.
  ///
  /// - Parameters:
  ///   - matrix: Column after column, `rows` each; `rows` ≥ `columns`.
  public func orthonormalize(_ matrix: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
    precondition(rows >= columns && columns > 0, "more columns than rows cannot be orthonormal")
    var (m, n, status) = (Int32(rows), Int32(columns), Int32(0))
    var leading = m
    var count = n
    var reflectors = [Float](repeating: 0, count: columns)
    // 64 columns at a time is LAPACK's usual block.
    var workCount = Int32(64 * columns)
    var work = [Float](repeating: 0, count: 64 * columns)
    factorize(&m, &n, matrix, &leading, &reflectors, &work, &workCount, &status)
    precondition(status == 0, "sgeqrf refused argument \(-status)")
    let signs = (0..<columns).map { matrix[$0 * rows + $0] < 0 ? Float(-1) : 1 }
    formOrthogonal(&m, &n, &count, matrix, &leading, &reflectors, &work, &workCount, &status)
    precondition(status == 0, "sorgqr refused argument \(-status)")
    for column in 0..<columns where signs[column] < 0 {
      for row in 0..<rows { matrix[column * rows + row].negate() }
    }
  }

  /// Adds Σ x·xᵀ over some vectors to the lower triangle of a matrix.
  ///
  /// - Parameters:
  ///   - vectors: `count` of them or more, `size` numbers each.
  ///   - matrix: `size` columns of `size` numbers.
  public func addProducts(of vectors: [Double], count: Int, size: Int, to matrix: inout [Double]) {
    precondition(vectors.count >= count * size && matrix.count == size * size, "vectors and matrix of other sizes")
    var (n, k, one, leading) = (Int32(size), Int32(count), 1.0, Int32(size))
    var (beta, columns) = (1.0, Int32(size))
    addOuterProducts("L", "N", &n, &k, &one, vectors, &leading, &beta, &matrix, &columns)
  }

  /// Replaces the lower triangle of a symmetric, positive definite matrix by that of its inverse.
  ///
  /// - Parameter matrix: `size` columns of `size` numbers.
  /// - Returns: The logarithm of its determinant; nil where it is not positive definite.
  public func invert(_ matrix: inout [Double], size: Int) -> Double? {
    precondition(matrix.count == size * size, "a square matrix has as many rows as columns")
    var (n, leading, status) = (Int32(size), Int32(size), Int32(0))
    factorizePositive("L", &n, &matrix, &leading, &status)
    guard status == 0 else { return nil }
    let logDeterminant = (0..<size).reduce(0) { $0 + 2 * log(matrix[$1 * (size + 1)]) }
    invertPositive("L", &n, &matrix, &leading, &status)
    return status == 0 ? logDeterminant : nil
  }
}
