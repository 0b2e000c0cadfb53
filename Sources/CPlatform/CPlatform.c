#define _GNU_SOURCE
#include "CPlatform.h"

#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

int cplatform_anonymous_file(const char *name) {
#if defined(__linux__)
  return memfd_create(name, MFD_CLOEXEC);
#else
  (void)name;
  return -1;
#endif
}

void cplatform_collapse_pages(void *start, long bytes) {
#if defined(__linux__)
#ifndef MADV_COLLAPSE
// Linux 6.1's; older than that, the C library's headers and other systems do without.
#define MADV_COLLAPSE 25
#endif
  madvise(start, (size_t)bytes, MADV_COLLAPSE);
#else
  (void)start;
  (void)bytes;
#endif
}

int cplatform_x86_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // All of each level, as the kernels are compiled for: what a virtual machine hides may not fault, but compute otherwise.
  if (__builtin_cpu_supports("x86-64-v4")) return 4;
  if (__builtin_cpu_supports("x86-64-v3")) return 3;
#endif
  return 1;
}

long cplatform_l2_bytes(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
  long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return bytes;
#endif
  return 512 * 1024;
}
