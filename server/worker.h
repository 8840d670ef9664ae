/* A worker: one pinned thread with a transport, its listeners and its connections.
 *
 * Layer: server. Owner of the struct: the main thread, which starts and joins it. Between the two
 * threads lie `stop` and `progress` (atomics) and, under the lock, `phase`, `transport` and what
 * the worker found at its start; the rest is the worker's until it was joined, and the main
 * thread's after. */
#ifndef FINWAIT_SERVER_WORKER_H
#define FINWAIT_SERVER_WORKER_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cpu.h"
#include "base/failure.h"
#include "base/hist.h"
#include "server/echo.h"
#include "transport/stack_board.h"
#include "transport/stack_options.h"
#include "transport/transport.h"

#define WORKER_COUNTERS_MAX 64

/* How long resets may take at the end of a drain before the transport is destroyed with what is
 * left. */
#define WORKER_ABORT_NS (1 * NS_PER_SEC)

/* What the stack has closed goes on being said for so long at most, where TIME_WAIT is not waited
 * for. */
#define WORKER_SETTLE_NS (1 * NS_PER_SEC)

struct worker_config {
    uint32_t cpu;
    enum transport_engine engine;
    uint32_t conns_max; /* of the whole server */
    struct transport_quota
        *quota; /* borrowed; holds all workers to conns_max. NULL: there is one */
    uint64_t features_off;
    struct transport_listen_options listen;
    const struct echo_config *echo; /* borrowed */
    int ended_fd;                   /* eventfd: 1 is added when the thread is about to end */
    /* The stack engine: what it is opened with, and where it publishes; else `board` is NULL. */
    const struct transport_stack_settings *stack; /* borrowed */
    struct stack_board *board;                    /* borrowed */
    uint32_t index;                               /* of this worker, in the order of their start */
    uint32_t workers;
};

enum worker_stop {
    WORKER_STOP_NOT,
    WORKER_STOP_DRAIN, /* accept no more; end when all have closed or at drain_until_ns */
    WORKER_STOP_NOW,
};

enum worker_phase {
    WORKER_STARTING,
    WORKER_LISTENING,
    WORKER_ENDED,
};

/* What the main thread reads while the worker runs; each value is right by itself, a little late.
 */
struct worker_progress {
    alignas(64) atomic_uint_fast64_t accepted;
    atomic_uint_fast64_t completed;
    atomic_uint_fast64_t failed;
    atomic_uint_fast64_t open;
};

/* What a worker counted by the time of a scrape. */
struct worker_snapshot {
    struct echo_stats stats;
    struct counter_view counters; /* the transport's; its values are `values` */
    uint64_t values[WORKER_COUNTERS_MAX];
    struct hist turns;
    uint32_t open;
};

/* What a worker leaves behind. */
struct worker_result {
    struct counter_view counters; /* the transport's; its values are `values` */
    uint64_t values[WORKER_COUNTERS_MAX];
    struct hist turns;
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    size_t feature_count;
    uint64_t memory_bytes;    /* transport and records */
    uint64_t allocated_bytes; /* of the whole program, as the allocator says; 0: not known */
    uint32_t open_at_end;
    uint64_t lingering_ns; /* stack: how long it went on answering without connections */
    struct transport_lingering abandoned; /* stack: what went with the transport */
};

struct worker {
    struct worker_progress progress; /* first, on a cache line of its own */
    struct worker_config config;
    struct endpoint *addresses; /* borrowed; listening stores the ports that the system chose */
    uint32_t address_count;
    pthread_t thread;
    int wake_fd; /* wakes the transport; made before the thread gets descriptors of its own */
    struct echo echo;
    atomic_int stop;     /* enum worker_stop */
    atomic_bool lingers; /* the drain is over, and the stack answers for TIME_WAIT */
    atomic_uint_fast64_t drain_until_ns;

    pthread_mutex_t lock;
    pthread_cond_t phase_changed;
    enum worker_phase phase;
    struct transport *transport; /* NULL before the start and after the end */
    atomic_bool snapshot_wanted; /* set under the lock, looked at without */
    uint64_t snapshot_number;    /* of the newest one; 0: none yet */
    pthread_cond_t snapshot_taken;
    struct worker_snapshot snapshot;

    int error; /* 0 or -errno: it could not start, or its engine broke; the failure's text says more
                */
    struct failure failure;
    struct worker_result result;
};

/* Starts the thread and waits until it listens on every address. `addresses` are updated. Returns
 * 0, or -errno with the text set; then there is no thread. */
int worker_start(struct worker *worker, const struct worker_config *config,
                 struct endpoint *addresses, uint32_t address_count, struct failure *failure);

/* Asks the worker to stop, now or by draining; a later, stronger request takes over. */
void worker_stop(struct worker *worker, enum worker_stop stop, uint64_t drain_until_ns);

/* Has a worker that listens copy its counters, in its own thread, and gives the copy; the last one
 * when the worker does not come to it by `until_ns`, or has ended. From any thread but the
 * worker's. Returns false when there never was one. */
bool worker_read(struct worker *worker, uint64_t until_ns, struct worker_snapshot *snapshot);

/* Waits for the thread's end; from then on stats and result may be read. Requires a started worker.
 */
void worker_join(struct worker *worker);

/* Frees what the worker holds. Requires a worker that was joined. */
void worker_destroy(struct worker *worker);

#endif
