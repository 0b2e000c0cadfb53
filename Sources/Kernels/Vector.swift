internal import CPlatform

// What a vector is in each of the three builds of these files, and whether multiplications and additions fuse (Package.swift
// defines VECTOR_WIDTH_n and FUSED_MULTIPLY_ADD for each). The register tiles that fit, and what becomes of 8 lanes, are chosen
// beside the loops that use them.

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

/// x, computed between the loads and stores that the source has before and behind.
@inline(always) func inOrder(_ x: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_in_order_16(x)
  #elseif VECTOR_WIDTH_8
    cvector_in_order_8(x)
  #else
    x
  #endif
}

/// The larger of each two elements.
@inline(always) func larger(_ a: Vector, _ b: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_larger_16(a, b)
  #elseif VECTOR_WIDTH_8
    cvector_larger_8(a, b)
  #else
    cvector_larger_4(a, b)
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

/// The eight floats at an address: a vector, two alike, or the first half of one.
@inline(always) func loadEight(_ pointer: UnsafePointer<Float>) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_twice(pointer)
  #else
    load(pointer)
  #endif
}

/// The eight floats at `first`, and where there is room those at `second`.
@inline(always) func loadEights(_ first: UnsafePointer<Float>, _ second: UnsafePointer<Float>) -> Vector {
  #if VECTOR_WIDTH_16
    Vector(
      lowHalf: UnsafeRawPointer(first).loadUnaligned(as: SIMD8<Float>.self),
      highHalf: UnsafeRawPointer(second).loadUnaligned(as: SIMD8<Float>.self))
  #else
    load(first)
  #endif
}

/// Stores a vector's first eight floats at `first`, and the others, where it has more, at `second`.
@inline(always) func storeEights(
  _ x: Vector, to first: UnsafeMutablePointer<Float>, _ second: UnsafeMutablePointer<Float>
) {
  #if VECTOR_WIDTH_16
    UnsafeMutableRawPointer(first).storeBytes(of: x.lowHalf, as: SIMD8<Float>.self)
    UnsafeMutableRawPointer(second).storeBytes(of: x.highHalf, as: SIMD8<Float>.self)
  #else
    store(x, to: first)
  #endif
}

/// Element 0 of every four, four times.
@inline(always) func spread0(_ x: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_spread0_16(x)
  #elseif VECTOR_WIDTH_8
    cvector_spread0_8(x)
  #else
    cvector_spread0_4(x)
  #endif
}

/// Element 1 of every four, four times.
@inline(always) func spread1(_ x: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_spread1_16(x)
  #elseif VECTOR_WIDTH_8
    cvector_spread1_8(x)
  #else
    cvector_spread1_4(x)
  #endif
}

/// Element 2 of every four, four times.
@inline(always) func spread2(_ x: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_spread2_16(x)
  #elseif VECTOR_WIDTH_8
    cvector_spread2_8(x)
  #else
    cvector_spread2_4(x)
  #endif
}

/// Element 3 of every four, four times.
@inline(always) func spread3(_ x: Vector) -> Vector {
  #if VECTOR_WIDTH_16
    cvector_spread3_16(x)
  #elseif VECTOR_WIDTH_8
    cvector_spread3_8(x)
  #else
    cvector_spread3_4(x)
  #endif
}
