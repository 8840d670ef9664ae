/* Output: what a live connection sends now. Called again until it has nothing more.
 *
 * In this order: the SYN; what is lost; a window probe; new data and the FIN; a keep-alive probe; a
 * bare ACK. */
#include "tcp/tcb.h"

void output_want(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_IN_OUTPUT) || !tcb_has(tcb, TCB_ON_WIRE)) {
        return;
    }
    tcb->flags |= TCB_IN_OUTPUT;
    tcb->out_next = TCP_NO_RECORD;
    if (tcp->output.last == TCP_NO_RECORD) {
        tcp->output.first = tcb->index;
    } else {
        tcb_at(tcp, tcp->output.last)->out_next = tcb->index;
    }
    tcp->output.last = tcb->index;
}

void output_ack(struct tcp *tcp, struct tcb *tcb)
{
    tcb->flags |= TCB_ACK_NOW;
    output_want(tcp, tcb);
}

static void start_rtt(const struct tcp *tcp, struct tcb *tcb, uint32_t seq)
{
    if (!tcb_has(tcb, TCB_TIMESTAMPS | TCB_RTT_TIMED)) {
        tcb->flags |= TCB_RTT_TIMED;
        tcb->rtt_seq = seq;
        tcb->rtt_at_us = (uint32_t)(tcp->now_ns / NS_PER_US);
    }
}

static uint32_t output_syn(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    bool is_first = !tcb_has(tcb, TCB_SYN_SENT);
    bool answers = tcb->state != TCP_STATE_SYN_SENT;
    if (!is_first && !tcb_has(tcb, TCB_RESEND)) {
        if (answers && tcb_has(tcb, TCB_ACK_NOW)) {
            return segment_emit(
                tcp, tcb, &(struct segment_plan){.seq = tcb->snd_nxt, .flags = WIRE_ACK}, packet);
        }
        return 0;
    }
    struct segment_plan plan = {.seq = tcb->snd_una, .flags = WIRE_SYN, .is_new = is_first};
    if (answers) {
        plan.flags |= WIRE_ACK | (tcb_has(tcb, TCB_ECN) ? WIRE_ECE : 0);
    } else if (tcp->config.ecn && !tcb_has(tcb, TCB_SYN_LOST)) {
        /* RFC 3168 section 6.1.1.1: a SYN that may have been dropped for its ECN goes without. */
        plan.flags |= WIRE_ECE | WIRE_CWR;
    }
    tcb->flags = (tcb->flags | TCB_SYN_SENT) & ~(uint32_t)TCB_RESEND;
    if (is_first) {
        tcb->snd_nxt = tcb->snd_una + 1;
        start_rtt(tcp, tcb, tcb->snd_una);
    } else {
        tcp_count(tcp, TCP_COUNTER_segments_resent);
        tcb->flags &= ~(uint32_t)TCB_RTT_TIMED;
    }
    timer_resend_start(tcp, tcb);
    return segment_emit(tcp, tcb, &plan, packet);
}

/* Sends a part of what was sent before: at most one segment from range.start on. */
static uint32_t emit_again(struct tcp *tcp, struct tcb *tcb, struct range range, uint8_t *packet)
{
    struct segment_plan plan = {.seq = range.start, .flags = WIRE_ACK};
    uint32_t max = segment_payload_max(tcb);
    uint32_t length = seq_diff(range.start, range.end);
    uint32_t bytes = seq_diff(range.start, tcb_snd_end(tcb));
    bytes = bytes < length ? bytes : length;
    plan.payload_bytes = bytes < max ? bytes : max;
    uint32_t end = plan.seq + plan.payload_bytes;
    if (tcb_has(tcb, TCB_FIN_SENT) && end == tcb_snd_end(tcb) && seq_gt(range.end, end)) {
        plan.flags |= WIRE_FIN;
        end++;
    }
    if (end == tcb_snd_end(tcb) && plan.payload_bytes > 0) {
        plan.flags |= WIRE_PSH;
    }
    if (tcb->extra != NULL) {
        tcb->extra->resend_nxt = seq_max(tcb->extra->resend_nxt, end);
    }
    tcb->flags &= ~(uint32_t)TCB_RTT_TIMED;
    tcb->retransmits = (uint16_t)(tcb->retransmits + (tcb->retransmits < UINT16_MAX ? 1 : 0));
    tcp_count(tcp, TCP_COUNTER_segments_resent);
    if ((tcb->timers & (TCB_TIMER_RESEND | TCB_TIMER_PERSIST)) == 0) {
        timer_resend_start(tcp, tcb);
    }
    return segment_emit(tcp, tcb, &plan, packet);
}

