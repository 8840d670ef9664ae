/* Info: what a connection and the whole look like from outside (STATUS, RFC 9293 section 3.10.6).
 */
#include <errno.h>

#include "tcp/tcb.h"

static void fill_extra(const struct tcb *tcb, struct tcp_info *info)
{
    const struct tcb_extra *extra = tcb->extra;
    if (extra == NULL) {
        return;
    }
    info->out_of_order = extra->received.total;
    info->soft_error = extra->soft_error;
    uint32_t read_to = tcb->rcv_nxt - tcb->rcv.count - (tcb_has(tcb, TCB_FIN_RECEIVED) ? 1u : 0u);
    if (extra->rcv_urgent && seq_gt(extra->rcv_up, read_to)) {
        info->urgent_ahead = seq_diff(read_to, extra->rcv_up); /* MUST-33 */
    }
}

static void fill_live(const struct tcp *tcp, const struct tcb *tcb, struct tcp_info *info)
{
    *info = (struct tcp_info){
        .state = (enum tcp_state)tcb->state,
        .tuple = tcb->tuple,
        .snd_una = tcb->snd_una,
        .snd_nxt = tcb->snd_nxt,
        .snd_wnd = tcb->snd_wnd,
        .rcv_nxt = tcb->rcv_nxt,
        .rcv_wnd = seq_diff(tcb->rcv_nxt, tcb->rcv_edge),
        .cwnd = tcb->congestion.cwnd,
        .ssthresh = tcb->congestion.ssthresh,
        .srtt_us = tcb->rtt.srtt_us,
        .rttvar_us = tcb->rtt.rttvar_us,
        .rto_us = timer_rto_us(tcp, tcb),
        .mss = tcb->mss,
        .retransmits = tcb->retransmits,
        .send_queued = tcb->snd.count,
        .receive_queued = tcb->rcv.count,
        .timestamps = tcb_has(tcb, TCB_TIMESTAMPS),
        .sack = tcb_has(tcb, TCB_SACK),
        .window_scaling = tcb_has(tcb, TCB_WINDOW_SCALING),
        .ecn = tcb_has(tcb, TCB_ECN),
        .snd_wscale = tcb_snd_wscale(tcb),
        .rcv_wscale = tcb_rcv_wscale(tcb),
        .error = tcb->error,
    };
    fill_extra(tcb, info);
}

static void fill_half_open(const struct half_open *entry, struct tcp_info *info)
{
    *info = (struct tcp_info){
        .state = TCP_STATE_SYN_RECEIVED,
        .tuple = entry->tuple,
        .snd_una = entry->iss,
        .snd_nxt = entry->iss + 1,
        .snd_wnd = entry->window,
        .rcv_nxt = entry->irs + 1,
        .retransmits = entry->retries,
        .timestamps = (entry->flags & TCB_TIMESTAMPS) != 0,
        .sack = (entry->flags & TCB_SACK) != 0,
        .window_scaling = (entry->flags & TCB_WINDOW_SCALING) != 0,
        .ecn = (entry->flags & TCB_ECN) != 0,
    };
}

static void fill_time_wait(const struct tcp *tcp, const struct time_wait *entry,
                           struct tcp_info *info)
{
    *info = (struct tcp_info){
        .state = TCP_STATE_TIME_WAIT,
        .tuple = entry->tuple,
        .snd_una = entry->snd_nxt,
        .snd_nxt = entry->snd_nxt,
        .rcv_nxt = entry->rcv_nxt,
        .rcv_wnd = (uint32_t)entry->window << entry->wscale,
        .timestamps = (entry->flags & TCB_TIMESTAMPS) != 0,
        .rcv_wscale = entry->wscale,
        .expires_ns = tcp_ns_of(tcp, entry->expires_ms),
    };
}

int tcp_info_by_tuple(struct tcp *tcp, const struct tuple *tuple, struct tcp_info *info)
{
    uint32_t ref = index_find(&tcp->index, tuple, tcp_hash(tcp, tuple));
    if (ref == INDEX_NONE) {
        return -ENOENT;
    }
    uint32_t record = index_ref_record(ref);
    switch (index_ref_population(ref)) {
    case INDEX_LIVE:
        fill_live(tcp, tcb_at(tcp, record), info);
        break;
    case INDEX_HALF_OPEN:
        fill_half_open(pool_at(&tcp->half_open, record), info);
        break;
    case INDEX_TIME_WAIT:
        fill_time_wait(tcp, slots_at(&tcp->time_wait, record), info);
        break;
    }
    return 0;
}

static int fill_listener(const struct listener *listener, struct tcp_info *info)
{
    *info = (struct tcp_info){.state = TCP_STATE_LISTEN,
                              .tuple = {.local_ip = listener->ip, .local_port = listener->port},
                              .receive_queued = listener->accept_count};
    return 0;
}

/* A handle that outlives the wire: the record in TIME_WAIT says how long it still lasts, and
 * whether it is there at all. */
int tcp_info(struct tcp *tcp, uint64_t handle, struct tcp_info *info)
{
    uint16_t number;
    const struct listener *listener = listener_find(tcp, handle, &number);
    if (listener != NULL) {
        return fill_listener(listener, info);
    }
    const struct tcb *tcb = tcb_find(tcp, handle);
    if (tcb == NULL) {
        return -EBADF;
    }
    fill_live(tcp, tcb, info);
    if (tcb->state == TCP_STATE_TIME_WAIT) {
        struct tcp_info record;
        bool lasts = tcp_info_by_tuple(tcp, &tcb->tuple, &record) == 0 &&
                     record.state == TCP_STATE_TIME_WAIT;
        info->state = lasts ? TCP_STATE_TIME_WAIT : TCP_STATE_CLOSED;
        info->expires_ns = lasts ? record.expires_ns : 0;
    }
    return 0;
}

void tcp_census(const struct tcp *tcp, struct tcp_census *census)
{
    *census = (struct tcp_census){
        .states = tcp->states,
        .transitions = tcp->transitions,
        .live_records = tcp->live.live_count,
        .half_open_records = tcp->half_open.live_count,
        .time_wait_records = tcp->time_wait.live_count,
        .index_entries = tcp->index.entry_count,
        .timers_armed = tcp->wheel.armed_count,
        .buffer_bytes = tcp->rings.used_bytes,
        .live_memory_bytes = tcp->live.memory_bytes,
        .half_open_memory_bytes = tcp->half_open.memory_bytes,
        .time_wait_memory_bytes = tcp->time_wait.memory_bytes,
        .index_memory_bytes = tcp->index.memory_bytes,
    };
}
