/* Place: where the lab's programs are, and on which CPUs they run.
 *
 * Layer: bench/lab. Plain data. */
#ifndef FINWAIT_BENCH_LAB_PLACE_H
#define FINWAIT_BENCH_LAB_PLACE_H

#include <limits.h>

#include "base/failure.h"

#define PLACE_CPUS_MAX 32

enum place_layout {
    PLACE_APART, /* client and server on a CPU each */
    PLACE_PAIR,  /* a worker of each on both CPUs */
};

struct place {
    char bin_dir[PATH_MAX];
    char client_cpus[PLACE_CPUS_MAX];
    char server_cpus[PLACE_CPUS_MAX];
};

/* Finds all of it; `bin_dir` NULL: where this program itself is. With one CPU only, client and
 * server share it. Returns 0, or -errno with the text set. */
int place_find(struct place *place, const char *bin_dir, enum place_layout layout,
               struct failure *failure);

/* Tells whether a program is there. Returns 0, or -errno with the text set. */
int place_check_program(const struct place *place, const char *program, struct failure *failure);

#endif
