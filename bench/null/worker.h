/* Worker: one end of the lockstep on one link.
 *
 * Layer: bench/null. Owner of the link: the worker, from null_worker_open to null_worker_close. One
 * thread. */
#ifndef FINWAIT_BENCH_NULL_WORKER_H
#define FINWAIT_BENCH_NULL_WORKER_H

#include <signal.h>

#include "canned.h"
#include "link/link.h"

struct null_config {
    bool is_client;
    enum link_kind link;
    const char *interface;
    uint32_t own; /* addresses, host order */
    uint32_t peer;
    uint32_t worker;
    uint32_t workers;
    uint32_t in_flight; /* of this worker */
    uint64_t duration_ns;
};

struct null_worker {
    struct null_config config;
    struct canned canned;
    struct link *link;
    uint8_t mac[6];
    uint16_t next_port;
    uint64_t last_frame_ns;
    /* Results. */
    uint64_t completed;
    uint64_t lost; /* given up after silence: a frame of theirs did not arrive */
    uint64_t received;
    uint64_t sent;
    uint64_t no_room; /* answers that the transmit ring had no room for */
    uint64_t elapsed_ns;
};

/* Opens the link. Workers of one process are opened one after the other, from 0. Returns 0, or
 * -errno with the text set. */
int null_worker_open(struct null_worker *worker, const struct null_config *config,
                     struct failure *failure);
void null_worker_close(struct null_worker *worker);

/* Runs to the end of the duration (a client) or until `*stop` is set. */
void null_worker_run(struct null_worker *worker, const volatile sig_atomic_t *stop);

#endif
