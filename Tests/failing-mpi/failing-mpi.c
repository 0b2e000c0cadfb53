// To be preloaded by tests: on rank 1, MPI_Isend fails from its 40th call on, as where a network has broken.
#include <mpi.h>

int MPI_Isend(
    const void *buffer, int count, MPI_Datatype type, int destination, int tag, MPI_Comm communicator,
    MPI_Request *request) {
  static int calls = 0;
  int rank = 0;
  PMPI_Comm_rank(communicator, &rank);
  if (rank == 1 && ++calls >= 40) return MPI_ERR_OTHER;
  return PMPI_Isend(buffer, count, type, destination, tag, communicator, request);
}
