/* Half-open: the SYN cache, and the cookies that stand in for it (RFC 4987). A SYN costs 48 bytes
 * until the handshake is complete; a full cache costs nothing more. */
#include "tcp/tcb.h"

/* Beside TCB_TIMESTAMPS to TCB_ECN in a record's flags: nobody knows which SYN-ACK will be
 * answered, or when it was sent. */
#define UNTIMED 0x80u

/* SYN-ACKs are sent again into half of the queue of replies at most: the other half is for what is
 * sent the first time, in answer to what comes in before the next output. */
#define RESENDS_MAX (TCP_REPLIES_MAX / 2)

static struct half_open *record_at(const struct tcp *tcp, uint32_t record)
{
    return pool_at(&tcp->half_open, record);
}

static void list_append(struct tcp *tcp, struct half_open *entry, uint32_t record)
{
    struct half_open_list *list = &tcp->half_open_levels[entry->retries];
    entry->deadline_ms = tcp->now_ms + tcp->synack_delay_ms[entry->retries] + 1u;
    entry->next = TCP_NO_RECORD;
    entry->prev = list->last;
    if (list->last == TCP_NO_RECORD) {
        list->first = record;
    } else {
        record_at(tcp, list->last)->next = record;
    }
    list->last = record;
}

static void list_remove(struct tcp *tcp, const struct half_open *entry)
{
    struct half_open_list *list = &tcp->half_open_levels[entry->retries];
    if (entry->prev == TCP_NO_RECORD) {
        list->first = entry->next;
    } else {
        record_at(tcp, entry->prev)->next = entry->next;
    }
    if (entry->next == TCP_NO_RECORD) {
        list->last = entry->prev;
    } else {
        record_at(tcp, entry->next)->prev = entry->prev;
    }
}

/* The window of a SYN or SYN-ACK is never scaled (RFC 7323 section 2.2). */
static uint16_t syn_window(uint32_t receive_bytes)
{
    return receive_bytes > UINT16_MAX ? UINT16_MAX : (uint16_t)receive_bytes;
}

static uint32_t receive_bytes_of(const struct tcp *tcp, uint16_t listener)
{
    uint32_t own = tcp->listeners[listener].options.receive_buffer_bytes;
    return own != 0 ? own : tcp->config.receive_buffer_bytes;
}

static uint16_t mss_of(const struct tcp *tcp, uint16_t listener)
{
    uint16_t limit = tcp->listeners[listener].options.mss;
    uint16_t mss = options_mss(tcp, NULL);
    return limit != 0 && limit < mss ? limit : mss;
}

static void send_synack(struct tcp *tcp, const struct half_open *entry, uint32_t ts_val)
{
    uint32_t receive_bytes = receive_bytes_of(tcp, entry->listener);
    reply_push(tcp, &(struct reply){
                        .tuple = entry->tuple,
                        .seq = entry->iss,
                        .ack = entry->irs + 1,
                        .ts_val = ts_val,
                        .ts_ecr = entry->ts_recent,
                        .window = syn_window(receive_bytes),
                        .mss = mss_of(tcp, entry->listener),
                        .flags = WIRE_SYN | WIRE_ACK | (entry->flags & TCB_ECN ? WIRE_ECE : 0),
                        .options = entry->flags,
                        .wscale = options_wscale(tcp, receive_bytes),
                        .dscp = entry->dscp,
                        .ttl = tcp->listeners[entry->listener].options.ttl,
                    });
}

/* What is agreed on: what the SYN asks for and we have. RFC 3168 section 6.1.1: ECE and CWR
 * together in the SYN ask for ECN. */
