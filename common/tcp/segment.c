/* Segment: what all segments of a live record have in common: addresses, ACK, window, options, ECN,
 * the urgent pointer; and what is settled by sending one. */
#include "tcp/tcb.h"

/* Silly windows (RFC 9293 section 3.8.6.2.2): the right edge moves by half of the buffer or a full
 * segment, or stays. */
static uint32_t window_to_offer(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t limit = options_receive_limit(tcp, tcb);
    uint32_t now = seq_diff(tcb->rcv_nxt, tcb->rcv_edge);
    uint32_t room = limit > tcb->rcv.count ? limit - tcb->rcv.count : 0;
    uint32_t step = limit / 2 < tcb->mss ? limit / 2 : tcb->mss;
    return room >= now + step ? room : now;
}

/* How far a window update would move the edge; 0 when it is not worth a segment of its own. */
uint32_t segment_window_update(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t limit = options_receive_limit(tcp, tcb);
    uint32_t now = seq_diff(tcb->rcv_nxt, tcb->rcv_edge);
    uint32_t offer = window_to_offer(tcp, tcb);
    uint32_t worth = limit / 2 < 2u * tcb->mss ? limit / 2 : 2u * tcb->mss;
    bool is_tight = now < tcb->mss;
    return offer > now && (offer - now >= worth || is_tight) ? offer - now : 0;
}

/* Moves the right edge and gives the field. The edge never goes back (SHLD-14): where scaling would
 * round it down below what was offered, it rounds up. */
static uint16_t take_window(const struct tcp *tcp, struct tcb *tcb)
{
    uint8_t scale = tcb_rcv_wscale(tcb);
    uint32_t now = seq_diff(tcb->rcv_nxt, tcb->rcv_edge);
    uint32_t field = window_to_offer(tcp, tcb) >> scale;
    if (field << scale < now) {
        field = (now + (1u << scale) - 1u) >> scale;
    }
    field = field > UINT16_MAX ? UINT16_MAX : field;
    tcb->rcv_edge = seq_max(tcb->rcv_edge, tcb->rcv_nxt + (field << scale));
    return (uint16_t)field;
}

/* The window in a SYN counts bytes, whatever scale is asked for. */
static uint16_t syn_window(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t limit = options_receive_limit(tcp, tcb);
    return limit > UINT16_MAX ? UINT16_MAX : (uint16_t)limit;
}

static void add_timestamp(const struct tcp *tcp, const struct tcb *tcb,
                          struct wire_tcp_options *options)
{
    options->has_timestamp = true;
    options->ts_val = tcp_timestamp(tcp, &tcb->tuple);
    options->ts_ecr = tcb->ts_recent;
}

static struct wire_tcp_options syn_options(const struct tcp *tcp, const struct tcb *tcb)
{
    const struct tcp_config *config = &tcp->config;
    bool answers = tcb->state != TCP_STATE_SYN_SENT;
    struct wire_tcp_options options = {
        .mss = options_mss(tcp, tcb),
        .sack_permitted = answers ? tcb_has(tcb, TCB_SACK) : config->sack,
        .has_wscale = answers ? tcb_has(tcb, TCB_WINDOW_SCALING) : config->window_scaling,
        .wscale = options_wscale(tcp, options_receive_limit(tcp, tcb)),
    };
    if (answers ? tcb_has(tcb, TCB_TIMESTAMPS) : config->timestamps) {
        add_timestamp(tcp, tcb, &options);
    }
    return options;
}

/* RFC 2018, RFC 2883: a duplicate first, then the newest blocks; three fit beside timestamps. */
static void add_sack(const struct tcb *tcb, struct wire_tcp_options *options)
{
    const struct tcb_extra *extra = tcb->extra;
    if (!tcb_has(tcb, TCB_SACK) || extra == NULL) {
        return;
    }
    uint8_t max = tcb_has(tcb, TCB_TIMESTAMPS) ? WIRE_SACK_MAX - 1 : WIRE_SACK_MAX;
    if (extra->duplicate.start != extra->duplicate.end) {
        options->sack[options->sack_count++] =
            (struct wire_sack){.start = extra->duplicate.start, .end = extra->duplicate.end};
    }
    for (uint32_t i = 0; i < extra->recent_count && options->sack_count < max; i++) {
        options->sack[options->sack_count++] =
            (struct wire_sack){.start = extra->recent[i].start, .end = extra->recent[i].end};
    }
}

static uint32_t sack_bytes(const struct tcb *tcb)
{
    struct wire_tcp_options options = {.sack_count = 0};
    add_sack(tcb, &options);
    return wire_tcp_options_bytes(&options);
}

/* MUST-16: options come off the MSS (RFC 6691). */
uint32_t segment_payload_max(const struct tcb *tcb)
{
    uint32_t options = tcb_has(tcb, TCB_TIMESTAMPS) ? 12u : 0u;
    if (tcb->extra != NULL) {
        options += sack_bytes(tcb);
    }
    return tcb->mss > options + 1u ? tcb->mss - options : 1u;
}

