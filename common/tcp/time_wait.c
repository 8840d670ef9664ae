/* TIME_WAIT: 32 bytes that answer for a connection that is over, for 2MSL from the last FIN (RFC
 * 9293 section 3.10.7.4 and 3.6.1, RFC 6191, RFC 1337). All records wait for the same time, so the
 * order in which they came is that in which they go. */
#include "tcp/tcb.h"

#define COMPACT_STEP 64u
/* Measured: prefetching saves 110 ns a record at ten million and costs 23 at a thousand. */
#define EXPIRE_PREFETCH_MIN 65536u
#define EXPIRE_PREFETCH_AHEAD 16u
/* How long after our last segment a timestamp is surely a newer one: as Linux's
 * tcp_tw_reuse_delay. */
#define REOPEN_AFTER_MS 1000

static struct time_wait *record_at(const struct tcp *tcp, uint32_t record)
{
    return slots_at(&tcp->time_wait, record);
}

static void send_ack(struct tcp *tcp, const struct time_wait *entry)
{
    bool has_timestamp = (entry->flags & TCB_TIMESTAMPS) != 0;
    reply_push(tcp, &(struct reply){
                        .tuple = entry->tuple,
                        .seq = entry->snd_nxt,
                        .ack = entry->rcv_nxt,
                        .ts_val = has_timestamp ? tcp_timestamp(tcp, &entry->tuple) : 0,
                        .ts_ecr = entry->ts_recent,
                        .window = entry->window,
                        .flags = WIRE_ACK,
                        .options = has_timestamp ? TCB_TIMESTAMPS : 0,
                    });
}

/* The ACK of the FIN that brought a live record here: the record will be gone before output asks.
 */
void time_wait_acknowledge(struct tcp *tcp, const struct tcb *tcb)
{
    bool has_timestamp = tcb_has(tcb, TCB_TIMESTAMPS);
    reply_push(
        tcp, &(struct reply){
                 .tuple = tcb->tuple,
                 .seq = tcb->snd_nxt,
                 .ack = tcb->rcv_nxt,
                 .ts_val = has_timestamp ? tcp_timestamp(tcp, &tcb->tuple) : 0,
                 .ts_ecr = tcb->ts_recent,
                 .window = (uint16_t)(seq_diff(tcb->rcv_nxt, tcb->rcv_edge) >> tcb_rcv_wscale(tcb)),
                 .flags = WIRE_ACK,
                 .options = has_timestamp ? TCB_TIMESTAMPS : 0,
                 .dscp = tcb->extra != NULL ? tcb->extra->dscp : 0,
                 .ttl = tcb->extra != NULL ? tcb->extra->ttl : 0,
             });
}

static void record_moved(void *context, uint32_t from, uint32_t to)
{
    struct tcp *tcp = context;
    const struct time_wait *entry = record_at(tcp, to);
    index_replace(&tcp->index, tcp_hash(tcp, &entry->tuple), index_ref(INDEX_TIME_WAIT, from),
                  index_ref(INDEX_TIME_WAIT, to));
}

static void compact(struct tcp *tcp)
{
    if (slots_wants_compaction(&tcp->time_wait)) {
        slots_compact(&tcp->time_wait, COMPACT_STEP, record_moved, tcp);
    }
}

void time_wait_release(struct tcp *tcp, uint32_t record)
{
    state_count(tcp, TCP_STATE_TIME_WAIT, TCP_STATE_CLOSED);
    slots_release(&tcp->time_wait, record);
    compact(tcp);
}

void time_wait_drop(struct tcp *tcp, uint32_t record)
{
    const struct time_wait *entry = record_at(tcp, record);
    index_remove(&tcp->index, tcp_hash(tcp, &entry->tuple), index_ref(INDEX_TIME_WAIT, record));
    time_wait_release(tcp, record);
}

/* Begins 2MSL anew: the record goes to the end of the line, at time_wait_max into the room that it
 * leaves itself. */
