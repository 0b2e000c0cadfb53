#ifndef CPICTURE_H
#define CPICTURE_H

/// Pixels that a picture may have: 134 million, decoded 400 MB.
#define CPICTURE_MOST_PIXELS ((int64_t)1 << 27)

/// Pixels of a decoded picture; free `rgb` with free().
typedef struct {
  int width;
  int height;
  /// width × height × 3 bytes: red, green, blue.
  unsigned char *rgb;
  /// Whether a pixel was not opaque.
  int is_transparent;
} cpicture;

/// Decodes a picture file (JPEG, PNG and what else gdk-pixbuf knows), turned upright by its EXIF orientation; transparency is
/// dropped, of animations the first frame counts. Returns 0, or 1 with a reason in `reason`.
int cpicture_read(const char *path, cpicture *picture, char *reason, int capacity);

#endif
