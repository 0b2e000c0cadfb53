#ifndef CTRANSFER_H
#define CTRANSFER_H

#include <stdint.h>

/// A file on its way from an HTTP server into an open descriptor.
typedef struct ctransfer ctransfer;

enum { ctransfer_text_capacity = 320 };

/// What became of a transfer so far.
typedef enum {
  ctransfer_under_way,
  ctransfer_complete,
  /// The server has answered, but not with the file: `status` tells.
  ctransfer_refused,
  /// The server does not send the rest of a file, only all of it.
  ctransfer_not_resumable,
  /// The descriptor cannot be written: `system_error` tells.
  ctransfer_write_failed,
  /// No connection, one that was cut or went silent: `text` tells.
  ctransfer_lost
} ctransfer_state;

typedef struct {
  ctransfer_state state;
  /// Bytes that have arrived, those before `offset` not counted.
  int64_t received;
  long status;
  int system_error;
  char text[ctransfer_text_capacity];
} ctransfer_progress;

/// Begins to append what `url` has from byte `offset` on to `descriptor`.
///
/// A transfer ends when no connection comes about within `stall_seconds`, or no byte arrives for so long.
///
/// NULL where libcurl is not installed or has no memory; `text` (ctransfer_text_capacity bytes) then says which.
ctransfer *ctransfer_begin(const char *url, int descriptor, int64_t offset, long stall_seconds, char *text);

/// Goes on with it for at most about so long; returns earlier where it ends.
ctransfer_progress ctransfer_advance(ctransfer *transfer, int milliseconds);

/// Ends it, whatever its state.
void ctransfer_end(ctransfer *transfer);

#endif