static void restart(struct tcp *tcp, uint32_t record, uint64_t hash)
{
    struct time_wait copy = *record_at(tcp, record);
    uint32_t fresh;
    slots_release(&tcp->time_wait, record);
    struct time_wait *entry = slots_append(&tcp->time_wait, &fresh);
    if (entry == NULL) {
        tcp_count(tcp, TCP_COUNTER_time_wait_overflow);
        index_remove(&tcp->index, hash, index_ref(INDEX_TIME_WAIT, record));
        state_count(tcp, TCP_STATE_TIME_WAIT, TCP_STATE_CLOSED);
        return;
    }
    *entry = copy;
    entry->expires_ms = tcp->now_ms + tcp->time_wait_ms + 1u;
    index_replace(&tcp->index, hash, index_ref(INDEX_TIME_WAIT, record),
                  index_ref(INDEX_TIME_WAIT, fresh));
    tcp_count(tcp, TCP_COUNTER_time_wait_restarted);
    compact(tcp);
}

static bool is_in_window(const struct time_wait *entry, uint32_t seq)
{
    uint32_t window = (uint32_t)entry->window << entry->wscale;
    return seq == entry->rcv_nxt || seq_diff(entry->rcv_nxt, seq) < window;
}

/* RFC 6191 section 2: a SYN opens anew when it is surely younger than the connection that is over,
 * by its timestamp, or by its sequence number. DEVIATION from MAY-2's second condition: a SYN that
 * turns out to be an old duplicate does not lead back to TIME_WAIT. By these rules it cannot be one
 * of the connection that is over, and nothing older lives as long as 2MSL. */
static bool is_newer_syn(const struct time_wait *entry, const struct wire_tcp *segment)
{
    if ((entry->flags & TCB_TIMESTAMPS) != 0 && segment->options.has_timestamp &&
        segment->options.ts_val != entry->ts_recent) {
        return seq_gt(segment->options.ts_val, entry->ts_recent);
    }
    return seq_gt(segment->seq, entry->rcv_nxt);
}

/* The new incarnation's ISS lies above the old one's SND.NXT, or old segments could pass for new
 * ones (RFC 9293 section 3.10.7.4, RFC 6528). */
static uint32_t isn_above(struct tcp *tcp, const struct tuple *tuple, uint32_t snd_nxt)
{
    uint32_t isn = tcp_isn(tcp, tuple);
    return seq_gt(isn, snd_nxt) ? isn : snd_nxt + UINT16_MAX + 2u;
}

/* Returns whether the SYN was taken. Where there is no room for it TIME_WAIT goes on. */
static bool reopen(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record)
{
    const struct time_wait *entry = record_at(tcp, record);
    uint16_t number;
    const struct listener *listener = listener_match(tcp, &arrival->tuple, &number);
    if (listener == NULL || listener_is_full(listener) || !is_newer_syn(entry, arrival->segment)) {
        return false;
    }
    uint32_t iss = isn_above(tcp, &arrival->tuple, entry->snd_nxt);
    if (!half_open_create(tcp, arrival, number, iss, index_ref(INDEX_TIME_WAIT, record))) {
        return false;
    }
    tcp_count(tcp, TCP_COUNTER_time_wait_reused);
    tcp_count(tcp, TCP_COUNTER_syns_received);
    return true;
}

static void input_reset(struct tcp *tcp, const struct wire_tcp *segment, uint32_t record)
{
    const struct time_wait *entry = record_at(tcp, record);
    if (segment->seq == entry->rcv_nxt && !tcp->config.rfc1337) {
        tcp_count(tcp, TCP_COUNTER_time_wait_reset);
        time_wait_drop(tcp, record);
    } else if (segment->seq != entry->rcv_nxt && is_in_window(entry, segment->seq) &&
               challenge_is_allowed(tcp)) {
        send_ack(tcp, entry);
    } else {
        tcp_count(tcp, TCP_COUNTER_resets_ignored);
    }
}

static uint32_t segment_end(const struct wire_tcp *segment)
{
    return segment->seq + segment->payload_bytes + ((segment->flags & WIRE_SYN) != 0 ? 1u : 0u) +
           ((segment->flags & WIRE_FIN) != 0 ? 1u : 0u);
}

