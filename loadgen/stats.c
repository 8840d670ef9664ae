#include "loadgen/stats.h"

#include <errno.h>
#include <string.h>

const char *stats_phase_name(enum conn_phase phase)
{
    static const char *const names[CONN_PHASE_COUNT] = {"setup", "connect", "echo", "hold",
                                                        "close"};
    return names[phase];
}

const char *stats_latency_name(enum stats_latency latency)
{
    static const char *const names[STATS_LATENCY_COUNT] = {"connect", "first_byte", "echo", "close",
                                                           "lifetime"};
    return names[latency];
}

void stats_init(struct stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    for (int i = 0; i < STATS_LATENCY_COUNT; i++) {
        for (int j = 0; j < STATS_ORIGIN_COUNT; j++) {
            hist_init(&stats->latency[i][j]);
        }
    }
    hist_init(&stats->slip);
    hist_init(&stats->turn);
}

void stats_count_error(struct stats *stats, enum conn_phase phase, int error)
{
    int known = error > 0 && error < STATS_ERRNO_COUNT ? error : EIO;
    stats->errors[phase][known]++;
}

static void add_live(_Atomic uint64_t *into, const _Atomic uint64_t *from)
{
    atomic_store_explicit(into, stats_read(into) + stats_read(from), memory_order_relaxed);
}

static void add_hists(struct stats *into, const struct stats *from)
{
    for (int i = 0; i < STATS_LATENCY_COUNT; i++) {
        for (int j = 0; j < STATS_ORIGIN_COUNT; j++) {
            hist_merge(&into->latency[i][j], &from->latency[i][j]);
        }
    }
    hist_merge(&into->slip, &from->slip);
    hist_merge(&into->turn, &from->turn);
}

void stats_merge(struct stats *into, const struct stats *from)
{
    add_live(&into->live.attempted, &from->live.attempted);
    add_live(&into->live.completed, &from->live.completed);
    add_live(&into->live.failed, &from->live.failed);
    add_live(&into->live.shed, &from->live.shed);
    into->offered += from->offered;
    into->completed_in_window += from->completed_in_window;
    into->connected += from->connected;
    into->failed_before_syn += from->failed_before_syn;
    into->no_tuple += from->no_tuple;
    into->tuple_taken += from->tuple_taken;
    into->tuple_early += from->tuple_early;
    into->resets_sent += from->resets_sent;
    into->close_not_as_asked += from->close_not_as_asked;
    into->backoffs += from->backoffs;
    into->tuples_used += from->tuples_used;
    into->tuples_reused += from->tuples_reused;
    into->open_max += from->open_max;
    into->last_ns = into->last_ns > from->last_ns ? into->last_ns : from->last_ns;
    for (int phase = 0; phase < CONN_PHASE_COUNT; phase++) {
        for (int error = 0; error < STATS_ERRNO_COUNT; error++) {
            into->errors[phase][error] += from->errors[phase][error];
        }
    }
    add_hists(into, from);
}
