/* Recovery: what is lost, and what is in flight. RFC 6675 with SACK, RFC 6582 without, RFC 6298
 * after a time-out; how much may be sent is congestion control's (congestion.h).
 *
 *   OPEN -> FAST_RECOVERY   recovery_on_duplicate: three duplicates, or SACK says so
 *   OPEN, FAST -> LOSS      recovery_on_timeout
 *   FAST, LOSS -> OPEN      recovery_on_ack: recovery_point is acknowledged */
#include "tcp/tcb.h"

/* A quarter of the sequence space: twice the largest buffer. */
#define POINT_AGE_MAX (UINT32_C(1) << 30)

/* RFC 6675 section 4, IsLost: below this, more than (DupThresh - 1) * SMSS bytes are SACKed. */
static uint32_t lost_edge(const struct tcb *tcb)
{
    const struct ranges *sacked = &tcb->extra->sacked;
    uint32_t above = 0;
    for (uint32_t i = sacked->count; i > 0; i--) {
        const struct range *each = &sacked->items[i - 1];
        above += seq_diff(each->start, each->end);
        if (above > (TCP_DUP_ACKS - 1u) * tcb->mss) {
            return each->start;
        }
    }
    return tcb->snd_una;
}

/* Where what counts as lost ends, seen from resend_nxt. */
static uint32_t resend_limit(const struct tcb *tcb)
{
    if (tcb->recovery == TCB_LOSS) {
        return tcb->extra->recovery_point;
    }
    return tcb->recovery == TCB_FAST_RECOVERY && tcb_has(tcb, TCB_SACK) ? lost_edge(tcb)
                                                                        : tcb->snd_una;
}

bool recovery_next(const struct tcb *tcb, struct range *range)
{
    if (tcb->extra == NULL) {
        return false;
    }
    uint32_t from = seq_max(tcb->extra->resend_nxt, tcb->snd_una);
    uint32_t limit = resend_limit(tcb);
    return seq_lt(from, limit) && ranges_gap(&tcb->extra->sacked, from, limit, range);
}

/* Bytes that count as lost and were not sent again. */
static uint32_t lost_bytes(const struct tcb *tcb)
{
    uint32_t from = seq_max(tcb->extra->resend_nxt, tcb->snd_una);
    uint32_t limit = resend_limit(tcb);
    if (!seq_lt(from, limit)) {
        return 0;
    }
    uint32_t sacked =
        ranges_above(&tcb->extra->sacked, from) - ranges_above(&tcb->extra->sacked, limit);
    return seq_diff(from, limit) - sacked;
}

/* RFC 6675 section 4, SetPipe. Without SACK a duplicate ACK says that one segment arrived (RFC 5681
 * section 3.2, and RFC 3042 for the first two). */
uint32_t recovery_pipe(const struct tcb *tcb)
{
    uint32_t flight = tcb_flight(tcb);
    uint32_t gone;
    if (tcb_has(tcb, TCB_SACK) && tcb->extra != NULL) {
        gone = tcb->extra->sacked.total + lost_bytes(tcb);
    } else {
        gone = (uint32_t)tcb->dup_acks * tcb->mss;
        if (tcb->recovery == TCB_LOSS && tcb->extra != NULL) {
            gone = lost_bytes(tcb);
        }
    }
    return gone < flight ? flight - gone : 0;
}

/* Takes the SACK blocks. A block below SND.UNA is a DSACK (RFC 2883) and says nothing about gaps;
 * one beyond SND.NXT is nonsense. Returns whether there was news. */
