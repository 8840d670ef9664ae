#include "transport/stack_watch.h"

#include <string.h>

/* What the stack counts itself: each value is one of its counters, or the sum of two. */
static const struct {
    enum watch_field field;
    const char *counter;
    const char *other; /* NULL: none */
} counted[] = {
    {WATCH_active_opens, "opens_active", NULL},
    {WATCH_passive_opens, "opens_passive", NULL},
    {WATCH_in_segs, "segments_received", NULL},
    {WATCH_out_segs, "segments_sent", NULL},
    {WATCH_retrans_segs, "segments_resent", NULL},
    {WATCH_out_rsts, "resets_sent", NULL},
    {WATCH_time_wait_made, "time_wait_started", NULL},
    {WATCH_time_wait_recycled, "time_wait_reopened", "time_wait_reused"},
    {WATCH_time_wait_overflows, "time_wait_overflow", NULL},
    {WATCH_listen_overflows, "accepts_deferred_backlog", NULL},
    {WATCH_listen_drops, "syns_dropped_backlog", "syns_dropped_cache_full"},
    {WATCH_syn_queue_cookies, "cookies_sent", NULL},
    {WATCH_syn_queue_drops, "syns_dropped_cache_full", NULL},
    {WATCH_timeouts, "timeouts_resend", NULL},
    {WATCH_abort_on_close, "closed_unread", NULL},
    {WATCH_abort_on_timeout, "timeouts_connect", "timeouts_data"},
    {WATCH_abort_on_memory, "live_full", NULL},
};

static uint64_t stepped(const struct stack_watch_source *source, enum tcp_state from,
                        enum tcp_state to)
{
    return source->transitions->n[from][to];
}

void stack_watch_values(const struct stack_watch_source *source, uint64_t values[WATCH_FIELD_COUNT])
{
    const struct tcp_state_counts *counts = source->counts;
    memset(values, 0, WATCH_FIELD_COUNT * sizeof(values[0]));
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        const char *other = counted[i].other;
        values[counted[i].field] = source->counted(source->from, counted[i].counter) +
                                   (other == NULL ? 0 : source->counted(source->from, other));
    }
    uint64_t half_open = counts->n[TCP_STATE_SYN_RECEIVED];
    values[WATCH_tcp_inuse] = tcp_state_total(counts) - counts->n[TCP_STATE_TIME_WAIT] - half_open;
    values[WATCH_time_wait] = counts->n[TCP_STATE_TIME_WAIT];
    values[WATCH_established] = counts->n[TCP_STATE_ESTABLISHED] + counts->n[TCP_STATE_CLOSE_WAIT];
    values[WATCH_attempt_fails] = stepped(source, TCP_STATE_SYN_SENT, TCP_STATE_CLOSED) +
                                  stepped(source, TCP_STATE_SYN_RECEIVED, TCP_STATE_CLOSED) +
                                  stepped(source, TCP_STATE_SYN_RECEIVED, TCP_STATE_LISTEN);
    /* RFC 4022's tcpEstabResets: these two states left for CLOSED. */
    values[WATCH_estab_resets] = stepped(source, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSED) +
                                 stepped(source, TCP_STATE_CLOSE_WAIT, TCP_STATE_CLOSED);
}

static uint64_t counted_in_totals(const void *totals, const char *name)
{
    return stack_totals_counter(totals, "stack", name);
}

void stack_totals_watch(const struct stack_totals *totals, uint64_t values[WATCH_FIELD_COUNT])
{
    stack_watch_values(&(struct stack_watch_source){.counts = &totals->counts,
                                                    .transitions = &totals->transitions,
                                                    .counted = counted_in_totals,
                                                    .from = totals},
                       values);
}