static void fill_entry(struct tcp *tcp, struct half_open *entry, const struct tcp_arrival *arrival,
                       uint16_t listener)
{
    const struct wire_tcp *segment = arrival->segment;
    const struct wire_tcp_options *options = &segment->options;
    uint8_t ecn = WIRE_ECE | WIRE_CWR;
    unsigned flags = 0;
    flags |= tcp->config.timestamps && options->has_timestamp ? TCB_TIMESTAMPS : 0u;
    flags |= tcp->config.sack && options->sack_permitted ? TCB_SACK : 0u;
    flags |= tcp->config.window_scaling && options->has_wscale ? TCB_WINDOW_SCALING : 0u;
    flags |= (segment->flags & ecn) == ecn ? TCB_ECN : 0u;
    *entry = (struct half_open){
        .tuple = arrival->tuple,
        .irs = segment->seq,
        .ts_recent = options->ts_val,
        .mss = options->mss,
        .window = segment->window,
        .listener = listener,
        .wscale = options->wscale,
        .flags = (uint8_t)flags,
        .dscp = tcp->listeners[listener].options.dscp,
    };
}

static struct cookie_syn cookie_of(const struct half_open *entry)
{
    return (struct cookie_syn){.irs = entry->irs,
                               .mss = entry->mss == 0 ? TCP_MSS_DEFAULT : entry->mss,
                               .wscale = entry->wscale,
                               .has_wscale = (entry->flags & TCB_WINDOW_SCALING) != 0,
                               .sack_permitted = (entry->flags & TCB_SACK) != 0,
                               .ecn = (entry->flags & TCB_ECN) != 0,
                               .has_timestamp = (entry->flags & TCB_TIMESTAMPS) != 0};
}

/* Answers a SYN and forgets it. Without timestamps the other options have nowhere to travel, so
 * none is agreed on. */
static void send_cookie(struct tcp *tcp, struct half_open *entry)
{
    struct cookie_syn syn = cookie_of(entry);
    uint32_t ts_val = 0;
    entry->iss = cookie_make(&tcp->cookie_key, &entry->tuple, &syn, tcp->now_ns);
    if (syn.has_timestamp) {
        ts_val = cookie_timestamp_make(tcp_timestamp(tcp, &entry->tuple), &syn);
    } else {
        entry->flags = 0;
    }
    tcp_count(tcp, TCP_COUNTER_cookies_sent);
    send_synack(tcp, entry, ts_val);
}

/* Enters a record in the index, in the place of the one in TIME_WAIT where there is one. */
static bool enter_index(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record,
                        uint32_t former)
{
    uint32_t ref = index_ref(INDEX_HALF_OPEN, record);
    if (former != INDEX_NONE) {
        index_replace(&tcp->index, arrival->hash, former, ref);
        time_wait_release(tcp, index_ref_record(former));
        return true;
    }
    if (index_insert(&tcp->index, arrival->hash, ref) < 0) {
        tcp_count(tcp, TCP_COUNTER_memory_refused);
        pool_release(&tcp->half_open, record);
        return false;
    }
    return true;
}

/* There is no room for a record, or none is wanted. Without a cookie the SYN might never have come:
 * a former connection stays in TIME_WAIT. */
static bool create_without_record(struct tcp *tcp, struct half_open *fresh, uint32_t former)
{
    if (tcp->config.syn_cookies == TCP_COOKIES_OFF) {
        tcp_count(tcp, TCP_COUNTER_syns_dropped_cache_full);
        return false;
    }
    if (former != INDEX_NONE) {
        time_wait_drop(tcp, index_ref_record(former));
    }
    send_cookie(tcp, fresh);
    return true;
}

bool half_open_create(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t listener,
                      uint32_t iss, uint32_t former)
{
    struct half_open fresh;
    fill_entry(tcp, &fresh, arrival, listener);
    uint32_t record;
    struct half_open *entry = NULL;
    if (tcp->config.syn_cookies != TCP_COOKIES_ALWAYS) {
        entry = pool_alloc(&tcp->half_open, &record);
    }
    if (entry == NULL) {
        return create_without_record(tcp, &fresh, former);
    }
    *entry = fresh;
    entry->iss = iss;
    if (!enter_index(tcp, arrival, record, former)) {
        return false;
    }
    state_count(tcp, TCP_STATE_LISTEN, TCP_STATE_SYN_RECEIVED);
    list_append(tcp, entry, record);
    send_synack(tcp, entry, tcp_timestamp(tcp, &entry->tuple));
    return true;
}

