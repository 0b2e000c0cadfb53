#ifndef CMPI_H
#define CMPI_H

/// What Swift cannot see of MPI by itself: constants that are macros, and handles, which are pointers in Open MPI and
/// integers in MPICH. Structures hide the handles, so that the same Swift source compiles with both. MPI-3 only; every
/// function returns MPI's own error code.

#include <mpi.h>
#include <stddef.h>

typedef struct {
  MPI_Comm handle;
} cmpi_communicator;

typedef struct {
  MPI_Request handle;
} cmpi_request;

typedef enum { cmpi_minimum, cmpi_maximum, cmpi_sum } cmpi_operation;

static const int cmpi_success = MPI_SUCCESS;
static const int cmpi_error_text_capacity = MPI_MAX_ERROR_STRING;

static inline MPI_Op cmpi_mpi_operation(cmpi_operation operation) {
  return operation == cmpi_minimum ? MPI_MIN : operation == cmpi_maximum ? MPI_MAX : MPI_SUM;
}

/// Starts MPI for one calling thread. From here on errors are returned, not fatal; `communicator` is a duplicate of
/// MPI_COMM_WORLD and inherits that. `allows_threads` tells whether others may run beside that one.
static inline int cmpi_start(cmpi_communicator *communicator, int *allows_threads) {
  int level = MPI_THREAD_SINGLE;
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
  *allows_threads = level >= MPI_THREAD_FUNNELED;
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &communicator->handle);
  return code;
}

static inline int cmpi_is_started(void) {
  int flag = 0;
  MPI_Initialized(&flag);
  return flag;
}

static inline int cmpi_finish(cmpi_communicator communicator) {
  int code = MPI_Comm_free(&communicator.handle);
  return code == MPI_SUCCESS ? MPI_Finalize() : code;
}

static inline int cmpi_rank(cmpi_communicator communicator, int *rank) {
  return MPI_Comm_rank(communicator.handle, rank);
}

static inline int cmpi_rank_count(cmpi_communicator communicator, int *count) {
  return MPI_Comm_size(communicator.handle, count);
}

/// The lowest rank of `communicator` with which the caller shares memory: what tells hosts apart.
static inline int cmpi_lowest_rank_on_host(cmpi_communicator communicator, int *lowest) {
  MPI_Comm host;
  int rank;
  int code = MPI_Comm_rank(communicator.handle, &rank);
  if (code == MPI_SUCCESS)
    code = MPI_Comm_split_type(communicator.handle, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &host);
  if (code == MPI_SUCCESS) code = MPI_Allreduce(&rank, lowest, 1, MPI_INT, MPI_MIN, host);
  if (code == MPI_SUCCESS) code = MPI_Comm_free(&host);
  return code;
}

static inline void cmpi_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

/// MPI's own words for an error code, into `text` of `cmpi_error_text_capacity` characters.
static inline void cmpi_error_text(int code, char *text) {
  int length = 0;
  text[0] = 0;
  MPI_Error_string(code, text, &length);
}

static inline int cmpi_barrier(cmpi_communicator communicator) { return MPI_Barrier(communicator.handle); }

static inline int cmpi_broadcast_bytes(cmpi_communicator communicator, void *bytes, int count, int root) {
  return MPI_Bcast(bytes, count, MPI_BYTE, root, communicator.handle);
}

static inline int cmpi_reduce_floats(cmpi_communicator communicator, float *values, int count) {
  return MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, communicator.handle);
}

static inline int cmpi_reduce_doubles(
    cmpi_communicator communicator, double *values, int count, cmpi_operation operation) {
  return MPI_Allreduce(
      MPI_IN_PLACE, values, count, MPI_DOUBLE, cmpi_mpi_operation(operation), communicator.handle);
}

static inline int cmpi_reduce_integers(
    cmpi_communicator communicator, long long *values, int count, cmpi_operation operation) {
  return MPI_Allreduce(
      MPI_IN_PLACE, values, count, MPI_LONG_LONG_INT, cmpi_mpi_operation(operation), communicator.handle);
}

/// One integer of every rank, in the order of ranks.
static inline int cmpi_gather_integers(cmpi_communicator communicator, long long value, long long *values) {
  return MPI_Allgather(&value, 1, MPI_LONG_LONG_INT, values, 1, MPI_LONG_LONG_INT, communicator.handle);
}

static inline int cmpi_gather_bytes(
    cmpi_communicator communicator, const void *bytes, int count, void *all, const int *counts, const int *offsets) {
  return MPI_Allgatherv(bytes, count, MPI_BYTE, all, counts, offsets, MPI_BYTE, communicator.handle);
}

static inline cmpi_request cmpi_no_request(void) {
  cmpi_request request = {MPI_REQUEST_NULL};
  return request;
}

static inline int cmpi_begin_reduce_floats(
    cmpi_communicator communicator, float *values, int count, cmpi_request *request) {
  return MPI_Iallreduce(
      MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, communicator.handle, &request->handle);
}

/// Every rank's part of `values` to all ranks, in place.
static inline int cmpi_begin_gather_floats(
    cmpi_communicator communicator, float *values, const int *counts, const int *offsets, cmpi_request *request) {
  return MPI_Iallgatherv(
      MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, counts, offsets, MPI_FLOAT, communicator.handle, &request->handle);
}

/// The type of numbers of 2 (any 16-bit format, which MPI only moves) or 4 bytes (float32).
static inline MPI_Datatype cmpi_number_type(size_t size) { return size == 2 ? MPI_UINT16_T : MPI_FLOAT; }

static inline int cmpi_begin_send(
    cmpi_communicator communicator, const void *values, size_t size, int count, int peer, int tag,
    cmpi_request *request) {
  return MPI_Isend(values, count, cmpi_number_type(size), peer, tag, communicator.handle, &request->handle);
}

static inline int cmpi_begin_receive(
    cmpi_communicator communicator, void *values, size_t size, int count, int peer, int tag, cmpi_request *request) {
  return MPI_Irecv(values, count, cmpi_number_type(size), peer, tag, communicator.handle, &request->handle);
}

/// Tests the requests, or waits until at least one is complete; `completed` is the number of indices and
/// statuses written, 0 where no request is active.
static inline int cmpi_complete_some(
    int waits, cmpi_request *requests, int count, int *completed, int *indices, MPI_Status *statuses) {
  // A structure of one handle has the handle's layout: the array can be passed on as it is.
  MPI_Request *handles = &requests[0].handle;
  int code = waits ? MPI_Waitsome(count, handles, completed, indices, statuses)
                   : MPI_Testsome(count, handles, completed, indices, statuses);
  if (*completed == MPI_UNDEFINED) *completed = 0;
  if (code == MPI_ERR_IN_STATUS)
    for (int i = 0; i < *completed; i++)
      if (statuses[i].MPI_ERROR != MPI_SUCCESS) return statuses[i].MPI_ERROR;
  return code;
}

#endif
