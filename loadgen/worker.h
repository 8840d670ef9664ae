/* Worker: one pinned thread with its own transport, planner, connections and stats.
 *
 * Layer: loadgen (L5). The program makes the workers, waits until all are ready, names the time of
 * the first arrival, and reads their stats when they have ended. Until then only the fields that
 * say so are shared, and they are atomic. A worker starts the arrivals of its share, lets them
 * finish within the drain, resets what is left, and ends. */
#ifndef FINWAIT_LOADGEN_WORKER_H
#define FINWAIT_LOADGEN_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "loadgen/backoff.h"
#include "loadgen/conn.h"
#include "loadgen/options.h"
#include "loadgen/schedule.h"
#include "loadgen/stats.h"
#include "transport/stack_board.h"

enum worker_order {
    WORKER_WAIT, /* for the time of the first arrival */
    WORKER_RUN,
    WORKER_STOP,  /* start nothing more, drain, end */
    WORKER_ABORT, /* end at once */
};

/* Shared by all workers of a run and their master. */
struct worker_team {
    const struct plan *plan;
    uint32_t workers;
    struct stack_board *board;    /* borrowed; NULL: not the stack */
    struct transport_quota quota; /* open loop: --conns-max, for all workers together */
    _Atomic uint64_t start_ns;    /* valid once the order is not WORKER_WAIT */
    _Atomic int order;            /* enum worker_order; only ever rises */
    int news_fd;                  /* eventfd that a worker signals when it is ready or has ended */
    _Atomic uint32_t ready_count;
    _Atomic uint32_t done_count; /* has no connection left; the stack may have TIME_WAIT */
    _Atomic uint32_t ended_count;
};

struct worker {
    struct worker_team *team;
    uint32_t share;
    pthread_t thread;
    int wake_fd; /* wakes the transport; made before the thread gets descriptors of its own */
    pthread_mutex_t wake_lock; /* keeps the transport while it is being woken */
    struct transport *wakes;   /* under wake_lock; NULL when there is none */
    struct stats *stats;       /* owned; the live counts may be read at any time */

    /* The thread's own. */
    struct conn_env env;
    struct schedule schedule;
    uint64_t next_index; /* closed loop */
    uint64_t retry_ns;   /* closed loop: nothing is started before; tries have failed */
    struct backoff backoff;
    bool started_all;

    /* Read after the thread has ended. */
    int error; /* -errno: the engine could not be opened or broke, and `failure` says more */
    struct failure failure;
    uint64_t window_ns;    /* how long arrivals were started for */
    uint64_t cpu_ns;       /* of the thread, over that window */
    uint64_t lingering_ns; /* stack: how long it went on answering once all were done */
    struct transport_lingering abandoned; /* stack: what went with the transport */
    uint64_t memory_bytes;                /* of transport and records, at the end */
    uint64_t memory_idle_bytes;           /* the same before the first connection */
    uint32_t feature_count;
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    struct counter_view counters; /* a copy, owned */
    uint64_t *counter_values;
};

/* Starts the thread of share s. Returns 0, or -errno with nothing to join. */
int worker_start(struct worker *worker, struct worker_team *team, uint32_t share);

/* Waits for the thread to end. */
void worker_join(struct worker *worker);

/* Makes the worker look at the team's order soon. From any thread. */
void worker_wake(struct worker *worker);

/* Frees what a joined worker holds. Safe on a zeroed struct. */
void worker_destroy(struct worker *worker);

#endif
