#ifndef CVECTOR_H
#define CVECTOR_H

// Vector operations that Swift's SIMD types have no fast spelling for. They are inlined into the kernels and compiled
// with the instruction set of each build.

#pragma clang assume_nonnull begin

typedef float cvector_4 __attribute__((ext_vector_type(4)));
typedef float cvector_8 __attribute__((ext_vector_type(8)));
typedef float cvector_16 __attribute__((ext_vector_type(16)));

// Square roots of all elements; `SIMD.squareRoot()` calls sqrtf for each, ten times slower in the optimizer.
static inline __attribute__((always_inline)) cvector_4 cvector_root_4(cvector_4 x) {
  return __builtin_elementwise_sqrt(x);
}
static inline __attribute__((always_inline)) cvector_8 cvector_root_8(cvector_8 x) {
  return __builtin_elementwise_sqrt(x);
}
static inline __attribute__((always_inline)) cvector_16 cvector_root_16(cvector_16 x) {
  return __builtin_elementwise_sqrt(x);
}

// sum + a·b, rounded once. `SIMD.addingProduct` leaves the standard library as one scalar operation a lane, and hangs on
// LLVM's gathering them again.
static inline __attribute__((always_inline)) cvector_8 cvector_multiply_add_8(cvector_8 sum, cvector_8 a, cvector_8 b) {
  return __builtin_elementwise_fma(a, b, sum);
}
static inline __attribute__((always_inline)) cvector_16 cvector_multiply_add_16(
    cvector_16 sum, cvector_16 a, cvector_16 b) {
  return __builtin_elementwise_fma(a, b, sum);
}

// The vector itself, computed between the loads and stores before and those behind: LLVM would gather stores in one place.
#define CVECTOR_IN_ORDER(width) \
  static inline __attribute__((always_inline)) cvector_##width cvector_in_order_##width(cvector_##width x) { \
    __asm__ volatile("" : "+v"(x) : : "memory"); \
    return x; \
  }
#if defined(__AVX__)
CVECTOR_IN_ORDER(8)
#endif
#if defined(__AVX512F__)
CVECTOR_IN_ORDER(16)
#endif
#undef CVECTOR_IN_ORDER

// The same address, of which LLVM no longer knows what it is made of: it would compute each from the one before, over and over.
static inline __attribute__((always_inline)) const float *cvector_address(const float *address) {
  __asm__("" : "+r"(address));
  return address;
}

// The larger of each two elements; Swift's comparison and replacement are an instruction more.
static inline __attribute__((always_inline)) cvector_4 cvector_larger_4(cvector_4 a, cvector_4 b) { return a > b ? a : b; }
static inline __attribute__((always_inline)) cvector_8 cvector_larger_8(cvector_8 a, cvector_8 b) { return a > b ? a : b; }
static inline __attribute__((always_inline)) cvector_16 cvector_larger_16(cvector_16 a, cvector_16 b) {
  return a > b ? a : b;
}

// Asks for a cache line that will soon be written.
static inline __attribute__((always_inline)) void cvector_prefetch_to_write(const float *line) {
  __builtin_prefetch(line, 1, 3);
}
// Asks for a cache line that will be read later, for the L2 cache.
static inline __attribute__((always_inline)) void cvector_prefetch_to_second_level(const float *line) {
  __builtin_prefetch(line, 0, 2);
}
// Asks for a cache line that will soon be read: other cores, whose threads read it too, keep it.
static inline __attribute__((always_inline)) void cvector_prefetch_to_read(const float *line) {
  __builtin_prefetch(line, 0, 3);
}

// Element k of every four of a vector, four times.
#define CVECTOR_SPREAD(k) \
  static inline __attribute__((always_inline)) cvector_4 cvector_spread##k##_4(cvector_4 x) { \
    return __builtin_shufflevector(x, x, k, k, k, k); \
  } \
  static inline __attribute__((always_inline)) cvector_8 cvector_spread##k##_8(cvector_8 x) { \
    return __builtin_shufflevector(x, x, k, k, k, k, k + 4, k + 4, k + 4, k + 4); \
  } \
  static inline __attribute__((always_inline)) cvector_16 cvector_spread##k##_16(cvector_16 x) { \
    return __builtin_shufflevector(x, x, k, k, k, k, k + 4, k + 4, k + 4, k + 4, \
                                   k + 8, k + 8, k + 8, k + 8, k + 12, k + 12, k + 12, k + 12); \
  }
