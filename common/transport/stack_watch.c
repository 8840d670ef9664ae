#include "transport/stack_watch.h"

#include <string.h>

static uint64_t counted(const struct stack_watch_source *source, const char *name)
{
    return source->counted(source->from, name);
}

static uint64_t stepped(const struct stack_watch_source *source, enum tcp_state from,
                        enum tcp_state to)
{
    return source->transitions->n[from][to];
}

void stack_watch_values(const struct stack_watch_source *source, uint64_t values[WATCH_FIELD_COUNT])
{
    const struct tcp_state_counts *counts = source->counts;
    memset(values, 0, WATCH_FIELD_COUNT * sizeof(values[0]));
    uint64_t half_open = counts->n[TCP_STATE_SYN_RECEIVED];
    values[WATCH_tcp_inuse] = tcp_state_total(counts) - counts->n[TCP_STATE_TIME_WAIT] - half_open;
    values[WATCH_time_wait] = counts->n[TCP_STATE_TIME_WAIT];
    values[WATCH_established] = counts->n[TCP_STATE_ESTABLISHED] + counts->n[TCP_STATE_CLOSE_WAIT];
    values[WATCH_active_opens] = counted(source, "opens_active");
    values[WATCH_passive_opens] = counted(source, "opens_passive");
    values[WATCH_attempt_fails] = stepped(source, TCP_STATE_SYN_SENT, TCP_STATE_CLOSED) +
                                  stepped(source, TCP_STATE_SYN_RECEIVED, TCP_STATE_CLOSED) +
                                  stepped(source, TCP_STATE_SYN_RECEIVED, TCP_STATE_LISTEN);
    /* RFC 4022's tcpEstabResets: these two states left for CLOSED. */
    values[WATCH_estab_resets] = stepped(source, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSED) +
                                 stepped(source, TCP_STATE_CLOSE_WAIT, TCP_STATE_CLOSED);
    values[WATCH_in_segs] = counted(source, "segments_received");
    values[WATCH_out_segs] = counted(source, "segments_sent");
    values[WATCH_retrans_segs] = counted(source, "segments_resent");
    values[WATCH_out_rsts] = counted(source, "resets_sent");
    values[WATCH_time_wait_made] = counted(source, "time_wait_started");
    values[WATCH_time_wait_recycled] =
        counted(source, "time_wait_reopened") + counted(source, "time_wait_reused");
    values[WATCH_time_wait_overflows] = counted(source, "time_wait_overflow");
    values[WATCH_listen_overflows] = counted(source, "accepts_deferred_backlog");
    values[WATCH_listen_drops] =
        counted(source, "syns_dropped_backlog") + counted(source, "syns_dropped_cache_full");
    values[WATCH_syn_queue_cookies] = counted(source, "cookies_sent");
    values[WATCH_syn_queue_drops] = counted(source, "syns_dropped_cache_full");
    values[WATCH_timeouts] = counted(source, "timeouts_resend");
    values[WATCH_abort_on_close] = counted(source, "closed_unread");
    values[WATCH_abort_on_timeout] =
        counted(source, "timeouts_connect") + counted(source, "timeouts_data");
    values[WATCH_abort_on_memory] = counted(source, "live_full");
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
