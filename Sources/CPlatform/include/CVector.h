#ifndef CVECTOR_H
#define CVECTOR_H

// Vector operations that Swift's SIMD types have no fast spelling for. They are inlined into the kernels and compiled
// with the instruction set of each build.

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

// Asks for a cache line that will soon be written.
static inline __attribute__((always_inline)) void cvector_prefetch_to_write(const float *line) {
  __builtin_prefetch(line, 1, 3);
}
// Asks for a cache line that will soon be read: other cores, whose threads read it too, keep it.
static inline __attribute__((always_inline)) void cvector_prefetch_to_read(const float *line) {
  __builtin_prefetch(line, 0, 3);
}

// Lanes i, i + 4, i + 8 and i + 12 of each of four vectors, added as (i + (i + 8)) + ((i + 4) + (i + 12)): four quarters.
static inline __attribute__((always_inline)) cvector_16 cvector_quarters(
    cvector_16 a, cvector_16 b, cvector_16 c, cvector_16 d) {
  cvector_16 ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                  __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  cvector_16 cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                  __builtin_shufflevector(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
         __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}

// Keeps what stands at an address there, instead of in registers.
static inline __attribute__((always_inline)) void cvector_keep_in_memory(const void *memory) {
  __asm__ volatile("" : : "r"(memory) : "memory");
}

// Lanes i and i + 4 of each of two vectors, added.
static inline __attribute__((always_inline)) cvector_8 cvector_halves(cvector_8 a, cvector_8 b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
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

#endif