bool recovery_sack(struct tcp *tcp, struct tcb *tcb, const struct wire_tcp *segment)
{
    if (!tcb_has(tcb, TCB_SACK) || segment->options.sack_count == 0 ||
        seq_lt(segment->ack, tcb->snd_una)) {
        return false;
    }
    bool has_news = false;
    for (unsigned i = 0; i < segment->options.sack_count; i++) {
        const struct wire_sack *block = &segment->options.sack[i];
        struct range range = {.start = block->start, .end = block->end};
        /* Distances, since an edge half the space away compares as if it lay in flight. */
        uint32_t from = seq_diff(tcb->snd_una, range.start);
        uint32_t to = seq_diff(tcb->snd_una, range.end);
        if (from >= to || to > tcb_flight(tcb) || seq_le(range.start, segment->ack) ||
            tcb_need_extra(tcp, tcb) == NULL) {
            continue;
        }
        has_news = ranges_add(&tcb->extra->sacked, range) == RANGES_ADDED || has_news;
    }
    return has_news;
}

static uint64_t now_us(const struct tcp *tcp)
{
    return tcp->now_ns / NS_PER_US;
}

/* RFC 3168 section 6.1.2: the peer learns of every reduction by CWR, whatever led to it, and its
 * echoes for this flight lead to no other. */
static void note_reduction(struct tcb *tcb, struct tcb_extra *extra)
{
    if (tcb_has(tcb, TCB_ECN)) {
        extra->ecn_point = tcb->snd_nxt;
        tcb->flags |= TCB_ECN_REDUCED;
    }
}

static void enter_fast(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra == NULL) {
        return; /* the time-out will do */
    }
    tcp_count(tcp, TCP_COUNTER_recoveries_fast);
    options_congestion(tcp, tcb)->on_loss(&tcb->congestion, &extra->congestion, tcb_flight(tcb),
                                          tcb->mss, now_us(tcp));
    tcb->recovery = TCB_FAST_RECOVERY;
    note_reduction(tcb, extra);
    extra->recovery_point = tcb->snd_nxt;
    extra->resend_nxt = tcb->snd_una;
    tcb->flags |= TCB_RESEND;
    output_want(tcp, tcb);
}

/* RFC 6582 section 3.2, step 2: without SACK, duplicates at the very point may be the echo of what
 * was sent again in vain. */
static bool is_past_recovery(const struct tcb *tcb)
{
    return tcb->extra == NULL || tcb_has(tcb, TCB_SACK) ||
           seq_gt(tcb->snd_una, tcb->extra->recovery_point);
}

void recovery_on_duplicate(struct tcp *tcp, struct tcb *tcb)
{
    tcb->dup_acks = (uint8_t)(tcb->dup_acks + (tcb->dup_acks < UINT8_MAX ? 1 : 0));
    bool sack_says_lost =
        tcb_has(tcb, TCB_SACK) && tcb->extra != NULL && seq_gt(lost_edge(tcb), tcb->snd_una);
    if (tcb->recovery == TCB_OPEN && is_past_recovery(tcb) &&
        (tcb->dup_acks >= TCP_DUP_ACKS || sack_says_lost)) {
        enter_fast(tcp, tcb);
    }
    output_want(tcp, tcb); /* RFC 3042: each duplicate lets a new segment go */
}

static void grow(struct tcp *tcp, struct tcb *tcb, uint32_t acked_bytes)
{
    uint32_t flight = tcb_flight(tcb);
    bool in_slow_start = tcb->congestion.cwnd < tcb->congestion.ssthresh;
    struct congestion_ack ack = {
        .now_us = now_us(tcp),
        .acked_bytes = acked_bytes,
        .mss = tcb->mss,
        .srtt_us = tcb->rtt.srtt_us,
        .cwnd_limited = in_slow_start ? 2u * flight >= tcb->congestion.cwnd
                                      : flight + tcb->mss >= tcb->congestion.cwnd,
    };
    options_congestion(tcp, tcb)->on_ack(&tcb->congestion,
                                         tcb->extra != NULL ? &tcb->extra->congestion : NULL, &ack);
}

/* RFC 6582 section 3.2 step 3, and RFC 6675 section 5: an ACK of a part means that the next gap is
 * lost too. */
