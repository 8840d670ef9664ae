/* SYN_SENT: RFC 9293 section 3.10.7.3, step by step. */
#include <errno.h>

#include "tcp/tcb.h"

/* First: check the ACK. Returns whether to go on. */
static bool check_ack(struct tcp *tcp, const struct tcp_arrival *arrival, const struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    if ((segment->flags & WIRE_ACK) == 0) {
        return true;
    }
    if (seq_gt(segment->ack, tcb->snd_una) && seq_le(segment->ack, tcb->snd_nxt)) {
        return true;
    }
    tcp_count(tcp, TCP_COUNTER_segments_bad_ack);
    /* No timestamps are agreed on yet (RFC 7323 section 3.2). Linux would hold ours against the
     * reset, where an earlier incarnation waits in TIME_WAIT whose own were later, and neither the
     * reset nor a SYN of ours would ever end that. */
    struct wire_tcp plain = *segment;
    plain.options.has_timestamp = false;
    struct tcp_arrival seen = *arrival;
    seen.segment = &plain;
    reply_reset(tcp, &seen);
    return false;
}

/* Second: check the RST. It counts only with an acceptable ACK. */
static void input_reset(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (segment->flags & WIRE_ACK) {
        tcp_count(tcp, TCP_COUNTER_resets_received);
        tcb_finish(tcp, tcb, ECONNREFUSED);
    } else {
        tcp_count(tcp, TCP_COUNTER_resets_ignored);
    }
}

/* RFC 3168 section 6.1.1: a SYN-ACK with ECE and without CWR agrees to ECN, and so do SYNs that
 * cross. Once our SYN went out without asking too, the peer may have seen only that: no ECT then
 * ("has sent no non-ECN-setup SYN"), while the peer, which may not know, still gets its echoes. */
static void take_ecn(const struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    uint8_t both = WIRE_ECE | WIRE_CWR;
    bool is_syn_ack = (segment->flags & WIRE_ACK) != 0;
    uint8_t wanted = is_syn_ack ? WIRE_ECE : both;
    if (tcp->config.ecn && (segment->flags & both) == wanted) {
        tcb->flags |= TCB_ECN;
        tcb->flags |= tcb_has(tcb, TCB_SYN_LOST) ? TCB_NO_ECT : 0u;
    }
}

static void take_syn(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    tcb->irs = segment->seq;
    tcb->rcv_nxt = segment->seq + 1;
    uint32_t limit = options_receive_limit(tcp, tcb);
    tcb->rcv_edge = tcb->rcv_nxt + (limit > UINT16_MAX ? UINT16_MAX : limit);
    handshake_options(tcp, tcb, &segment->options);
    if (tcb_has(tcb, TCB_TIMESTAMPS)) { /* in the place of the SYN's time */
        tcb->last_ack_sent = tcb->rcv_nxt;
        tcb->flags &= ~(uint32_t)TCB_RTT_TIMED;
    }
    take_ecn(tcp, segment, tcb);
    tcb->snd_wnd = tcb->snd_wnd_max = segment->window; /* never scaled in a SYN */
    tcb->snd_wl1 = segment->seq;
}

/* The first sample (RFC 6298 2.2). Without timestamps it is the SYN's, unless that was sent twice
 * (Karn). */
static void sample_rtt(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_RTT_TIMED)) {
        tcb->flags &= ~(uint32_t)TCB_RTT_TIMED;
        rtt_sample(&tcb->rtt, (uint32_t)(tcp->now_ns / NS_PER_US) - tcb->rtt_at_us, 1);
    } else if (tcb_has(tcb, TCB_TIMESTAMPS) && segment->options.ts_ecr != 0) {
        uint32_t ms = tcp_timestamp(tcp, &tcb->tuple) - segment->options.ts_ecr;
        if (ms < 1u << 20) {
            rtt_sample(&tcb->rtt, ms * 1000u, 1);
        }
    }
}

static void establish(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    sample_rtt(tcp, segment, tcb);
    tcb->snd_una = segment->ack;
    tcb->flags |= TCB_SYN_ACKED;
    timer_resend_stop(tcp, tcb);
    handshake_established(tcp, tcb);
    output_ack(tcp, tcb);
    event_raise(tcp, tcb, TCP_WRITABLE);
    /* "If there are other controls or text in the segment, then continue processing at the sixth
     * step", behind the SYN. */
    struct wire_tcp rest = *segment;
    rest.seq++;
    urgent_input(tcp, &rest, tcb);
    (void)text_input(tcp, &rest, tcb);
}

/* Both ends open at once (MUST-10): our SYN goes again, with an ACK. */
static void receive_simultaneous(struct tcp *tcp, struct tcb *tcb)
{
    tcp_count(tcp, TCP_COUNTER_opens_simultaneous);
    state_set(tcp, tcb, TCP_STATE_SYN_RECEIVED);
    tcb->backoff = 0;
    tcb->flags |= TCB_RESEND;
    output_want(tcp, tcb);
}

void syn_sent_input(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    if (!check_ack(tcp, arrival, tcb)) {
        return;
    }
    if (segment->flags & WIRE_RST) {
        input_reset(tcp, segment, tcb);
        return;
    }
    if ((segment->flags & WIRE_SYN) == 0) { /* fifth */
        tcp_count(tcp, TCP_COUNTER_segments_ignored);
        return;
    }
    take_syn(tcp, segment, tcb); /* fourth */
    if (segment->flags & WIRE_ACK) {
        establish(tcp, arrival, tcb);
    } else {
        receive_simultaneous(tcp, tcb);
    }
}