static void add_urgent(struct tcb *tcb, uint32_t seq, struct wire_tcp *segment)
{
    struct tcb_extra *extra = tcb->extra;
    if (extra == NULL || !extra->snd_urgent) {
        return;
    }
    if (seq_ge(tcb->snd_una, extra->snd_up)) {
        extra->snd_urgent = false;
        return;
    }
    if (seq_gt(extra->snd_up, seq)) {
        uint32_t ahead = seq_diff(seq, extra->snd_up);
        segment->flags |= WIRE_URG;
        segment->urgent = ahead > UINT16_MAX ? UINT16_MAX : (uint16_t)ahead;
    }
}

/* RFC 3168: ECT only on new data (section 6.1.5 forbids it on retransmissions, 6.1.4 on bare ACKs),
 * ECE until the peer's CWR, CWR once after a reduction. */
static enum wire_ecn add_ecn(struct tcb *tcb, const struct segment_plan *plan,
                             struct wire_tcp *segment)
{
    if (!tcb_has(tcb, TCB_ECN) || (plan->flags & WIRE_SYN) != 0) {
        return WIRE_ECN_NOT;
    }
    if (tcb_has(tcb, TCB_ECN_ECHO)) {
        segment->flags |= WIRE_ECE;
    }
    if (!plan->is_new || plan->payload_bytes == 0 || tcb_has(tcb, TCB_NO_ECT)) {
        return WIRE_ECN_NOT;
    }
    if (tcb_has(tcb, TCB_ECN_REDUCED)) {
        segment->flags |= WIRE_CWR;
        tcb->flags &= ~(uint32_t)TCB_ECN_REDUCED;
    }
    return WIRE_ECN_ECT0;
}

/* An ACK goes out: none is owed any more. */
static void settle_ack(struct tcb *tcb)
{
    tcb->flags &= ~(uint32_t)(TCB_ACK_NOW | TCB_ACK_DELAYED);
    tcb->timers &= (uint8_t)~TCB_TIMER_ACK;
    tcb->acks_owed = 0;
    if (tcb_has(tcb, TCB_TIMESTAMPS)) {
        tcb->last_ack_sent = tcb->rcv_nxt;
    }
    if (tcb->extra != NULL) {
        tcb->extra->duplicate = (struct range){0};
    }
}

static struct wire_ipv4 ip_header(struct tcp *tcp, const struct tcb *tcb, enum wire_ecn ecn)
{
    const struct tcb_extra *extra = tcb->extra;
    return (struct wire_ipv4){
        .source = tcb->tuple.local_ip,
        .target = tcb->tuple.remote_ip,
        .protocol = WIRE_PROTO_TCP,
        .ttl = extra != NULL && extra->ttl != 0 ? extra->ttl : tcp->config.ttl,
        .dscp = extra != NULL ? extra->dscp : 0,
        .ecn = ecn,
        .dont_fragment = tcp->config.path_mtu,
        .id = tcp->config.path_mtu ? 0 : tcp->ip_id++, /* RFC 6864 section 4.1 */
    };
}

static struct wire_payload payload_of(const struct tcb *tcb, const struct segment_plan *plan)
{
    if (plan->payload_bytes == 0) {
        return (struct wire_payload){0};
    }
    struct ring_view view =
        ring_view(&tcb->snd, seq_diff(tcb_snd_first(tcb), plan->seq), plan->payload_bytes);
    return (struct wire_payload){.first = view.first,
                                 .second = view.second,
                                 .first_bytes = view.first_bytes,
                                 .second_bytes = view.second_bytes};
}

uint32_t segment_emit(struct tcp *tcp, struct tcb *tcb, const struct segment_plan *plan,
                      uint8_t *packet)
{
    struct wire_tcp segment = {
        .source_port = tcb->tuple.local_port,
        .target_port = tcb->tuple.remote_port,
        .seq = plan->seq,
        .flags = plan->flags,
    };
    if (plan->flags & WIRE_SYN) {
        segment.options = syn_options(tcp, tcb);
        segment.window = syn_window(tcp, tcb);
    } else {
        if (tcb_has(tcb, TCB_TIMESTAMPS)) {
            add_timestamp(tcp, tcb, &segment.options);
        }
        add_sack(tcb, &segment.options);
        segment.window = take_window(tcp, tcb);
        add_urgent(tcb, plan->seq, &segment);
    }
    struct wire_ipv4 ip = ip_header(tcp, tcb, add_ecn(tcb, plan, &segment));
    if (plan->flags & WIRE_ACK) {
        segment.ack = tcb->rcv_nxt;
        settle_ack(tcb);
    }
    struct wire_payload payload = payload_of(tcb, plan);
    tcp_count(tcp, TCP_COUNTER_segments_sent);
    return wire_tcp_emit(packet, &ip, &segment, &payload);
}
