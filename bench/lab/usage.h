/* Usage: what the whole machine did: CPU time by /proc/stat, kernel memory by /proc/slabinfo.
 *
 * Layer: bench/lab. Plain data. The kernel samples CPU time by its tick, so that every figure has a
 * sampling error. */
#ifndef FINWAIT_BENCH_LAB_USAGE_H
#define FINWAIT_BENCH_LAB_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper.h"

/* CPU time of all CPUs since the machine began; or between two readings. */
struct usage {
    uint64_t at_ns;
    uint64_t busy_ns; /* user, nice, system, irq, softirq */
    uint64_t softirq_ns;
    uint64_t steal_ns;
    uint32_t cpus; /* 0: not known */
};

/* Parses /proc/stat's text; times in it are in units of `unit_ns`. Returns false when it has no
 * line of all CPUs. */
bool usage_parse(struct usage *usage, const char *text, uint64_t unit_ns);

/* Reads /proc/stat; cpus is 0 when it cannot be read. */
void usage_read(struct usage *usage);

/* Gives what lies between two readings; `at_ns` is the time between them. */
struct usage usage_between(const struct usage *before, const struct usage *after);

/* Estimates one standard error of `part_ns` of a difference, from sampling by the tick. */
double usage_error_ns(const struct usage *difference, uint64_t part_ns);

/* How the machine was when a wait for quiet ended. */
struct calm {
    bool known; /* /proc/stat could be read */
    bool quiet;
    double busy_cpus; /* on average over the last look, by whatever runs there */
};

/* Waits until the machine is quiet, for a few seconds at most: namespaces that were given up take
 * CPU time to go. Says in `calm` whether it grew so. Returns false when a signal asks to stop. */
bool usage_await_quiet(struct keeper *keeper, struct calm *calm);

/* Tells how calm the machine was between two readings. */
struct calm usage_calm(const struct usage *before, const struct usage *after);

/* Kernel memory; not known where /proc/slabinfo may not be read. */
struct slabs {
    bool known;
    uint64_t bytes; /* of the pages that the machine's live slab objects take */
};

/* Parses /proc/slabinfo's text. */
void slabs_parse(struct slabs *slabs, const char *text);

/* Reads /proc/slabinfo. */
void slabs_read(struct slabs *slabs);

/* Reads how much anonymous memory a child has resident. Returns false when /proc does not tell, for
 * one because it numbers the processes of another PID namespace. */
bool usage_resident_bytes(pid_t pid, uint64_t *bytes);

/* Finds that figure in the text of a process's status. Returns false when it has none. */
bool usage_parse_resident(const char *status, uint64_t *bytes);

#endif
