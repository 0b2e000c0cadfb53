internal import CPlatform

// The only place where the three builds of these files differ: the width of a vector, and
// whether multiplications and additions fuse (Package.swift defines VECTOR_WIDTH_n and FUSED_MULTIPLY_ADD for each).
// The register tiles that fit are chosen beside the loops that use them.

#if VECTOR_WIDTH_16
  /// 16 images of one pixel: a whole lane group, in one of 32 registers.
  typealias Vector = SIMD16<Float>
  typealias IntegerVector = SIMD16<UInt32>
#elseif VECTOR_WIDTH_8
  /// 8 images: half a lane group, in one of 16 registers.
  typealias Vector = SIMD8<Float>
  typealias IntegerVector = SIMD8<UInt32>
#else
  /// 4 images: a quarter of a lane group.
  typealias Vector = SIMD4<Float>
  typealias IntegerVector = SIMD4<UInt32>
#endif

/// Vectors that make up all 16 lanes.
@inline(always) var vectorsPerColumn: Int { 16 / Vector.scalarCount }

/// sum + a · b; one rounding where the CPU has fused multiply-add.
@inline(always) func multiplyAdd(_ sum: Vector, _ a: Vector, _ b: Vector) -> Vector {
  #if FUSED_MULTIPLY_ADD && VECTOR_WIDTH_16
    cvector_multiply_add_16(sum, a, b)
  #elseif FUSED_MULTIPLY_ADD
    cvector_multiply_add_8(sum, a, b)
  #else
    // Without the instruction, a fused one is a library call for each lane.
    sum + a * b
  #endif
}

/// √x, element by element, correctly rounded.
@inline(always) func squareRoot(_ x: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_root_16(x)
  #elseif VECTOR_WIDTH_8
    cvector_root_8(x)
  #else
    cvector_root_4(x)
  #endif
}

@inline(always) func load(_ pointer: UnsafePointer<Float>) -> Vector {
  UnsafeRawPointer(pointer).loadUnaligned(as: Vector.self)
}

@inline(always) func load(_ pointer: UnsafeMutablePointer<Float>) -> Vector {
  UnsafeRawPointer(pointer).loadUnaligned(as: Vector.self)
}

@inline(always) func store(_ vector: Vector, to pointer: UnsafeMutablePointer<Float>) {
  UnsafeMutableRawPointer(pointer).storeBytes(of: vector, as: Vector.self)
}

/// Offset in floats of vector `index` of a tile whose columns are `columnStride` floats apart, `parts` vectors each.
@inline(always) func vectorOffset(_ index: Int, _ columnStride: Int, _ parts: Int) -> Int {
  (index / parts) * columnStride + (index % parts) * Vector.scalarCount
}
