/* Worker: one end of the lockstep on one link.
 *
 * Layer: bench/null. Owner of the link: the worker, from null_worker_open to null_worker_close. One
 * thread. */
#ifndef FINWAIT_BENCH_NULL_WORKER_H
#define FINWAIT_BENCH_NULL_WORKER_H

#include <signal.h>

#include "bench/null/lockstep.h"
#include "link/link.h"

struct null_config {
    bool is_client;
    enum link_kind link;
    const char *interface;
    uint32_t own; /* addresses, host order */
    uint32_t peer;
    uint32_t worker;
    uint32_t workers;
    uint32_t in_flight; /* of this worker, at most LOCKSTEP_SLOTS_MAX */
    uint64_t duration_ns;
};

struct null_worker {
    struct null_config config;
    struct canned canned;
    struct link *link;
    uint8_t mac[6];
    uint8_t peer_mac[6]; /* broadcast until a frame came */
    uint16_t next_port;
    struct lockstep lockstep; /* a client's */
    /* Results, in frames. A server's received ones are answered, last_acks, no_room or foreign. */
    uint64_t received;
    uint64_t sent;
    uint64_t no_room;   /* that the transmit ring had no room for */
    uint64_t foreign;   /* received, and not the other end's */
    uint64_t answered;  /* of a server */
    uint64_t last_acks; /* received by a server, and not to be answered */
    uint64_t elapsed_ns;
};

/* Opens the link. Workers of one process are opened one after the other, from 0. Returns 0, or
 * -errno with the text set. */
int null_worker_open(struct null_worker *worker, const struct null_config *config,
                     struct failure *failure);
void null_worker_close(struct null_worker *worker);

/* Makes a worker over a link that is open; it owns the link from then on. */
void null_worker_init(struct null_worker *worker, const struct null_config *config,
                      struct link *link);

/* Begins a client's connections; then answers what has arrived, and returns how many frames that
 * were. What null_worker_run does, for who has the time in hand. */
void null_worker_begin(struct null_worker *worker, uint64_t now_ns);
size_t null_worker_turn(struct null_worker *worker, uint64_t now_ns);

/* Tells whether the worker's counts add up: each frame is in one of them. */
bool null_worker_adds_up(const struct null_worker *worker);

/* Runs to the end of the duration (a client) or until `*stop` is set. */
void null_worker_run(struct null_worker *worker, const volatile sig_atomic_t *stop);

#endif