static uint32_t output_lost(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    struct range range = {.start = tcb->snd_una, .end = tcb->snd_nxt};
    if (tcb_has(tcb, TCB_RESEND)) {
        tcb->flags &= ~(uint32_t)TCB_RESEND;
        if (range.start == range.end ||
            (tcb->extra != NULL &&
             !ranges_gap(&tcb->extra->sacked, range.start, range.end, &range))) {
            return 0;
        }
        return emit_again(tcp, tcb, range, packet);
    }
    if (tcb->recovery == TCB_OPEN || !recovery_next(tcb, &range)) {
        return 0;
    }
    uint32_t pipe = recovery_pipe(tcb);
    if (pipe + tcb->mss > tcb->congestion.cwnd && pipe > 0) {
        return 0;
    }
    return emit_again(tcp, tcb, range, packet);
}

static void settle_new(struct tcp *tcp, struct tcb *tcb, const struct segment_plan *plan)
{
    bool was_idle = tcb->snd_una == tcb->snd_nxt;
    uint32_t idle_ms = tcp->now_ms - tcb->resend_at_ms;
    bool has_fin = (plan->flags & WIRE_FIN) != 0;
    if (was_idle && idle_ms > timer_rto_us(tcp, tcb) / 1000u) {
        congestion_restart(
            &tcb->congestion,
            congestion_initial_window(tcb->mss, tcp->config.initial_window_segments, false));
    }
    if (was_idle && tcb->extra != NULL) {
        tcb->extra->unacked_since_ms = tcp->now_ms;
    }
    start_rtt(tcp, tcb, plan->seq);
    tcb->snd_nxt += plan->payload_bytes + (has_fin ? 1u : 0u);
    tcb->flags |= has_fin ? TCB_FIN_SENT : 0u;
    tcb->flags &= ~(uint32_t)TCB_FORCE;
    if ((tcb->timers & TCB_TIMER_RESEND) == 0) {
        timer_resend_start(tcp, tcb);
    }
}

static bool has_fin_to_send(const struct tcb *tcb)
{
    return (tcb->flags & (TCB_FIN_QUEUED | TCB_FIN_SENT)) == TCB_FIN_QUEUED;
}

/* RFC 9293 section 3.8.6.1: one byte beyond the window, or the first unacknowledged one again; the
 * FIN when there is nothing else. */
static uint32_t output_probe(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    if (!tcb_has(tcb, TCB_PROBE)) {
        return 0;
    }
    tcb->flags &= ~(uint32_t)TCB_PROBE;
    tcp_count(tcp, TCP_COUNTER_probes_window);
    if (tcb->snd_una != tcb->snd_nxt) {
        struct range first = {.start = tcb->snd_una, .end = tcb->snd_una + 1};
        return emit_again(tcp, tcb, first, packet);
    }
    /* RFC 3168 section 6.1.6: neither ECT nor CWR, as if it were no new data. */
    struct segment_plan plan = {.seq = tcb->snd_nxt, .flags = WIRE_ACK};
    if (seq_gt(tcb_snd_end(tcb), tcb->snd_nxt)) {
        plan.payload_bytes = 1;
        plan.flags |= WIRE_PSH;
    } else if (has_fin_to_send(tcb)) {
        plan.flags |= WIRE_FIN;
    } else {
        return 0;
    }
    uint32_t length = segment_emit(tcp, tcb, &plan, packet);
    tcb->snd_nxt++;
    tcb->flags |= plan.flags & WIRE_FIN ? TCB_FIN_SENT : 0u;
    return length;
}

/* RFC 9293 sections 3.7.4 (Nagle, SHLD-7) and 3.8.6.2.1 (the sender's silly windows). `count` is
 * what window and segment size allow of the `unsent` bytes. */
static bool is_worth_sending(const struct tcb *tcb, uint32_t count, uint32_t unsent, bool has_fin)
{
    if (count == segment_payload_max(tcb) || has_fin || tcb_has(tcb, TCB_FORCE)) {
        return true;
    }
    if (tcb->snd_una != tcb->snd_nxt && !tcb_has(tcb, TCB_NODELAY)) {
        return false;
    }
    return (count == unsent && !tcb_has(tcb, TCB_MORE)) || count >= tcb->snd_wnd_max / 2;
}

/* Nothing may go and nothing is in flight: only the persist timer can go on (MUST-35, MUST-36; the
 * override of the silly-window rules too). */
static uint32_t stalled(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb->snd_una == tcb->snd_nxt &&
        (tcb->timers & (TCB_TIMER_RESEND | TCB_TIMER_PERSIST)) == 0) {
        timer_persist_start(tcp, tcb);
    }
    return 0;
}

