/* Text: steps six to eight of RFC 9293 section 3.10.7.4: the urgent pointer, the bytes, the FIN. */
#include "tcp/tcb.h"

/* RFC 9293 section 3.8.6.3 and RFC 5681 section 4.2: an ACK at least for every second segment
 * (SHLD-18, SHLD-19). */
#define ACKS_OWED_MAX 2u

/* RFC 7323 section 4.3, (2): only from a segment that covers the last ACK sent. One that is not
 * older came through PAWS, and so did one after 24 days, when older and newer look alike (5.5). */
void text_timestamp(const struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_TIMESTAMPS) && segment->options.has_timestamp &&
        seq_le(segment->seq, tcb->last_ack_sent)) {
        tcb->ts_recent = segment->options.ts_val;
        tcb->ts_recent_ms = tcp->now_ms;
    }
}

static bool takes_text(const struct tcb *tcb)
{
    return tcb->state == TCP_STATE_ESTABLISHED || tcb->state == TCP_STATE_FIN_WAIT_1 ||
           tcb->state == TCP_STATE_FIN_WAIT_2;
}

/* Sixth. The pointer names the byte behind the urgent data (MUST-62). */
void urgent_input(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if ((segment->flags & WIRE_URG) == 0 || !takes_text(tcb)) {
        return;
    }
    uint32_t pointer = segment->seq + segment->urgent;
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra == NULL || seq_le(pointer, tcb->rcv_nxt - tcb->rcv.count) ||
        (extra->rcv_urgent && seq_le(pointer, extra->rcv_up))) {
        return;
    }
    extra->rcv_up = pointer;
    extra->rcv_urgent = true;
    tcp_count(tcp, TCP_COUNTER_urgent_received);
    event_raise(tcp, tcb, TCP_URGENT); /* MUST-32 */
}

/* The part of a segment's bytes that is new and inside of the window. */
struct text {
    uint32_t seq;
    uint32_t count;
    const uint8_t *bytes;
    bool has_fin; /* the FIN lies directly behind these bytes */
};

static struct text trim(const struct tcb *tcb, const struct wire_tcp *segment)
{
    struct text text = {.seq = segment->seq,
                        .count = segment->payload_bytes,
                        .bytes = segment->payload,
                        .has_fin = (segment->flags & WIRE_FIN) != 0};
    if (seq_lt(text.seq, tcb->rcv_nxt)) {
        uint32_t old = seq_diff(text.seq, tcb->rcv_nxt);
        if (old > text.count) {
            return (struct text){.seq = tcb->rcv_nxt}; /* the FIN is old too */
        }
        text.seq += old;
        text.bytes += old;
        text.count -= old;
    }
    uint32_t room = seq_gt(tcb->rcv_edge, text.seq) ? seq_diff(text.seq, tcb->rcv_edge) : 0;
    if (text.count > room) {
        text.count = room;
        text.has_fin = false;
    }
    return text;
}

/* Stores bytes at their place. False: there is no memory, and the peer will send them again. */
static bool store(struct tcp *tcp, struct tcb *tcb, const struct text *text)
{
    uint32_t offset = tcb->rcv.count + seq_diff(tcb->rcv_nxt, text->seq);
    if (ring_reserve(&tcp->rings, &tcb->rcv, offset + text->count, tcb_receive_reach(tcb)) < 0) {
        tcp_count(tcp, TCP_COUNTER_memory_refused);
        return false;
    }
    ring_write_at(&tcb->rcv, offset, text->bytes, text->count);
    return true;
}

/* Forgets reported blocks that are in order by now. */
static void prune_recent(struct tcb_extra *extra, uint32_t rcv_nxt)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < extra->recent_count; i++) {
        if (seq_gt(extra->recent[i].end, rcv_nxt)) {
            extra->recent[kept++] = extra->recent[i];
        }
    }
    extra->recent_count = kept;
}

/* A gap is filled: what lies behind it is in order now. */
static void join(struct tcb *tcb)
{
    struct tcb_extra *extra = tcb->extra;
    if (extra == NULL || extra->received.count == 0) {
        return;
    }
    const struct range *first = &extra->received.items[0];
    while (extra->received.count > 0 && seq_le(first->start, tcb->rcv_nxt)) {
        if (seq_gt(first->end, tcb->rcv_nxt)) {
            uint32_t count = seq_diff(tcb->rcv_nxt, first->end);
            ring_extend(&tcb->rcv, count);
            tcb->rcv_nxt += count;
        }
        ranges_trim(&extra->received, tcb->rcv_nxt); /* the first is gone: the next may touch */
    }
    prune_recent(extra, tcb->rcv_nxt);
}

static void schedule_ack(struct tcp *tcp, struct tcb *tcb, bool at_once)
{
    tcb->acks_owed = (uint8_t)(tcb->acks_owed + (tcb->acks_owed < UINT8_MAX ? 1 : 0));
    if (at_once || tcb->acks_owed >= ACKS_OWED_MAX || tcb_has(tcb, TCB_QUICKACK) ||
        !tcp->config.delayed_ack) {
        output_ack(tcp, tcb);
    } else {
        timer_ack_start(tcp, tcb);
    }
}

static void receive_in_order(struct tcp *tcp, struct tcb *tcb, const struct text *text)
{
    if (!store(tcp, tcb, text)) {
        return;
    }
    bool had_gap = tcb->extra != NULL && tcb->extra->received.count > 0;
    ring_extend(&tcb->rcv, text->count);
    tcb->rcv_nxt += text->count;
    join(tcb);
    schedule_ack(tcp, tcb, had_gap); /* RFC 5681 section 4.2: at once when a gap was filled */
    event_raise(tcp, tcb, TCP_READABLE);
}

