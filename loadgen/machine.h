/* Machine: CPU time that this process and the whole machine used, before and after a run.
 *
 * Layer: loadgen (L5). Plain data; reads getrusage and /proc/stat. */
#ifndef FINWAIT_LOADGEN_MACHINE_H
#define FINWAIT_LOADGEN_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "report/result.h"

struct machine_usage {
    uint64_t at_ns;
    uint64_t user_ns; /* of this process */
    uint64_t system_ns;
    bool machine_known;
    uint64_t busy_ns; /* all CPUs: without idle, iowait and steal */
    uint64_t steal_ns;
    uint32_t cpus;
};

/* Reads both sources. What cannot be read is unknown. */
void machine_read(struct machine_usage *usage);

/* Reads the aggregate line of a /proc/stat text into busy, steal and CPU count; false when it is not
 * one. `unit_ns` is the length of the kernel's clock tick as user space sees it. */
bool machine_parse(struct machine_usage *usage, const char *text, uint64_t unit_ns);

/* Fills a result's CPU figures with what came between two readings. */
void machine_difference(const struct machine_usage *before, const struct machine_usage *after,
                        struct result_cpu *cpu);

#endif