/* Frees the record only; the index entry is the caller's. */
static void release(struct tcp *tcp, uint32_t record)
{
    list_remove(tcp, record_at(tcp, record));
    pool_release(&tcp->half_open, record);
}

/* Figure 5, note 1: a reset leads back to LISTEN; anything else is an abort. */
void half_open_drop(struct tcp *tcp, uint32_t record, enum tcp_state to)
{
    const struct half_open *entry = record_at(tcp, record);
    index_remove(&tcp->index, tcp_hash(tcp, &entry->tuple), index_ref(INDEX_HALF_OPEN, record));
    state_count(tcp, TCP_STATE_SYN_RECEIVED, to);
    release(tcp, record);
}

bool half_open_is_answered_by(const struct tcp *tcp, uint32_t record, uint32_t seq)
{
    return record_at(tcp, record)->iss == seq;
}

void half_open_drop_listener(struct tcp *tcp, uint16_t listener)
{
    uint32_t record = 0;
    const struct half_open *entry;
    while ((entry = pool_next(&tcp->half_open, &record)) != NULL) {
        if (entry->listener == listener) {
            half_open_drop(tcp, record - 1, TCP_STATE_CLOSED);
        }
    }
}

static void resend(struct tcp *tcp, uint32_t record)
{
    struct half_open *entry = record_at(tcp, record);
    if (entry->retries >= tcp->config.syn_ack_retries) {
        tcp_count(tcp, TCP_COUNTER_half_open_expired);
        half_open_drop(tcp, record, TCP_STATE_CLOSED);
        return;
    }
    list_remove(tcp, entry);
    entry->retries++;
    list_append(tcp, entry, record);
    tcp_count(tcp, TCP_COUNTER_segments_resent);
    send_synack(tcp, entry, tcp_timestamp(tcp, &entry->tuple));
}

/* The record that is due first, of those that begin a list; TCP_NO_RECORD: there is none. */
static uint32_t due_first(const struct tcp *tcp)
{
    uint32_t first = TCP_NO_RECORD;
    for (unsigned level = 0; level < TCP_SYN_LEVELS; level++) {
        uint32_t record = tcp->half_open_levels[level].first;
        if (record != TCP_NO_RECORD &&
            (first == TCP_NO_RECORD ||
             seq_lt(record_at(tcp, record)->deadline_ms, record_at(tcp, first)->deadline_ms))) {
            first = record;
        }
    }
    return first;
}

/* After a turn that came late more may be due than the queue of replies holds. What finds no room
 * waits without a retry counted; the longest overdue goes first, so that none waits for ever. */
void half_open_expire(struct tcp *tcp)
{
    uint32_t record;
    tcp->half_open_waits = false;
    while ((record = due_first(tcp)) != TCP_NO_RECORD &&
           seq_le(record_at(tcp, record)->deadline_ms, tcp->now_ms)) {
        if (tcp->reply_count >= RESENDS_MAX) {
            tcp->half_open_waits = true;
            return;
        }
        resend(tcp, record);
    }
}

uint64_t half_open_deadline(const struct tcp *tcp)
{
    uint32_t record = due_first(tcp);
    return record == TCP_NO_RECORD ? CLOCK_NEVER
                                   : tcp_ns_of(tcp, record_at(tcp, record)->deadline_ms);
}

/* The SYN-ACK's window as later segments put it: rounded up, or the right edge would shrink. */
static uint16_t scaled_window(const struct tcp *tcp, const struct half_open *entry)
{
    uint32_t receive_bytes = receive_bytes_of(tcp, entry->listener);
    uint8_t scale = entry->flags & TCB_WINDOW_SCALING ? options_wscale(tcp, receive_bytes) : 0;
    return (uint16_t)((syn_window(receive_bytes) + (1u << scale) - 1u) >> scale);
}

/* RFC 6298 2.2: the SYN-ACK's round trip is the first sample, unless it was sent twice. With
 * timestamps the ACK says as much itself. */
