/* What the server does with a connection: echo or respond, and close as asked.
 *
 * Layer: server; over the transport, by events. Owner: a worker; one thread. Each connection has a
 * record of 56 bytes in the worker's slab, found by the transport's user word. Received buffers are
 * sent as they are or given back at once, so the only memory that a peer can hold is the
 * transport's read credit. Time comes in with the events.
 *
 *                 ACCEPTED: accept_conn
 *                            |
 *                            v
 *          peer's FIN       OPEN      limit reached
 *         +---------------- |  | -------------------+
 *         |  on_peer_fin    |  |  mark_last         |
 *         v                 |  |                    v
 *     FINISHING             |  |                  LAST
 *         |                 |  |                 |    |
 *         | all sent:       |  |   all sent, and |    | all sent:
 *         | settle          |  |   fin or half:  v    | settle
 *         |                 |  |   settle    FIN_SENT |
 *         |                 |  |                 |    |
 *         |      peer's FIN,|  |                 | peer's FIN:
 *         |  nothing to send|  |                 | on_peer_fin
 *         v                 v  v                 v    v
 *         +----------------> CLOSING <----------------+   from every state: fail_conn (an error,
 * the |                         idle timer, the end of a drain) CLOSED: end_conn */
#ifndef FINWAIT_SERVER_ECHO_H
#define FINWAIT_SERVER_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/hist.h"
#include "base/slab.h"
#include "server/respond.h"
#include "transport/transport.h"

/* How the server closes after --closes-after, as DESIGN.md's table names it. */
enum echo_close {
    ECHO_CLOSE_FIN,
    ECHO_CLOSE_CLOSE,
    ECHO_CLOSE_HALF,
    ECHO_CLOSE_RST,
    ECHO_CLOSE_FIN_NO_TIMEWAIT,
};

/* When the server closes of its own accord. */
enum echo_limit_unit {
    ECHO_LIMIT_NONE, /* never: it answers the peer's FIN */
    ECHO_LIMIT_BYTES,
    ECHO_LIMIT_ECHOES, /* received buffers; with a response file, requests */
};

struct echo_limit {
    enum echo_limit_unit unit;
    uint64_t count;
};

/* Const while workers run, and shared by them. */
struct echo_config {
    struct echo_limit limit;
    enum echo_close how;         /* of use with a limit */
    uint64_t idle_ns;            /* 0: connections may idle for ever */
    struct respond_file respond; /* borrowed; data NULL: echo */
};

enum echo_state {
    ECHO_FREE,      /* no connection */
    ECHO_OPEN,      /* receives and answers */
    ECHO_FINISHING, /* the peer's FIN came; answers are still on the way out */
    ECHO_LAST,      /* the limit is reached; the last answer is on the way out */
    ECHO_FIN_SENT,  /* our FIN is out; what the peer still sends is discarded up to its FIN */
    ECHO_CLOSING,   /* transport_close was called */
};

#define ECHO_STATE_COUNT 6

/* Where a connection failed: the transport's phases and our own, one number space for the table. */
enum echo_phase {
    ECHO_PHASE_IDLE = TRANSPORT_PHASE_COUNT,
    ECHO_PHASE_DRAIN,
};

#define ECHO_PHASE_COUNT (TRANSPORT_PHASE_COUNT + 2)
#define ECHO_ERRNO_COUNT 136 /* Linux numbers end at 133; the last entry takes what lies beyond */

enum echo_counter {
#define COUNTER(name, help) ECHO_COUNTER_##name,
#include "server/counters.def"
#undef COUNTER
    ECHO_COUNTER_COUNT
};

/* What a worker counted; adds up over workers. */
struct echo_stats {
    uint64_t counters[ECHO_COUNTER_COUNT];
    uint64_t transitions[ECHO_STATE_COUNT][ECHO_STATE_COUNT]; /* [from][to] */
    uint64_t errors[ECHO_PHASE_COUNT][ECHO_ERRNO_COUNT];      /* adds up to `failed` */
    struct hist lifetime; /* ns from ACCEPTED to CLOSED, of completed connections */
    uint64_t open_max;    /* of a worker; merged: the sum, which the whole may not have reached */
    uint64_t first_accept_ns; /* CLOCK_NEVER: none yet */
    uint64_t last_close_ns;   /* 0: none yet */
};

struct echo {
    const struct echo_config *config;
    struct transport *transport;
    bool pull; /* see echo_pulls */
    struct slab conns;
    struct echo_stats stats;
};

/* Prepares a worker's part. Returns 0 or -ENOMEM. The transport, which is opened with echo_handle
 * as its handler and the struct as its context, is set before the first event. */
int echo_init(struct echo *echo, const struct echo_config *config, uint32_t conns_max);

/* Frees the records, of open connections too. Safe on a zeroed struct. */
void echo_fini(struct echo *echo);

/* Tells whether connections must be asked for each receive: where close() has to take effect at
 * once no receive may be armed, and responses, which hold no buffer, need another brake on a peer
 * that sends requests and never reads. */
bool echo_pulls(const struct echo_config *config);

/* Tells whether connections will be ended by transport_shutdown_write, for the listener's options.
 */
bool echo_shuts_down(const struct echo_config *config);

/* Tells how transport_close will mostly be called, for the listener's options. */
enum transport_close_how echo_close_how(const struct echo_config *config);

/* Takes an event; the transport's handler. */
void echo_handle(void *context, const struct transport_event *event);

/* Resets what is still open, at the end of a drain; CLOSED events follow. */
void echo_abort_all(struct echo *echo);

/* Counts connections that have not ended. */
uint32_t echo_open_count(const struct echo *echo);

void echo_stats_init(struct echo_stats *stats);

/* Adds `from` to `into`. */
void echo_stats_merge(struct echo_stats *into, const struct echo_stats *from);

/* Shows the counters; borrows the struct. */
struct counter_view echo_counters(const struct echo_stats *stats);

/* Names a state, and a phase of either kind, for reports. Static memory. */
const char *echo_state_name(enum echo_state state);
const char *echo_phase_name(uint32_t phase);

#endif
