/* Acknowledge: the fifth step of RFC 9293 section 3.10.7.4: what the peer has, and what it has room
 * for. */
#include "tcp/tcb.h"

/* Samples above this are clocks gone wrong, not round trips. */
#define RTT_SAMPLE_MS_MAX (1u << 20)
#define KEPT_BACKOFF_MAX 15u /* 1 ms becomes 32 s */

/* RFC 7323 section 2.2: scaled, but in a SYN. */
static uint32_t window_of(const struct tcp_arrival *arrival, const struct tcb *tcb)
{
    return (uint32_t)arrival->segment->window << (arrival->behind_syn ? 0 : tcb_snd_wscale(tcb));
}

/* Takes SND.WND (MUST-34: it may shrink). An old segment must not overwrite a newer one's word; but
 * one that acknowledges more than all before counts from the new SND.UNA, whatever its own number
 * (RFC 9293 section 3.8.6). SND.WL2 needs no place: no ACK below SND.UNA comes here. */
static void take_window(struct tcb *tcb, const struct wire_tcp *segment, uint32_t window)
{
    if (seq_gt(segment->ack, tcb->snd_una) || seq_le(tcb->snd_wl1, segment->seq)) {
        tcb->snd_wnd = window;
        tcb->snd_wl1 = segment->seq;
        tcb->snd_wnd_max = tcb->snd_wnd > tcb->snd_wnd_max ? tcb->snd_wnd : tcb->snd_wnd_max;
    }
}

static bool sample_by_timestamp(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    uint32_t ms = tcp_timestamp(tcp, &tcb->tuple) - segment->options.ts_ecr;
    if (segment->options.ts_ecr == 0 || ms > RTT_SAMPLE_MS_MAX) {
        return false;
    }
    /* RFC 7323 appendix G: about one ACK for two segments in flight. */
    uint32_t flight = (tcb_flight(tcb) + 2u * tcb->mss - 1u) / (2u * tcb->mss);
    rtt_sample(&tcb->rtt, ms * 1000u, flight > 0 ? flight : 1u);
    return true;
}

/* RFC 6298 section 3; without timestamps by Karn's rule: TCB_RTT_TIMED falls when the timed segment
 * is sent again. Returns whether there was a sample. */
static bool sample_rtt(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_TIMESTAMPS)) {
        return sample_by_timestamp(tcp, segment, tcb);
    }
    if (tcb_has(tcb, TCB_RTT_TIMED) && seq_gt(segment->ack, tcb->rtt_seq)) {
        tcb->flags &= ~(uint32_t)TCB_RTT_TIMED;
        rtt_sample(&tcb->rtt, (uint32_t)(tcp->now_ns / NS_PER_US) - tcb->rtt_at_us, 1);
        return true;
    }
    return false;
}

/* The other half of Karn's rule (MUST-18): what time-outs made of the RTO stays until there is a
 * sample, or a round trip longer than the RTO would never give one. Their count starts anew. */
static void settle_backoff(struct tcb *tcb, bool has_sample)
{
    struct tcb_extra *extra = tcb->extra;
    if (extra != NULL) {
        uint32_t kept = extra->kept_backoff + (tcb->recovery == TCB_LOSS ? tcb->backoff : 0u);
        kept = kept < KEPT_BACKOFF_MAX ? kept : KEPT_BACKOFF_MAX;
        extra->kept_backoff = has_sample ? 0 : (uint8_t)kept;
    }
    tcb->backoff = 0;
}

/* Drops what was acknowledged from the send queue; SYN and FIN count in the sequence space and not
 * in the queue. */
static void consume(struct tcp *tcp, struct tcb *tcb, uint32_t acked)
{
    uint32_t bytes = acked;
    if (!tcb_has(tcb, TCB_SYN_ACKED)) {
        tcb->flags |= TCB_SYN_ACKED;
        bytes--;
    }
    if (bytes > tcb->snd.count) {
        bytes = tcb->snd.count; /* the FIN */
    }
    if (bytes > 0) {
        ring_consume(&tcp->rings, &tcb->snd, bytes, tcb->snd.count);
    }
}

static bool is_fin_acked(const struct tcb *tcb)
{
    return tcb_has(tcb, TCB_FIN_SENT) && tcb->snd_una == tcb->snd_nxt;
}

/* New data of ours is acknowledged: SND.UNA < SEG.ACK =< SND.NXT. */
static void advance(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    uint32_t acked = seq_diff(tcb->snd_una, segment->ack);
    settle_backoff(tcb, sample_rtt(tcp, segment, tcb));
    tcb->flags &= ~(uint32_t)(TCB_RESEND | TCB_PROBE);
    recovery_on_ack(tcp, tcb, acked);
    consume(tcp, tcb, acked);
    tcb->snd_una = segment->ack;
    if (tcb->extra != NULL) {
        tcb->extra->unacked_since_ms = tcp->now_ms;
        tcb->extra->trouble = false;
    }
    if (tcb->snd_una == tcb->snd_nxt) {
        timer_resend_stop(tcp, tcb); /* RFC 6298 5.2 */
    } else {
        timer_resend_start(tcp, tcb); /* 5.3 */
    }
    event_raise(tcp, tcb,
                tcb->snd_una == tcb->snd_nxt && tcb->snd.count == 0 ? TCP_SENT | TCP_WRITABLE
                                                                    : TCP_WRITABLE);
}