static void time_synack(const struct tcp *tcp, const struct half_open *entry, struct tcb *tcb)
{
    bool is_known = entry->retries == 0 && (entry->flags & (UNTIMED | TCB_TIMESTAMPS)) == 0;
    if (is_known) {
        uint32_t sent_ms = entry->deadline_ms - tcp->synack_delay_ms[0] - 1u;
        tcb->flags |= TCB_RTT_TIMED;
        tcb->rtt_seq = entry->iss;
        tcb->rtt_at_us = (uint32_t)(tcp->now_ns / NS_PER_US) - (tcp->now_ms - sent_ms) * 1000u;
    }
}

/* Makes the live record of a handshake whose last ACK is here, as it stood before that ACK: the
 * steps of section 3.10.7.4 do the rest, as they do for a simultaneous open. */
static struct tcb *promote(struct tcp *tcp, const struct half_open *entry)
{
    struct tcb *tcb = tcb_create(tcp, &entry->tuple);
    if (tcb == NULL) {
        tcp_count(tcp, TCP_COUNTER_live_full);
        return NULL;
    }
    tcb->listener = entry->listener;
    tcb->snd_una = entry->iss;
    if (options_apply(tcp, tcb, &tcp->listeners[entry->listener].options) < 0) {
        tcb->flags |= TCB_ORPHAN;
        tcb_release(tcp, tcb);
        return NULL;
    }
    struct wire_tcp_options agreed = {
        .mss = entry->mss,
        .sack_permitted = (entry->flags & TCB_SACK) != 0,
        .has_wscale = (entry->flags & TCB_WINDOW_SCALING) != 0,
        .has_timestamp = (entry->flags & TCB_TIMESTAMPS) != 0,
        .wscale = entry->wscale,
        .ts_val = entry->ts_recent,
    };
    handshake_options(tcp, tcb, &agreed);
    tcb->flags |= TCB_SYN_SENT | (entry->flags & TCB_ECN);
    tcb->flags |= entry->retries > 0 ? TCB_SYN_LOST : 0u;
    tcb->flags |= entry->retries > 1 ? TCB_SYN_LOST_TWICE : 0u;
    tcb->snd_nxt = entry->iss + 1;
    tcb->irs = entry->irs;
    tcb->rcv_nxt = entry->irs + 1;
    tcb->rcv_edge = tcb->rcv_nxt + ((uint32_t)scaled_window(tcp, entry) << tcb_rcv_wscale(tcb));
    tcb->last_ack_sent = tcb_has(tcb, TCB_TIMESTAMPS) ? tcb->rcv_nxt : tcb->last_ack_sent;
    tcb->snd_wnd = tcb->snd_wnd_max = entry->window;
    tcb->snd_wl1 = entry->irs;
    time_synack(tcp, entry, tcb);
    return tcb;
}

static void complete(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb)
{
    state_adopt(tcb, TCP_STATE_SYN_RECEIVED);
    tcb->flags |= TCB_ON_WIRE;
    tcp_count(tcp, TCP_COUNTER_opens_passive);
    listener_enqueue(tcp, tcb);
    synchronized_input(tcp, arrival, tcb);
}

/* Step 1 of section 3.10.7.4 for a record whose window has not moved yet. */
static bool is_in_window(const struct tcp *tcp, const struct half_open *entry, uint32_t seq)
{
    return seq_diff(entry->irs + 1, seq) < syn_window(receive_bytes_of(tcp, entry->listener));
}

/* The ACK for a segment that is not acceptable: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. */
static void send_ack(struct tcp *tcp, const struct half_open *entry)
{
    reply_push(tcp, &(struct reply){.tuple = entry->tuple,
                                    .seq = entry->iss + 1,
                                    .ack = entry->irs + 1,
                                    .ts_val = tcp_timestamp(tcp, &entry->tuple),
                                    .ts_ecr = entry->ts_recent,
                                    .window = scaled_window(tcp, entry),
                                    .flags = WIRE_ACK,
                                    .options = entry->flags & TCB_TIMESTAMPS,
                                    .dscp = entry->dscp,
                                    .ttl = tcp->listeners[entry->listener].options.ttl});
}