/* First step. An old timestamp or a sequence number outside of the window is answered by an ACK. */
static bool is_acceptable(struct tcp *tcp, const struct time_wait *entry,
                          const struct wire_tcp *segment)
{
    bool is_old = (entry->flags & TCB_TIMESTAMPS) != 0 && segment->options.has_timestamp &&
                  seq_lt(segment->options.ts_val, entry->ts_recent);
    uint32_t end = segment_end(segment);
    bool is_inside =
        is_in_window(entry, segment->seq) || (end != segment->seq && is_in_window(entry, end - 1));
    if (is_old || !is_inside) {
        tcp_count(tcp, is_old ? TCP_COUNTER_segments_old_timestamp
                              : TCP_COUNTER_segments_outside_window);
    }
    return !is_old && is_inside;
}

static void answer(struct tcp *tcp, const struct time_wait *entry, const struct wire_tcp *segment)
{
    bool is_bare = segment_end(segment) == segment->seq || (segment->flags & WIRE_SYN) != 0;
    if (!is_bare || challenge_is_allowed(tcp)) {
        send_ack(tcp, entry);
    }
}

/* The one thing that should arrive: the peer's FIN again, since our ACK of it was lost. */
static bool is_fin_again(const struct time_wait *entry, const struct wire_tcp *segment)
{
    return (segment->flags & (WIRE_FIN | WIRE_SYN)) == WIRE_FIN &&
           segment_end(segment) == entry->rcv_nxt;
}

void time_wait_input(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record)
{
    const struct wire_tcp *segment = arrival->segment;
    const struct time_wait *entry = record_at(tcp, record);
    if (segment->flags & WIRE_RST) {
        input_reset(tcp, segment, record);
        return;
    }
    if ((segment->flags & (WIRE_SYN | WIRE_ACK)) == WIRE_SYN && reopen(tcp, arrival, record)) {
        return;
    }
    if ((entry->flags & TCB_TIMESTAMPS) != 0 && !segment->options.has_timestamp &&
        (segment->flags & WIRE_SYN) == 0) {
        tcp_count(tcp, TCP_COUNTER_segments_no_timestamp);
        return;
    }
    if (is_fin_again(entry, segment) && (segment->flags & WIRE_ACK) != 0) {
        send_ack(tcp, entry);
        restart(tcp, record, arrival->hash);
        return;
    }
    if (!is_acceptable(tcp, entry, segment) || (segment->flags & WIRE_SYN) != 0) {
        answer(tcp, entry, segment);
        return;
    }
    tcp_count(tcp, (segment->flags & WIRE_ACK) != 0 ? TCP_COUNTER_segments_ignored
                                                    : TCP_COUNTER_segments_no_ack);
}

/* What will expire after the next few: its bucket is asked for, where the table is larger than the
 * caches. */
static void prefetch_ahead(const struct tcp *tcp)
{
    if (tcp->time_wait.live_count > EXPIRE_PREFETCH_MIN) {
        slots_prefetch(&tcp->time_wait, 4u * EXPIRE_PREFETCH_AHEAD);
        const struct time_wait *entry = slots_ahead(&tcp->time_wait, EXPIRE_PREFETCH_AHEAD);
        if (entry != NULL) {
            index_prefetch(&tcp->index, tcp_hash(tcp, &entry->tuple));
        }
    }
}

void time_wait_expire(struct tcp *tcp)
{
    for (;;) {
        uint32_t record;
        const struct time_wait *entry = slots_oldest(&tcp->time_wait, &record);
        if (entry == NULL || seq_gt(entry->expires_ms, tcp->now_ms)) {
            return;
        }
        prefetch_ahead(tcp);
        time_wait_drop(tcp, record);
    }
}

uint64_t time_wait_deadline(const struct tcp *tcp)
{
    uint32_t record;
    const struct time_wait *entry = slots_oldest(&tcp->time_wait, &record);
    return entry == NULL ? CLOCK_NEVER : tcp_ns_of(tcp, entry->expires_ms);
}

bool time_wait_may_reopen(const struct tcp *tcp, const struct time_wait *record)
{
    uint32_t started_ms = record->expires_ms - tcp->time_wait_ms - 1u;
    return (record->flags & TCB_TIMESTAMPS) != 0 && tcp->config.timestamps &&
           (int32_t)(tcp->now_ms - started_ms) >= REOPEN_AFTER_MS;
}
