// Nothing to include: what it defines are MPI's own functions.
