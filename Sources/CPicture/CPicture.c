#include "CPicture.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <stdint.h>
#include <stdlib.h>

// In C, because GLib's headers are macros upon macros.
int cpicture_read(const char *path, cpicture *picture, char *reason, int capacity) {
  GError *error = NULL;
  int width = 0, height = 0;
  // Before anything is decoded: a small file can claim any size.
  if (gdk_pixbuf_get_file_info(path, &width, &height) && (int64_t)width * height > CPICTURE_MOST_PIXELS) {
    g_snprintf(reason, (gulong)capacity, "%d x %d pixels, more than 2^27", width, height);
    return 1;
  }
  GdkPixbuf *stored = gdk_pixbuf_new_from_file(path, &error);
  if (!stored) {
    g_strlcpy(reason, error ? error->message : "no picture", (gsize)capacity);
    if (error) g_error_free(error);
    return 1;
  }
  GdkPixbuf *upright = gdk_pixbuf_apply_embedded_orientation(stored);
  g_object_unref(stored);
  picture->width = gdk_pixbuf_get_width(upright);
  picture->height = gdk_pixbuf_get_height(upright);
  picture->rgb = malloc((size_t)picture->width * (size_t)picture->height * 3);
  if (!picture->rgb) {
    g_object_unref(upright);
    g_strlcpy(reason, "out of memory", (gsize)capacity);
    return 1;
  }
  const guchar *pixels = gdk_pixbuf_read_pixels(upright);
  const int channels = gdk_pixbuf_get_n_channels(upright);
  const int stride = gdk_pixbuf_get_rowstride(upright);
  picture->is_transparent = 0;
  for (int y = 0; y < picture->height; y++)
    for (int x = 0; x < picture->width; x++) {
      const guchar *pixel = pixels + (size_t)y * stride + x * channels;
      if (channels == 4 && pixel[3] < 255) picture->is_transparent = 1;
      for (int c = 0; c < 3; c++) picture->rgb[3 * ((size_t)y * picture->width + x) + c] = pixel[c];
    }
  g_object_unref(upright);
  return 0;
}
