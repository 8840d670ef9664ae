/* SYN_RECEIVED (of a simultaneous open, or at the last ACK of a passive one) and the synchronized
 * states: RFC 9293 section 3.10.7.4, steps one to five and on, with RFC 7323's PAWS and RFC 5961's
 * challenge ACKs. TIME_WAIT has a record of its own (time_wait.c). */
#include <errno.h>

#include "tcp/tcb.h"

/* RFC 7323 section 5.5: after 24 days without a segment the clock may have wrapped. */
#define PAWS_IDLE_MS (24u * 24u * 3600u * 1000u)
/* Linux's tcp_invalid_ratelimit, 500 ms, in ticks of 64 ms that fit 15 bits beside "set". */
#define ANSWER_TICK_SHIFT 6u
#define ANSWER_TICK_SET 0x8000u
#define ANSWER_TICKS 8u

/* RFC 5961 section 7: a number a second that all connections share. */
bool challenge_is_allowed(struct tcp *tcp)
{
    uint64_t period = tcp->now_ns / NS_PER_SEC;
    if (period != tcp->challenge_period) {
        tcp->challenge_period = period;
        /* Half to whole, at random, so that nobody learns from it what others used (CVE-2016-5696).
         */
        uint64_t half = tcp->config.challenge_ack_per_sec / 2;
        tcp->challenge_budget =
            tcp->config.challenge_ack_per_sec - (half > 0 ? rng_below(&tcp->rng, half) : 0);
    }
    if (tcp->challenge_budget == 0) {
        tcp_count(tcp, TCP_COUNTER_challenge_acks_limited);
        return false;
    }
    tcp->challenge_budget--;
    tcp_count(tcp, TCP_COUNTER_challenge_acks);
    return true;
}

/* Tells whether a bare ACK that is not acceptable may be answered: once in half a second for one
 * connection, or two ends that disagree (a late SYN made one of them) would answer each other for
 * as long as they live. */
bool bare_is_answered(struct tcp *tcp, uint16_t *answered)
{
    uint16_t tick = (uint16_t)(tcp->now_ms >> ANSWER_TICK_SHIFT | ANSWER_TICK_SET);
    uint16_t since = (uint16_t)((tick - *answered) & (ANSWER_TICK_SET - 1u));
    if (*answered != 0 && since < ANSWER_TICKS) {
        tcp_count(tcp, TCP_COUNTER_answers_limited);
        return false;
    }
    *answered = tick;
    return challenge_is_allowed(tcp);
}

void challenge_ack(struct tcp *tcp, struct tcb *tcb)
{
    if (challenge_is_allowed(tcp)) {
        output_ack(tcp, tcb);
    }
}

static uint32_t segment_length(const struct wire_tcp *segment)
{
    return segment->payload_bytes + ((segment->flags & WIRE_SYN) != 0 ? 1u : 0u) +
           ((segment->flags & WIRE_FIN) != 0 ? 1u : 0u);
}

/* The four cases of section 3.10.7.4. A zero window lets RST, ACK and URG through at RCV.NXT (the
 * "special allowance"): their text is cut off later. */
static bool is_acceptable(const struct tcb *tcb, uint32_t seq, uint32_t length)
{
    uint32_t window = seq_diff(tcb->rcv_nxt, tcb->rcv_edge);
    if (window == 0) {
        return seq == tcb->rcv_nxt;
    }
    bool starts_inside = seq_diff(tcb->rcv_nxt, seq) < window;
    return starts_inside || (length > 0 && seq_diff(tcb->rcv_nxt, seq + length - 1) < window);
}

static bool is_old_timestamp(const struct tcp *tcp, const struct tcb *tcb,
                             const struct wire_tcp *segment)
{
    return tcb_has(tcb, TCB_TIMESTAMPS) && segment->options.has_timestamp &&
           seq_lt(segment->options.ts_val, tcb->ts_recent) &&
           tcp->now_ms - tcb->ts_recent_ms <= PAWS_IDLE_MS;
}

/* Answers what is not acceptable with an ACK, which a peer that lost one needs. Bare ACKs are
 * answered within the challenge budget only: two ends that disagree must not answer each other for
 * ever. */
static void answer_unacceptable(struct tcp *tcp, struct tcb *tcb, const struct wire_tcp *segment)
{
    if (segment->flags & WIRE_RST) {
        tcp_count(tcp, TCP_COUNTER_resets_ignored);
        return;
    }
    bool is_bare = segment_length(segment) == 0;
    if (is_bare && !tcb_has(tcb, TCB_IN_ACCEPT)) {
        if (bare_is_answered(tcp, &tcb->answered)) {
            output_ack(tcp, tcb);
        }
        return;
    }
    if (is_bare || (segment->flags & WIRE_SYN) != 0) {
        challenge_ack(tcp, tcb);
        return;
    }
    output_ack(tcp, tcb);
}