/* A connection that a reset leaves is back in LISTEN: its record goes. */
static void input_reset(struct tcp *tcp, const struct half_open *entry, uint32_t record,
                        uint32_t seq)
{
    if (seq == entry->irs + 1) {
        tcp_count(tcp, TCP_COUNTER_resets_received);
        half_open_drop(tcp, record, TCP_STATE_LISTEN);
    } else if (is_in_window(tcp, entry, seq) && challenge_is_allowed(tcp)) {
        send_ack(tcp, entry);
    } else {
        tcp_count(tcp, TCP_COUNTER_resets_ignored);
    }
}

/* Tells whether the segment may go on to step 2; answers it where it may not. */
static bool check_sequence(struct tcp *tcp, const struct tcp_arrival *arrival,
                           struct half_open *entry)
{
    const struct wire_tcp *segment = arrival->segment;
    uint32_t length = segment->payload_bytes + ((segment->flags & WIRE_FIN) != 0 ? 1u : 0u);
    bool is_old = (entry->flags & TCB_TIMESTAMPS) != 0 && segment->options.has_timestamp &&
                  seq_lt(segment->options.ts_val, entry->ts_recent);
    bool starts_inside = is_in_window(tcp, entry, segment->seq);
    bool ends_inside = length > 0 && is_in_window(tcp, entry, segment->seq + length - 1);
    if (!is_old && (starts_inside || ends_inside)) {
        return true;
    }
    tcp_count(tcp,
              is_old ? TCP_COUNTER_segments_old_timestamp : TCP_COUNTER_segments_outside_window);
    if (segment->seq == entry->irs && (segment->flags & (WIRE_SYN | WIRE_ACK)) == WIRE_SYN) {
        /* The same SYN again: our SYN-ACK was lost or is late. If it asks for ECN no more, the
         * first may have been dropped for that (RFC 3168 section 6.1.1.1). */
        if ((segment->flags & (WIRE_ECE | WIRE_CWR)) == 0) {
            entry->flags &= (uint8_t)~TCB_ECN;
        }
        entry->flags |= UNTIMED;
        send_synack(tcp, entry, tcp_timestamp(tcp, &entry->tuple));
    } else if (length > 0 || bare_is_answered(tcp, &entry->answered)) {
        send_ack(tcp, entry);
    }
    return false;
}

/* What the cookie and the ACK tell of the SYN that was forgotten. DEVIATION from RFC 3168 section
 * 6.1.1: when copies of a SYN asked for ECN and for none, only the answer that was taken up counts;
 * of the others nothing is remembered. */
static bool read_cookie(struct tcp *tcp, const struct tcp_arrival *arrival, struct half_open *entry)
{
    const struct wire_tcp *segment = arrival->segment;
    const struct wire_tcp_options *options = &segment->options;
    struct cookie_syn syn = {.irs = segment->seq - 1};
    if (!cookie_check(&tcp->cookie_key, &arrival->tuple, segment->ack - 1, &syn, tcp->now_ns)) {
        return false;
    }
    bool has_timestamp = tcp->config.timestamps && options->has_timestamp;
    if (has_timestamp && !cookie_timestamp_read(options->ts_ecr, &syn)) {
        return false;
    }
    unsigned flags = has_timestamp ? TCB_TIMESTAMPS : 0u;
    flags |= tcp->config.sack && syn.sack_permitted ? TCB_SACK : 0u;
    flags |= tcp->config.window_scaling && syn.has_wscale ? TCB_WINDOW_SCALING : 0u;
    flags |= syn.ecn ? TCB_ECN : 0u;
    entry->tuple = arrival->tuple;
    entry->irs = syn.irs;
    entry->iss = segment->ack - 1;
    entry->ts_recent = options->ts_val;
    entry->mss = syn.mss;
    entry->window = segment->window;
    entry->wscale = syn.wscale;
    entry->flags = (uint8_t)(flags | UNTIMED);
    return true;
}

