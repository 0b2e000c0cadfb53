#ifndef CPLATFORM_H
#define CPLATFORM_H

#include "CVector.h"

/// The x86-64 level whose instructions this CPU and operating system support: 4 (AVX-512), 3 (AVX2 and FMA) or 1.
/// Other architectures: 1.
int cplatform_x86_level(void);

/// Bytes of a core's second-level cache; 512 KiB where the system does not tell.
long cplatform_l2_bytes(void);

/// A file in memory, without a place in any file system; -1 where the system has no such thing.
int cplatform_anonymous_file(const char *name);

/// Takes huge pages for memory that begins at one and is whole ones, whatever the system's setting for such memory; nothing
/// where it cannot.
void cplatform_collapse_pages(void *start, long bytes);

#endif