/* Keeps the newest block first (RFC 2018 section 4), as the merged block that holds it. */
static void note_recent(struct tcb_extra *extra, uint32_t seq)
{
    const struct range *merged = ranges_find(&extra->received, seq);
    if (merged == NULL) {
        return;
    }
    struct range list[WIRE_SACK_MAX] = {*merged};
    uint32_t count = 1;
    for (uint32_t i = 0; i < extra->recent_count && count < WIRE_SACK_MAX; i++) {
        const struct range *each = ranges_find(&extra->received, extra->recent[i].start);
        bool is_known = each == NULL;
        for (uint32_t k = 0; k < count && !is_known; k++) {
            is_known = list[k].start == each->start;
        }
        if (!is_known) {
            list[count++] = *each;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        extra->recent[i] = list[i];
    }
    extra->recent_count = count;
}

/* SHLD-31: kept, and told to the peer at once. */
static void receive_beyond_gap(struct tcp *tcp, struct tcb *tcb, const struct text *text)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    output_ack(tcp, tcb);
    if (extra == NULL) {
        return;
    }
    struct range range = {.start = text->seq, .end = text->seq + text->count};
    if (ranges_cover(&extra->received, range)) {
        tcp_count(tcp, TCP_COUNTER_duplicates);
        extra->duplicate = range;
    } else if (extra->received.count == RANGES_MAX || !store(tcp, tcb, text)) {
        tcp_count(tcp, TCP_COUNTER_out_of_order_refused);
    } else {
        tcp_count(tcp, TCP_COUNTER_out_of_order);
        (void)ranges_add(&extra->received, range);
        note_recent(extra, text->seq);
    }
}

/* RFC 2883 section 4: tells which bytes came twice. Bytes from before the SYN are another
 * incarnation's. */
void text_note_duplicate(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (segment->payload_bytes == 0 || seq_ge(segment->seq, tcb->rcv_nxt)) {
        return;
    }
    tcp_count(tcp, TCP_COUNTER_duplicates);
    if (tcb_has(tcb, TCB_SACK) && seq_gt(segment->seq, tcb->irs) &&
        tcb_need_extra(tcp, tcb) != NULL) {
        uint32_t end = segment->seq + segment->payload_bytes;
        tcb->extra->duplicate =
            (struct range){.start = segment->seq, .end = seq_min(end, tcb->rcv_nxt)};
    }
}

/* SHLD-3, RFC 2525 section 2.17: nobody will read these bytes, and the peer should know. */
static void refuse_after_close(struct tcp *tcp, struct tcb *tcb)
{
    tcp_count(tcp, TCP_COUNTER_data_after_close);
    reply_reset_of(tcp, tcb);
    tcb_finish(tcp, tcb, 0);
}

/* At once; or, made to send what Linux sends, with the FIN that is likely to follow. Outside of
 * ESTABLISHED nobody waits for a close. */
static void acknowledge_fin(struct tcp *tcp, struct tcb *tcb)
{
    if (tcp->config.fin_ack || tcb->state != TCP_STATE_ESTABLISHED) {
        output_ack(tcp, tcb);
    } else {
        timer_ack_start(tcp, tcb);
    }
}

/* Eighth: the FIN, once everything before it is here. Returns whether the record goes on. */
static bool fin_process(struct tcp *tcp, struct tcb *tcb)
{
    tcb->flags = (tcb->flags & ~(uint32_t)TCB_FIN_EARLY) | TCB_FIN_RECEIVED;
    tcb->rcv_nxt++;
    tcb->rcv_edge = seq_max(tcb->rcv_edge, tcb->rcv_nxt);
    acknowledge_fin(tcp, tcb);
    event_raise(tcp, tcb, TCP_READABLE | TCP_PEER_FIN);
    if (tcb->state == TCP_STATE_ESTABLISHED) {
        state_set(tcp, tcb, TCP_STATE_CLOSE_WAIT);
    } else if (tcb->state == TCP_STATE_FIN_WAIT_1) {
        state_set(tcp, tcb, TCP_STATE_CLOSING); /* our FIN is not acknowledged: step five saw */
    } else {
        tcb_enter_time_wait(tcp, tcb);
        return false;
    }
    return true;
}

static bool fin_check(struct tcp *tcp, struct tcb *tcb, const struct text *text)
{
    if (text->has_fin && seq_gt(text->seq + text->count, tcb->rcv_nxt)) {
        struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
        if (extra != NULL) {
            extra->fin_seq = text->seq + text->count;
            tcb->flags |= TCB_FIN_EARLY;
        }
        output_ack(tcp, tcb);
        return true;
    }
    bool is_next = text->has_fin && text->seq + text->count == tcb->rcv_nxt;
    if (tcb_has(tcb, TCB_FIN_EARLY) && tcb->extra->fin_seq == tcb->rcv_nxt) {
        is_next = true;
    }
    return is_next ? fin_process(tcp, tcb) : true;
}

/* Seventh and eighth. Returns whether the record goes on. */
bool text_input(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb)
{
    if (!takes_text(tcb)) {
        return true; /* the peer's FIN has come: there is nothing more */
    }
    struct text text = trim(tcb, segment);
    if (text.count > 0 && tcb_has(tcb, TCB_ORPHAN)) {
        refuse_after_close(tcp, tcb);
        return false;
    }
    if (text.count == 0 && segment->payload_bytes > 0) {
        text_note_duplicate(tcp, segment, tcb);
        output_ack(tcp, tcb);
    } else if (text.count > 0 && text.seq == tcb->rcv_nxt) {
        receive_in_order(tcp, tcb, &text);
    } else if (text.count > 0) {
        receive_beyond_gap(tcp, tcb, &text);
    }
    return fin_check(tcp, tcb, &text);
}