/* A SYN may be answered by a cookie, come again while there is room for a record, and the first
 * answer be taken up: the record is not the connection's. Tells whether the ACK is such a one. */
static bool input_cookie(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record)
{
    uint16_t listener = record_at(tcp, record)->listener;
    struct half_open entry = {.listener = listener};
    if (tcp->config.syn_cookies == TCP_COOKIES_OFF || !read_cookie(tcp, arrival, &entry)) {
        return false;
    }
    if (listener_is_full(&tcp->listeners[listener])) {
        tcp_count(tcp, TCP_COUNTER_accepts_deferred_backlog);
        return true;
    }
    half_open_drop(tcp, record, TCP_STATE_LISTEN);
    return half_open_cookie(tcp, arrival, listener);
}

static void input_ack(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record)
{
    const struct half_open *entry = record_at(tcp, record);
    if (arrival->segment->ack != entry->iss + 1) {
        if (!input_cookie(tcp, arrival, record)) {
            tcp_count(tcp, TCP_COUNTER_segments_bad_ack);
            reply_reset(tcp, arrival);
        }
        return;
    }
    if (listener_is_full(&tcp->listeners[entry->listener])) {
        tcp_count(tcp, TCP_COUNTER_accepts_deferred_backlog);
        return;
    }
    struct tcb *tcb = promote(tcp, entry);
    if (tcb == NULL) {
        return;
    }
    index_replace(&tcp->index, arrival->hash, index_ref(INDEX_HALF_OPEN, record),
                  index_ref(INDEX_LIVE, tcb->index));
    release(tcp, record);
    complete(tcp, arrival, tcb);
}

void half_open_input(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record)
{
    struct half_open *entry = record_at(tcp, record);
    const struct wire_tcp *segment = arrival->segment;
    if (segment->flags & WIRE_RST) {
        input_reset(tcp, entry, record, segment->seq);
        return;
    }
    /* RFC 7323 section 3.2; a SYN sent again may have left its options behind. */
    bool owes_timestamp = (entry->flags & TCB_TIMESTAMPS) != 0 && (segment->flags & WIRE_SYN) == 0;
    if (owes_timestamp && !segment->options.has_timestamp) {
        tcp_count(tcp, TCP_COUNTER_segments_no_timestamp);
        return;
    }
    if (!check_sequence(tcp, arrival, entry)) {
        return;
    }
    if (segment->flags & WIRE_SYN) {
        /* Fourth: a passive open returns to LISTEN. */
        half_open_drop(tcp, record, TCP_STATE_LISTEN);
        return;
    }
    if ((segment->flags & WIRE_ACK) == 0) {
        tcp_count(tcp, TCP_COUNTER_segments_no_ack);
        return;
    }
    input_ack(tcp, arrival, record);
}

bool half_open_cookie(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t listener)
{
    if (tcp->config.syn_cookies == TCP_COOKIES_OFF) {
        return false;
    }
    struct half_open entry = {.listener = listener};
    if (!read_cookie(tcp, arrival, &entry)) {
        tcp_count(tcp, TCP_COUNTER_cookies_refused);
        return false;
    }
    if (listener_is_full(&tcp->listeners[listener])) {
        tcp_count(tcp, TCP_COUNTER_accepts_deferred_backlog);
        return true;
    }
    struct tcb *tcb = promote(tcp, &entry);
    if (tcb == NULL) {
        return true;
    }
    if (index_insert(&tcp->index, arrival->hash, index_ref(INDEX_LIVE, tcb->index)) < 0) {
        tcp_count(tcp, TCP_COUNTER_memory_refused);
        tcb->flags |= TCB_ORPHAN;
        tcb_release(tcp, tcb);
        return true;
    }
    tcp_count(tcp, TCP_COUNTER_cookies_accepted);
    state_count(tcp, TCP_STATE_LISTEN, TCP_STATE_SYN_RECEIVED);
    complete(tcp, arrival, tcb);
    return true;
}
