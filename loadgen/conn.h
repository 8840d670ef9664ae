/* Connections: the life of each one, from its 4-tuple to its close, as events of the transport
 * drive it.
 *
 * Layer: loadgen (L5). Owner: the worker that holds the struct conn_env; one thread. Records live
 * in a slab, named by handles that are the transport's user words. Nothing here waits or starts
 * connections by itself: the worker's loop does.
 *
 *   conn_start                      v
 *                                 SETUP ------------------------------+
 *   on_connecting                   v                                 |
 *                                CONNECT -----------------------------+
 *   on_connected      +-------------+----------+                      |
 *                     |             v          |                      |
 *                     |          EXCHANGE -----|----------------------+
 *   echo_completed    |       +-----+----+     |                      |
 *                     |       v          |     |                      |
 *                     +---> HOLD --------|-----|----------------------+  conn_fail,
 *   on_timer                  v          v     v                      |  conn_abort
 *                             +------> CLOSE -------------------------+
 *   conn_complete                        v                            v
 *                                      DONE <-------------------------+
 *   on_closed                            v
 *                                     (freed)
 *
 * A connection is counted once, as completed or failed, on its way to DONE; it is DONE until the
 * transport says that its socket is gone. Those that the end of the run cuts off (conn_abort) are
 * counted as neither: they are the report's open_at_end. */
#ifndef FINWAIT_LOADGEN_CONN_H
#define FINWAIT_LOADGEN_CONN_H

#include <stdint.h>

#include "base/slab.h"
#include "loadgen/options.h"
#include "loadgen/planner.h"
#include "loadgen/stats.h"
#include "transport/quota.h"
#include "transport/transport.h"

enum conn_state {
    CONN_SETUP,
    CONN_CONNECT,
    CONN_EXCHANGE,
    CONN_HOLD,
    CONN_CLOSE,
    CONN_DONE,
};

#define CONN_STATE_COUNT 6

/* What connections share within a worker. */
struct conn_env {
    const struct plan *plan;
    struct transport *transport; /* borrowed */
    struct stats *stats;         /* borrowed */
    struct planner planner;
    struct slab conns;
    struct transport_quota *quota; /* borrowed; the limit of all workers. NULL: the slab's is all */
    uint32_t active_count;         /* connections that are not DONE: in flight */
    uint64_t window_end_ns;        /* completions from here on are not in the window */
    uint64_t shares;               /* workers: a worker's arrivals are so far apart */
    uint64_t transitions[CONN_STATE_COUNT][CONN_STATE_COUNT];
};

/* Prepares the environment of share s of n workers, for at most `conns_max` connections. Transport
 * and stats are set by the caller. Returns 0 or -ENOMEM. */
int conn_env_init(struct conn_env *env, const struct plan *plan, uint32_t share, uint32_t shares,
                  uint32_t conns_max);

/* Frees all records. Call it after the transport is destroyed. Safe on a zeroed struct. */
void conn_env_destroy(struct conn_env *env);

enum conn_start {
    CONN_STARTED,
    CONN_FAILED_AT_ONCE, /* counted as attempted and failed; another try now would fail as well */
    CONN_SHED,           /* counted as shed: the limit of open connections is reached */
};

/* Starts connection number `index`, which was due at `due_ns`. */
enum conn_start conn_start(struct conn_env *env, uint64_t index, uint64_t due_ns, uint64_t now_ns);

/* Takes an event of the transport; `context` is the struct conn_env. */
void conn_handle(void *context, const struct transport_event *event);

/* Ends by reset all that is open, uncounted; their sockets are gone some events later. */
void conn_abort_all(struct conn_env *env);

/* Counts connections whose sockets are not gone yet. */
static inline uint32_t conn_live_count(const struct conn_env *env)
{
    return env->conns.live_count;
}

#endif