/* RFC 5681 section 2: a duplicate ACK has no data, no SYN or FIN, the same window, and something is
 * outstanding; RFC 6675 also takes an ACK with news in its SACK blocks. What a closed window says
 * to its probes is none, or three of them would hurry the next one (SHLD-30). */
static bool is_duplicate(const struct tcb *tcb, const struct wire_tcp *segment)
{
    return segment->ack == tcb->snd_una && tcb->snd_una != tcb->snd_nxt && tcb->snd_wnd > 0 &&
           segment->payload_bytes == 0 && (segment->flags & WIRE_FIN) == 0 &&
           (uint32_t)segment->window << tcb_snd_wscale(tcb) == tcb->snd_wnd;
}

/* RFC 5961 section 5.2 bounds old ACKs too. */
static bool check_range(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    uint32_t oldest = tcb->snd_una - tcb->snd_wnd_max;
    if (seq_le(segment->ack, tcb->snd_nxt) && seq_ge(segment->ack, oldest)) {
        return true;
    }
    tcp_count(tcp, TCP_COUNTER_segments_bad_ack);
    challenge_ack(tcp, tcb);
    return false;
}

/* SYN_RECEIVED, or FIN_WAIT_1 straight from it: the ACK that completes the handshake. */
static bool complete_handshake(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    if (seq_le(segment->ack, tcb->snd_una) || seq_gt(segment->ack, tcb->snd_nxt)) {
        tcp_count(tcp, TCP_COUNTER_segments_bad_ack);
        reply_reset(tcp, arrival);
        return false;
    }
    handshake_established(tcp, tcb);
    tcb->snd_wnd = window_of(arrival, tcb);
    tcb->snd_wnd_max = tcb->snd_wnd > tcb->snd_wnd_max ? tcb->snd_wnd : tcb->snd_wnd_max;
    tcb->snd_wl1 = segment->seq;
    if (tcb_has(tcb, TCB_RESEND)) {
        /* Our SYN-ACK was to go out and is moot now; what it would have acknowledged is not. */
        output_ack(tcp, tcb);
    }
    event_raise(tcp, tcb, TCP_WRITABLE);
    return true;
}

/* DEVIATION from RFC 9293 section 3.6: the user wants no TIME_WAIT, and has closed. Linux's
 * TCP_LINGER2 -1. The peer's own FIN, in this segment or later, finds no connection. */
static void leave_without_time_wait(struct tcp *tcp, const struct tcp_arrival *arrival,
                                    struct tcb *tcb)
{
    tcp_count(tcp, TCP_COUNTER_closed_no_time_wait);
    tcb_finish(tcp, tcb, 0);
    if (arrival->segment->flags & WIRE_FIN || arrival->segment->payload_bytes > 0) {
        reply_reset(tcp, arrival);
    }
}

/* What an ACK of our FIN does to the state. Returns whether the record goes on. */
static bool move_by_fin_ack(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    if (!is_fin_acked(tcb)) {
        return true;
    }
    if ((tcb->flags & (TCB_NO_TIME_WAIT | TCB_ORPHAN)) == (TCB_NO_TIME_WAIT | TCB_ORPHAN) &&
        tcb->state != TCP_STATE_LAST_ACK) {
        leave_without_time_wait(tcp, arrival, tcb);
        return false;
    }
    if (tcb->state == TCP_STATE_FIN_WAIT_1) {
        state_set(tcp, tcb, TCP_STATE_FIN_WAIT_2);
        if (tcb_has(tcb, TCB_ORPHAN)) {
            timer_fin_wait_2_start(tcp, tcb);
        }
    } else if (tcb->state == TCP_STATE_CLOSING) {
        tcb_enter_time_wait(tcp, tcb);
        return false;
    } else if (tcb->state == TCP_STATE_LAST_ACK) {
        tcb_finish(tcp, tcb, 0);
        return false;
    }
    return true;
}

bool acknowledge_input(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    if (!tcb_has(tcb, TCB_SYN_ACKED)) {
        if (!complete_handshake(tcp, arrival, tcb)) {
            return false;
        }
    } else if (!check_range(tcp, segment, tcb)) {
        return false;
    }
    bool has_news = recovery_sack(tcp, tcb, segment);
    if (tcb_has(tcb, TCB_ECN) && (segment->flags & WIRE_ECE) != 0) {
        recovery_on_ecn(tcp, tcb);
    }
    bool is_dup = has_news || is_duplicate(tcb, segment);
    if (seq_ge(segment->ack, tcb->snd_una)) {
        bool was_closed = tcb->snd_wnd == 0;
        take_window(tcb, segment, window_of(arrival, tcb));
        if (was_closed && tcb->snd_wnd > 0 && tcb->snd_una != tcb->snd_nxt) {
            /* What went out as a probe was most likely not taken. How slow the probes had become is
             * no matter any more: they were answered. */
            settle_backoff(tcb, false);
            tcb->flags |= TCB_RESEND;
            timer_resend_start(tcp, tcb);
        }
    }
    if (seq_gt(segment->ack, tcb->snd_una)) {
        advance(tcp, segment, tcb);
    } else if (is_dup && segment->ack == tcb->snd_una) {
        recovery_on_duplicate(tcp, tcb);
    }
    return move_by_fin_ack(tcp, arrival, tcb);
}
