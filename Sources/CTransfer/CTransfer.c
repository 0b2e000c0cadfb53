#define _POSIX_C_SOURCE 200809L
#include "CTransfer.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// In C, because Swift cannot call functions of variable arguments such as curl_easy_setopt. libcurl is opened here rather
// than linked: with the libraries that it needs itself it would be loaded by every rank of every run, to be used once.

static struct {
  void *library;
  CURLcode (*global_init)(long);
  CURL *(*easy_init)(void);
  CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
  CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
  const char *(*easy_strerror)(CURLcode);
  void (*easy_cleanup)(CURL *);
  CURLM *(*multi_init)(void);
  CURLMcode (*multi_add_handle)(CURLM *, CURL *);
  CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
  CURLMcode (*multi_perform)(CURLM *, int *);
  CURLMcode (*multi_wait)(CURLM *, struct curl_waitfd *, unsigned, int, int *);
  CURLMsg *(*multi_info_read)(CURLM *, int *);
  CURLMcode (*multi_cleanup)(CURLM *);
} curl;

struct ctransfer {
  CURL *easy;
  CURLM *multi;
  int descriptor;
  int64_t received;
  int system_error;
  double stall_milliseconds;
  /// Time in ctransfer_advance since the last byte.
  double silence;
  ctransfer_progress end;
  char error[CURL_ERROR_SIZE];
};

static int load(char *text) {
  if (curl.library) return 1;
  const char *names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
  void *library = NULL;
  for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(text, ctransfer_text_capacity, "libcurl.so.4 is not installed (Debian: libcurl4)");
    return 0;
  }
  int whole = 1;
#define SYMBOL(name) whole &= (*(void **)&curl.name = dlsym(library, "curl_" #name)) != NULL
  SYMBOL(global_init);
  SYMBOL(easy_init);
  SYMBOL(easy_setopt);
  SYMBOL(easy_getinfo);
  SYMBOL(easy_strerror);
  SYMBOL(easy_cleanup);
  SYMBOL(multi_init);
  SYMBOL(multi_add_handle);
  SYMBOL(multi_remove_handle);
  SYMBOL(multi_perform);
  SYMBOL(multi_wait);
  SYMBOL(multi_info_read);
  SYMBOL(multi_cleanup);
#undef SYMBOL
  if (!whole || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    snprintf(text, ctransfer_text_capacity, "libcurl.so.4 cannot be used");
    return 0;
  }
  curl.library = library;
  return 1;
}

static size_t append(char *bytes, size_t size, size_t count, void *context) {
  ctransfer *transfer = context;
  size_t done = 0;
  while (done < size * count) {
    ssize_t written = write(transfer->descriptor, bytes + done, size * count - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      transfer->system_error = written < 0 ? errno : ENOSPC;
      return 0;
    }
    done += (size_t)written;
    transfer->received += written;
  }
  return done;
}

ctransfer *ctransfer_begin(const char *url, int descriptor, int64_t offset, long stall_seconds, char *text) {
  if (!load(text)) return NULL;
  ctransfer *transfer = calloc(1, sizeof *transfer);
  if (transfer) {
    transfer->descriptor = descriptor;
    transfer->stall_milliseconds = 1e3 * (double)stall_seconds;
    transfer->end.state = ctransfer_under_way;
    transfer->easy = curl.easy_init();
    transfer->multi = curl.multi_init();
  }
  if (!transfer || !transfer->easy || !transfer->multi) {
    if (transfer) ctransfer_end(transfer);
    snprintf(text, ctransfer_text_capacity, "out of memory");
    return NULL;
  }
  CURL *easy = transfer->easy;
  curl.easy_setopt(easy, CURLOPT_URL, url);
  curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
  curl.easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  curl.easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)offset);
  // A mirror's address may redirect, but not to the files of this machine.
#if LIBCURL_VERSION_NUM >= 0x075500
  curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  curl.easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl.easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
  curl.easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
  curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, stall_seconds);
  // No signals of its own: they are the job's.
  curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.easy_setopt(easy, CURLOPT_USERAGENT, "dpm");
  curl.multi_add_handle(transfer->multi, easy);
  return transfer;
}

static void finish(ctransfer *transfer, CURLcode code) {
  ctransfer_progress *end = &transfer->end;
  curl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &end->status);
  switch (code) {
  case CURLE_OK: end->state = ctransfer_complete; break;
  case CURLE_HTTP_RETURNED_ERROR: end->state = ctransfer_refused; break;
  case CURLE_RANGE_ERROR: end->state = ctransfer_not_resumable; break;
  case CURLE_WRITE_ERROR:
    end->state = transfer->system_error ? ctransfer_write_failed : ctransfer_lost;
    end->system_error = transfer->system_error;
    break;
  default: end->state = ctransfer_lost;
  }
  snprintf(end->text, sizeof end->text, "%s", *transfer->error ? transfer->error : curl.easy_strerror(code));
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

ctransfer_progress ctransfer_advance(ctransfer *transfer, int milliseconds) {
  double time = now();
  const double deadline = time + milliseconds;
  while (transfer->end.state == ctransfer_under_way) {
    int running = 0, messages = 0;
    const int64_t before = transfer->received;
    curl.multi_perform(transfer->multi, &running);
    CURLMsg *message = curl.multi_info_read(transfer->multi, &messages);
    if (message && message->msg == CURLMSG_DONE) finish(transfer, message->data.result);
    // libcurl's own limit of speed looks back over five seconds, and counts time that the caller was elsewhere.
    const double last = time;
    time = now();
    transfer->silence = transfer->received > before ? 0 : transfer->silence + time - last;
    if (transfer->end.state == ctransfer_under_way && transfer->silence >= transfer->stall_milliseconds) {
      transfer->end.state = ctransfer_lost;
      snprintf(transfer->end.text, sizeof transfer->end.text, "nothing came for %.0f s", transfer->stall_milliseconds / 1e3);
    }
    const double rest = deadline - time;
    if (transfer->end.state != ctransfer_under_way || rest <= 0) break;
    const int wait = rest < 200 ? (int)rest + 1 : 200;
    int ready = 0;
    curl.multi_wait(transfer->multi, NULL, 0, wait, &ready);
    if (!ready) {
      // While a name is looked up there may be nothing to wait for, and multi_wait returns at once.
      const struct timespec pause = {0, 5000000};
      nanosleep(&pause, NULL);
    }
  }
  transfer->end.received = transfer->received;
  return transfer->end;
}

void ctransfer_end(ctransfer *transfer) {
  if (transfer->multi && transfer->easy) curl.multi_remove_handle(transfer->multi, transfer->easy);
  if (transfer->easy) curl.easy_cleanup(transfer->easy);
  if (transfer->multi) curl.multi_cleanup(transfer->multi);
  free(transfer);
}