CVECTOR_SPREAD(0)
CVECTOR_SPREAD(1)
CVECTOR_SPREAD(2)
CVECTOR_SPREAD(3)
#undef CVECTOR_SPREAD

// The eight floats at an address, twice.
static inline __attribute__((always_inline)) cvector_16 cvector_twice(const float *eight) {
  cvector_8 x;
  __builtin_memcpy(&x, eight, sizeof x);
  return __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
}

// quads[k][j] = rows[j][k] and quads[k][4 + j] = rows[j][4 + k] for j, k < 4: eight lanes of four rows. Of rows from `count` on: zeros.
static inline __attribute__((always_inline)) void cvector_pack_quad(
    const float *rows, long rowStride, int count, float *quads, long quadStride) {
  cvector_8 x[4] = {0};
  for (int j = 0; j < 4; j++) {
    if (j < count) __builtin_memcpy(&x[j], rows + j * rowStride, sizeof x[j]);
  }
  cvector_8 low01 = __builtin_shufflevector(x[0], x[1], 0, 8, 1, 9, 4, 12, 5, 13);
  cvector_8 high01 = __builtin_shufflevector(x[0], x[1], 2, 10, 3, 11, 6, 14, 7, 15);
  cvector_8 low23 = __builtin_shufflevector(x[2], x[3], 0, 8, 1, 9, 4, 12, 5, 13);
  cvector_8 high23 = __builtin_shufflevector(x[2], x[3], 2, 10, 3, 11, 6, 14, 7, 15);
  cvector_8 y[4] = {
      __builtin_shufflevector(low01, low23, 0, 1, 8, 9, 4, 5, 12, 13),
      __builtin_shufflevector(low01, low23, 2, 3, 10, 11, 6, 7, 14, 15),
      __builtin_shufflevector(high01, high23, 0, 1, 8, 9, 4, 5, 12, 13),
      __builtin_shufflevector(high01, high23, 2, 3, 10, 11, 6, 7, 14, 15),
  };
  for (int k = 0; k < 4; k++) __builtin_memcpy(quads + k * quadStride, &y[k], sizeof y[k]);
}

// rows[i][j] = columns[offsets[j]][i] for i, j < 16: four rounds that exchange blocks of 8, 4, 2 and 1.
static inline __attribute__((always_inline)) void cvector_transpose(
    const float *columns, const int *offsets, float *rows, long rowStride) {
  cvector_16 x[16], y[16];
  for (int j = 0; j < 16; j++) __builtin_memcpy(&x[j], columns + offsets[j], sizeof x[j]);
  for (int j = 0; j < 8; j++) {
    y[j] = __builtin_shufflevector(x[j], x[j + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    y[j + 8] = __builtin_shufflevector(x[j], x[j + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  }
  for (int k = 0; k < 8; k++) {
    int j = k / 4 * 8 + k % 4;
    x[j] = __builtin_shufflevector(y[j], y[j + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    x[j + 4] = __builtin_shufflevector(y[j], y[j + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  }
  for (int k = 0; k < 8; k++) {
    int j = k / 2 * 4 + k % 2;
    y[j] = __builtin_shufflevector(x[j], x[j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
    y[j + 2] = __builtin_shufflevector(x[j], x[j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  }
  for (int j = 0; j < 16; j += 2) {
    x[j] = __builtin_shufflevector(y[j], y[j + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
    x[j + 1] = __builtin_shufflevector(y[j], y[j + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
  }
  for (int i = 0; i < 16; i++) __builtin_memcpy(rows + i * rowStride, &x[i], sizeof x[i]);
}

#pragma clang assume_nonnull end

#endif