static void on_partial_ack(struct tcb *tcb, uint32_t acked_bytes, uint32_t una)
{
    uint32_t segments = (acked_bytes + tcb->mss - 1u) / tcb->mss;
    tcb->dup_acks = tcb->dup_acks > segments ? (uint8_t)(tcb->dup_acks - segments) : 0;
    if (seq_le(tcb->extra->resend_nxt, una)) {
        tcb->extra->resend_nxt = una;
        tcb->flags |= TCB_RESEND;
    }
}

/* Keeps what SND.UNA has passed from lying ahead again 2^31 bytes later: no ACK covers more than
 * the half of POINT_AGE_MAX. */
static uint32_t age(uint32_t point, uint32_t una)
{
    return seq_max(point, una - POINT_AGE_MAX);
}

static void age_points(struct tcb_extra *extra, uint32_t una)
{
    extra->recovery_point = age(extra->recovery_point, una);
    extra->resend_nxt = age(extra->resend_nxt, una);
    extra->ecn_point = age(extra->ecn_point, una);
}

/* Called before SND.UNA moves by `acked_bytes`. */
void recovery_on_ack(struct tcp *tcp, struct tcb *tcb, uint32_t acked_bytes)
{
    uint32_t una = tcb->snd_una + acked_bytes;
    if (tcb->recovery != TCB_FAST_RECOVERY && tcb_has(tcb, TCB_SYN_ACKED)) {
        grow(tcp, tcb, acked_bytes);
    }
    if (tcb->extra == NULL || tcb->recovery == TCB_OPEN) {
        tcb->dup_acks = 0;
    }
    if (tcb->extra == NULL) {
        return;
    }
    ranges_trim(&tcb->extra->sacked, una);
    if (tcb->recovery != TCB_OPEN && seq_ge(una, tcb->extra->recovery_point)) {
        tcb->recovery = TCB_OPEN;
        tcb->dup_acks = 0;
    } else if (tcb->recovery == TCB_FAST_RECOVERY) {
        on_partial_ack(tcb, acked_bytes, una);
    }
    age_points(tcb->extra, una);
}

/* RFC 6298 section 5.4 and RFC 5681 section 3.1; RFC 2018 section 8: what was SACKed may have been
 * thrown away, so it counts for nothing now. */
void recovery_on_timeout(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    bool is_first = tcb->backoff == 0;
    options_congestion(tcp, tcb)->on_timeout(&tcb->congestion,
                                             extra != NULL ? &extra->congestion : NULL,
                                             tcb_flight(tcb), tcb->mss, is_first);
    tcb->dup_acks = 0;
    tcb->flags |= TCB_RESEND;
    if (extra != NULL) {
        tcb->recovery = TCB_LOSS;
        note_reduction(tcb, extra);
        extra->recovery_point = tcb->snd_nxt;
        extra->resend_nxt = tcb->snd_una;
        extra->sacked = (struct ranges){0};
    }
}

/* RFC 1191: what was too large goes again, smaller, and is no sign of congestion. */
void recovery_on_path_mtu(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra == NULL || tcb->snd_una == tcb->snd_nxt) {
        return;
    }
    tcb->recovery = TCB_LOSS;
    tcb->dup_acks = 0;
    extra->recovery_point = tcb->snd_nxt;
    extra->resend_nxt = tcb->snd_una;
    tcb->flags |= TCB_RESEND;
    output_want(tcp, tcb);
}

/* RFC 3168 section 6.1.2: as for a loss, once a round trip. */
void recovery_on_ecn(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra == NULL || tcb->recovery != TCB_OPEN || seq_lt(tcb->snd_una, extra->ecn_point)) {
        return;
    }
    tcp_count(tcp, TCP_COUNTER_ecn_reductions);
    options_congestion(tcp, tcb)->on_loss(&tcb->congestion, &extra->congestion, tcb_flight(tcb),
                                          tcb->mss, now_us(tcp));
    note_reduction(tcb, extra);
}
