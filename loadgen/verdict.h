/* Verdict: what limited a run, and so whether it measured its target.
 *
 * Layer: loadgen (L5). A pure function of the run's numbers; it adds limits to the result, and
 * their weights give the exit code. */
#ifndef FINWAIT_LOADGEN_VERDICT_H
#define FINWAIT_LOADGEN_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "report/result.h"

/* Share of arrivals that may be missing at the end of the window. */
#define VERDICT_MISSING_MAX 0.001

/* 99th percentile of the schedule slip: worth a note, and too much to call the schedule kept. */
#define VERDICT_SLIP_NOTE_NS UINT64_C(1000000)
#define VERDICT_SLIP_INVALID_NS UINT64_C(5000000)

/* Share of its CPU from which on a worker is taken for saturated. */
#define VERDICT_CPU_SHARE 0.95

/* Share of all CPU time that the hypervisor may take unmentioned. */
#define VERDICT_STEAL_SHARE 0.05

struct verdict_facts {
    bool open_loop;
    bool interrupted;
    bool closer_is_server;
    uint64_t offered;
    uint64_t attempted;
    uint64_t completed;
    uint64_t failed;
    uint64_t open_at_end;
    uint64_t shed;
    uint64_t no_tuple;       /* of failed */
    uint64_t tuple_taken;    /* of failed */
    uint64_t tuple_early;    /* of failed */
    uint64_t no_descriptors; /* of failed */
    uint64_t failed_before_syn;
    uint64_t close_timed_out; /* of failed */
    uint64_t close_not_as_asked;
    uint64_t slip_p99_ns;
    double cpu_share;   /* of the busiest worker, 0..1 */
    double steal_share; /* of the machine, 0..1 */
    uint64_t listen_overflows;
    uint64_t time_wait_overflows;
    uint64_t syn_queue_full;
    uint64_t link_down; /* times the stack's own link was found to be down */
    uint64_t conns_max;
    uint64_t reuse_after_ns;
};

/* Adds the limits that the facts show. Returns 0 or -ENOMEM. */
int verdict_judge(struct result *result, const struct verdict_facts *facts);

#endif