static uint32_t output_new(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    bool fin_waits = has_fin_to_send(tcb);
    uint32_t unsent = tcb_has(tcb, TCB_FIN_SENT) ? 0 : seq_diff(tcb->snd_nxt, tcb_snd_end(tcb));
    if (unsent == 0 && !fin_waits) {
        return 0;
    }
    uint32_t edge = tcb->snd_una + tcb->snd_wnd;
    uint32_t room = seq_gt(edge, tcb->snd_nxt) ? seq_diff(tcb->snd_nxt, edge) : 0;
    uint32_t max = segment_payload_max(tcb);
    uint32_t count = unsent < max ? unsent : max;
    count = count < room ? count : room;
    bool has_fin = fin_waits && count == unsent && room > count;
    if ((count == 0 && !has_fin) || !is_worth_sending(tcb, count, unsent, has_fin)) {
        return stalled(tcp, tcb);
    }
    uint32_t pipe = recovery_pipe(tcb);
    if (count > 0 && pipe > 0 && pipe + count > tcb->congestion.cwnd) {
        return 0;
    }
    struct segment_plan plan = {
        .seq = tcb->snd_nxt, .payload_bytes = count, .flags = WIRE_ACK, .is_new = true};
    plan.flags |= has_fin ? WIRE_FIN : 0;
    plan.flags |= count > 0 && count == unsent ? WIRE_PSH : 0; /* MUST-60 */
    uint32_t length = segment_emit(tcp, tcb, &plan, packet);
    settle_new(tcp, tcb, &plan);
    return length;
}

/* MUST-29: no data, one below SND.NXT, which the peer must answer. */
static uint32_t output_keep_alive(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    if (!tcb_has(tcb, TCB_KEEP_ALIVE)) {
        return 0;
    }
    tcb->flags &= ~(uint32_t)TCB_KEEP_ALIVE;
    tcp_count(tcp, TCP_COUNTER_probes_keep_alive);
    struct segment_plan plan = {.seq = tcb->snd_nxt - 1, .flags = WIRE_ACK};
    return segment_emit(tcp, tcb, &plan, packet);
}

static uint32_t output_bare_ack(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    if (!tcb_has(tcb, TCB_ACK_NOW)) {
        return 0;
    }
    struct segment_plan plan = {.seq = tcb->snd_nxt, .flags = WIRE_ACK};
    return segment_emit(tcp, tcb, &plan, packet);
}

uint32_t output_segment(struct tcp *tcp, struct tcb *tcb, uint8_t *packet)
{
    if (tcb->state == TCP_STATE_SYN_SENT || tcb->state == TCP_STATE_SYN_RECEIVED) {
        return output_syn(tcp, tcb, packet);
    }
    bool is_closed_early = !tcb_has(tcb, TCB_SYN_ACKED);
    uint32_t length = is_closed_early && tcb_has(tcb, TCB_RESEND) ? output_syn(tcp, tcb, packet)
                                                                  : output_lost(tcp, tcb, packet);
    if (length == 0) {
        length = output_probe(tcp, tcb, packet);
    }
    if (length == 0) {
        length = output_new(tcp, tcb, packet);
    }
    if (length == 0) {
        length = output_keep_alive(tcp, tcb, packet);
    }
    if (length == 0) {
        length = output_bare_ack(tcp, tcb, packet);
    }
    return length;
}

bool tcp_has_output(const struct tcp *tcp)
{
    return tcp->reply_count > 0 || tcp->half_open_waits || tcp->output.first != TCP_NO_RECORD;
}

static void pop_first(struct tcp *tcp, struct tcb *tcb)
{
    tcp->output.first = tcb->out_next;
    if (tcp->output.first == TCP_NO_RECORD) {
        tcp->output.last = TCP_NO_RECORD;
    }
    tcb->flags &= ~(uint32_t)TCB_IN_OUTPUT;
    if (!tcb_has(tcb, TCB_ON_WIRE) && tcb_has(tcb, TCB_ORPHAN)) {
        pool_release(&tcp->live, tcb->index); /* tcb_release left it to us */
    }
}

uint32_t tcp_output(struct tcp *tcp, uint8_t *packet)
{
    if (tcp->reply_count == 0 && tcp->half_open_waits) {
        half_open_expire(tcp);
    }
    uint32_t length = reply_output(tcp, packet);
    while (length == 0 && tcp->output.first != TCP_NO_RECORD) {
        struct tcb *tcb = tcb_at(tcp, tcp->output.first);
        length = tcb_has(tcb, TCB_ON_WIRE) ? output_segment(tcp, tcb, packet) : 0;
        if (length == 0) {
            pop_first(tcp, tcb);
        }
    }
    return length;
}