static bool check_timestamp(struct tcp *tcp, struct tcb *tcb, const struct wire_tcp *segment)
{
    if (segment->flags & WIRE_RST) {
        return true; /* RFC 7323 section 5.2: PAWS does not apply to RST */
    }
    /* RFC 7323 section 3.2. A SYN is of another connection, which need not have agreed on anything:
     * RFC 5961 section 4.2 wants it answered. */
    bool owes_timestamp = tcb_has(tcb, TCB_TIMESTAMPS) && (segment->flags & WIRE_SYN) == 0;
    if (owes_timestamp && !segment->options.has_timestamp) {
        tcp_count(tcp, TCP_COUNTER_segments_no_timestamp);
        return false;
    }
    if (is_old_timestamp(tcp, tcb, segment)) {
        tcp_count(tcp, TCP_COUNTER_segments_old_timestamp);
        answer_unacceptable(tcp, tcb, segment);
        return false;
    }
    return true;
}

/* Figure 7 of RFC 9293: the SYN-ACK of a simultaneous open repeats the SYN that was taken already;
 * what follows it counts. */
static bool is_crossing_syn_ack(const struct tcb *tcb, const struct wire_tcp *segment)
{
    uint8_t both = WIRE_SYN | WIRE_ACK;
    return !tcb_has(tcb, TCB_SYN_ACKED) && (segment->flags & (both | WIRE_RST)) == both &&
           segment->seq + 1 == tcb->rcv_nxt;
}

/* Second step: RFC 5961 section 3.2, as RFC 9293 has it. Its own number counts, not where its data
 * ends. */
static void input_reset(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (!is_acceptable(tcb, segment->seq, 0)) {
        tcp_count(tcp, TCP_COUNTER_resets_ignored);
        return;
    }
    if (segment->seq != tcb->rcv_nxt) {
        challenge_ack(tcp, tcb);
        return;
    }
    tcp_count(tcp, TCP_COUNTER_resets_received);
    int error = tcb_has(tcb, TCB_SYN_ACKED) ? ECONNRESET : ECONNREFUSED;
    if (tcb->state == TCP_STATE_CLOSING || tcb->state == TCP_STATE_LAST_ACK) {
        error = 0; /* both FINs have passed: there was nothing more to come */
    } else {
        ring_clear(&tcp->rings, &tcb->rcv); /* "All segment queues should be flushed" */
    }
    tcb_finish(tcp, tcb, error);
}

static void heard_from(const struct tcp *tcp, struct tcb *tcb)
{
    if (tcb->extra != NULL) {
        tcb->extra->heard_ms = tcp->now_ms;
        tcb->extra->probes = 0;
    }
}

/* RFC 3168 section 6.1.3: every ACK carries ECE from a CE mark until the sender's CWR. */
static void input_ecn(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    if (!tcb_has(tcb, TCB_ECN)) {
        return;
    }
    if (arrival->segment->flags & WIRE_CWR) {
        tcb->flags &= ~(uint32_t)TCB_ECN_ECHO;
    }
    if (arrival->ip->ecn == WIRE_ECN_CE && arrival->segment->payload_bytes > 0) {
        tcb->flags |= TCB_ECN_ECHO;
        output_ack(tcp, tcb);
    }
}

/* Steps two to eight for a segment that is acceptable. */
static void input_acceptable(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    if (segment->flags & WIRE_RST) {
        input_reset(tcp, segment, tcb);
        return;
    }
    if (segment->flags & WIRE_SYN) { /* fourth: RFC 5961 section 4.2 */
        challenge_ack(tcp, tcb);
        return;
    }
    if ((segment->flags & WIRE_ACK) == 0) { /* fifth */
        tcp_count(tcp, TCP_COUNTER_segments_no_ack);
        return;
    }
    heard_from(tcp, tcb);
    if (!acknowledge_input(tcp, arrival, tcb)) {
        return;
    }
    text_timestamp(tcp, segment, tcb);
    input_ecn(tcp, arrival, tcb);
    urgent_input(tcp, segment, tcb);     /* sixth */
    if (text_input(tcp, segment, tcb)) { /* seventh, eighth */
        output_want(tcp, tcb);
    }
}

void synchronized_input(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    const struct wire_tcp *segment = arrival->segment;
    struct wire_tcp rest;
    struct tcp_arrival behind_syn = *arrival;
    if (is_crossing_syn_ack(tcb, segment)) {
        rest = *segment;
        rest.seq++;
        rest.flags &= (uint8_t)~WIRE_SYN;
        behind_syn.segment = segment = &rest;
        behind_syn.behind_syn = true;
    }
    if (!check_timestamp(tcp, tcb, segment)) {
        return;
    }
    if (!is_acceptable(tcb, segment->seq, segment_length(segment))) { /* first */
        tcp_count(tcp, TCP_COUNTER_segments_outside_window);
        text_note_duplicate(tcp, segment, tcb);
        answer_unacceptable(tcp, tcb, segment);
        return;
    }
    input_acceptable(tcp, &behind_syn, tcb);
}
