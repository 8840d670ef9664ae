/* Stats: what one worker counted and timed; workers' stats add up to the run's.
 *
 * Layer: loadgen (L5). One writer, its worker. The counts in struct stats_live are read by the main
 * thread while the run goes on (each exact, the set of them not of one moment); all else is read
 * after the worker ended. Memory belongs to the holder. */
#ifndef FINWAIT_LOADGEN_STATS_H
#define FINWAIT_LOADGEN_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/hist.h"

/* Where a connection was when it failed: the phases of the report. */
enum conn_phase {
    CONN_PHASE_SETUP, /* 4-tuple, socket, bind: nothing has left this host */
    CONN_PHASE_CONNECT,
    CONN_PHASE_ECHO,
    CONN_PHASE_HOLD,
    CONN_PHASE_CLOSE,
};

#define CONN_PHASE_COUNT 5

/* Errnos of Linux end at 133; a greater one counts as EIO. */
#define STATS_ERRNO_COUNT 160

enum stats_latency {
    STATS_CONNECT,    /* SYN to established */
    STATS_FIRST_BYTE, /* request to the first byte of its answer */
    STATS_ECHO,       /* request to the last byte of its answer */
    STATS_CLOSE,      /* start of the close to its completion */
    STATS_LIFETIME,   /* the whole connection */
};

#define STATS_LATENCY_COUNT 5

/* From where a latency counts: since the phase was due (for the first phases: since the schedule
 * named the connection's arrival), and since we really began it. */
enum stats_origin {
    STATS_FROM_DUE,
    STATS_FROM_START,
};

#define STATS_ORIGIN_COUNT 2

struct stats_live {
    _Atomic uint64_t attempted;
    _Atomic uint64_t completed;
    _Atomic uint64_t failed;
    _Atomic uint64_t shed;
    _Atomic uint64_t tuple_ns; /* closed loop: nothing is started before, for want of a 4-tuple */
};

struct stats {
    struct stats_live live;
    uint64_t offered;             /* arrivals that the schedule named */
    uint64_t completed_in_window; /* of completed: before the end of the offered window */
    uint64_t connected;
    uint64_t failed_before_syn;
    uint64_t no_tuple;           /* of failed: no free 4-tuple */
    uint64_t tuple_taken;        /* of failed: another program's socket had the port */
    uint64_t tuple_early;        /* of failed: a former connection of ours still had the 4-tuple */
    uint64_t resets_sent;        /* of failed: ended by a reset of ours */
    uint64_t close_not_as_asked; /* of completed: the server closed another way than --close says */
    uint64_t backoffs;           /* pauses of a closed loop that met nothing but failures */
    uint64_t tuples_used;
    uint64_t tuples_reused;
    uint64_t open_max;
    uint64_t last_ns; /* when the last connection completed or failed */
    uint64_t errors[CONN_PHASE_COUNT][STATS_ERRNO_COUNT];
    struct hist latency[STATS_LATENCY_COUNT][STATS_ORIGIN_COUNT];
    struct hist slip; /* open loop: actual start - scheduled start */
    struct hist turn; /* of the worker's loop */
};

/* Counts one more; the writer's side of stats_live. */
static inline void stats_bump(_Atomic uint64_t *counter)
{
    /* One writer: a load and a store are enough, and cheaper than a locked addition. */
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + 1, memory_order_relaxed);
}

static inline uint64_t stats_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void stats_init(struct stats *stats);

/* Counts a failure by phase and errno. */
void stats_count_error(struct stats *stats, enum conn_phase phase, int error);

/* Adds all of `from`. Of two highest numbers at once (open_max) the sum is kept: a bound from
 * above. */
void stats_merge(struct stats *into, const struct stats *from);

const char *stats_phase_name(enum conn_phase phase);
const char *stats_latency_name(enum stats_latency latency);

#endif
