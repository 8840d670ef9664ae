/* The independent packet checker: the way of a packet through the checks, and what arrivals tell.
 *
 * Layer: tests. See checker.h; the rules are in checker_plain.c (no history), checker_opening.c
 * (SYNs), checker_rst.c and checker_segment.c (sequence space). */
#include "sim/checker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "sim/checker_private.h"

void checker_init(struct checker *checker, struct violation *violation)
{
    *checker = (struct checker){.violation = violation};
    checker->pattern = malloc(2 * PATTERN_BYTES);
    ASSERT(checker->pattern != NULL);
    struct rng rng;
    rng_seed(&rng, 1);
    rng_fill(&rng, checker->pattern, PATTERN_BYTES);
    memcpy(checker->pattern + PATTERN_BYTES, checker->pattern, PATTERN_BYTES);
}

void checker_destroy(struct checker *checker)
{
    free(checker->pattern);
    flow_table_destroy(&checker->table);
}

void checker_reset(struct checker *checker, uint32_t flows_max)
{
    flow_table_reset(&checker->table, flows_max);
    checker->event = 0;
    checker->resent_count = 0;
}

void checker_begin(struct checker *checker, enum event_cause cause, uint64_t now_ns)
{
    checker->event++;
    checker->resent_count = 0;
    checker->cause = cause;
    checker->now_ns = now_ns;
}

void checker_forget(struct half *half)
{
    opening_keep(half); /* its answer may still be taken up, or come again */
    struct half fresh = {.host = half->host,
                         .event = half->event,
                         .arrived = half->arrived,
                         .arrived_rst = half->arrived_rst,
                         .arrived_empty = half->arrived_empty,
                         .sent_empty = half->sent_empty,
                         .app = half->app,
                         .before_count = half->before_count,
                         .syn_next = half->syn_next,
                         .forgotten = true,
                         .instances = half->instances};
    memcpy(fresh.syns, half->syns, sizeof(fresh.syns));
    memcpy(fresh.before, half->before, sizeof(fresh.before));
    memcpy(fresh.arrivals, half->arrivals, sizeof(fresh.arrivals)); /* still to be answered */
    *half = fresh;
}

bool judgement_fail(const struct judgement *judgement, enum rule rule, const char *format, ...)
{
    const struct packet *packet = judgement->packet;
    const struct half *own = judgement->own;
    char why[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    judgement->checker->violation->at_ns = judgement->checker->now_ns;
    return violate(judgement->checker->violation, rule,
                   "host %u, conn %u: %s [port %u>%u flags %02x seq %u (iss+%u) ack %u (irs+%u) "
                   "len %u wnd %u]",
                   judgement->host, judgement->flow ? judgement->flow->conn : FLOW_NONE, why,
                   packet->source_port, packet->target_port, packet->flags, packet->seq,
                   own ? packet->seq - own->now.iss : 0, packet->ack,
                   own ? packet->ack - own->now.irs : 0, packet_length(packet), packet->window);
}

/* Starts the counts of an event on one end, the first time that the event touches it. */
static void half_begin_event(const struct checker *checker, struct half *half)
{
    if (half->event == checker->event) {
        return;
    }
    half->event = checker->event;
    half->arrived = 0;
    half->arrived_rst = 0;
    half->arrived_empty = 0;
    half->sent_empty = 0;
    half->sent_again = 0;
}

/* A time-out sends the oldest segment again, and then perhaps more. */
static void note_resent(struct checker *checker, struct half *half, const struct checked *checked)
{
    const struct packet *packet = &checked->packet;
    if (checker->cause == CAUSE_TIMER && half->sent_again++ == 0 &&
        checker->resent_count < CHECKER_RESENT_MAX) {
        checker->resent[checker->resent_count++] =
            (struct resent){.ref = checked->ref, .seq = packet->seq, .flags = packet->flags};
    }
}

/* Pure ACKs: at most two beyond one for each arrival, and no endless answering of one by one. */
static bool check_storm(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    const struct packet *packet = judgement->packet;
    own->packets++;
    if (packet_length(packet) > 0) {
        return true;
    }
    own->sent_empty++;
    if (own->sent_empty > own->arrived + 2) {
        return judgement_fail(judgement, RULE_ack_storm, "%u empty segments for %u arrivals",
                              own->sent_empty, own->arrived);
    }
    bool is_echo = judgement->checker->cause == CAUSE_DELIVERY && own->arrived > 0 &&
                   own->arrived == own->arrived_empty;
    own->echoes = is_echo ? own->echoes + 1 : 0;
    if (own->echoes > 200) {
        return judgement_fail(judgement, RULE_ack_storm, "%u empty segments answer empty ones",
                              own->echoes);
    }
    return true;
}

static bool judge_segment(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    if (!check_plain(judgement)) {
        return false;
    }
    if (packet->flags & PACKET_RST) {
        return check_rst(judgement);
    }
    if (!(packet->flags & (PACKET_SYN | PACKET_ACK))) {
        return judgement_fail(judgement, RULE_no_ack_flag, "neither SYN nor ACK nor RST");
    }
    if (packet->flags & PACKET_SYN) {
        bool is_open =
            (packet->flags & PACKET_ACK) ? opening_syn_ack(judgement) : opening_syn(judgement);
        return is_open && check_storm(judgement);
    }
    return opening_confirm(judgement) && check_segment(judgement) && check_storm(judgement);
}

static bool parse_sent(struct checker *checker, uint32_t host, struct checked *checked,
                       enum packet_verdict verdict)
{
    struct judgement bare = {.checker = checker, .packet = &checked->packet, .host = host};
    switch (verdict) {
    case PACKET_OK:
        return true;
    case PACKET_OTHER_PROTOCOL:
        return false;
    case PACKET_BAD_CHECKSUM:
        return judgement_fail(&bare, RULE_packet_checksum, "wrong TCP checksum");
    case PACKET_FRAGMENT:
    case PACKET_BAD_IP:
    case PACKET_BAD_TCP:
    case PACKET_BAD_OPTIONS:
        break;
    }
    return judgement_fail(&bare, RULE_packet_malformed, "verdict %d", (int)verdict);
}

void checker_sent(struct checker *checker, uint32_t host, const uint8_t *bytes, size_t count,
                  struct checked *checked)
{
    struct packet *packet = &checked->packet;
    checked->ref = (struct flow_ref){FLOW_NONE, 0};
    checked->instance = 0;
    checker->packets_sent++;
    if (!parse_sent(checker, host, checked, packet_parse(packet, bytes, count))) {
        return;
    }
    checker->segments_sent[host]++;
    struct flow_tuple tuple = {packet->source, packet->target, packet->source_port,
                               packet->target_port};
    checked->ref = flow_find(&checker->table, &tuple);
    struct judgement judgement = {.checker = checker, .packet = packet, .host = host};
    if (packet->ip_bytes != count || count > checker->mtu_bytes[host]) {
        judgement_fail(&judgement, RULE_packet_size, "%zu bytes, MTU %u", count,
                       checker->mtu_bytes[host]);
        return;
    }
    if (checked->ref.flow == FLOW_NONE) {
        return; /* an answer to a packet whose addresses were damaged, or that the run made up */
    }
    struct flow *flow = &checker->table.flows[checked->ref.flow];
    judgement.flow = flow;
    judgement.own = &flow->half[checked->ref.side];
    judgement.peer = &flow->half[1 - checked->ref.side];
    half_begin_event(checker, judgement.own);
    const uint32_t instance = judgement.own->now.instance;
    const uint32_t snd_max = judgement.own->snd_max;
    judge_segment(&judgement);
    checked->instance = judgement.own->now.instance;
    if (checked->instance == instance && instance != 0 && packet_length(packet) > 0 &&
        seq_distance(packet->seq + packet_length(packet), snd_max) <= 0) {
        note_resent(checker, judgement.own, checked);
    }
}

static void note_syn(struct half *half, const struct checked *checked)
{
    const struct packet *packet = &checked->packet;
    uint32_t place = half->syn_next % FLOW_SYNS;
    uint8_t flags = packet->flags;
    for (uint32_t i = 0; i < FLOW_SYNS; i++) {
        const struct seen_syn *syn = &half->syns[i];
        bool same_kind = ((syn->flags ^ flags) & PACKET_ACK) == 0;
        if (syn->seq == packet->seq && syn->instance == checked->instance && same_kind &&
            checked->instance != 0) {
            place = i; /* again; what one copy asked for, the SYN asked for */
            flags |= syn->flags;
        }
    }
    if (place == half->syn_next % FLOW_SYNS) {
        half->syn_next++;
    }
    half->syns[place] = (struct seen_syn){
        .seq = packet->seq,
        .window = packet->window,
        .instance = checked->instance,
        .tsval = packet->tsval,
        .mss = packet->mss,
        .options = packet->options,
        .wscale = packet->wscale,
        .flags = flags,
    };
}

/* A segment may acknowledge an answer that another has taken the place of, and may yet be taken up.
 */
static void note_former_edges(struct half *half, const struct packet *packet)
{
    uint32_t known = half->before_count < FLOW_OPENINGS ? half->before_count : FLOW_OPENINGS;
    for (uint32_t i = 0; i < known; i++) {
        struct opening *former = &half->before[i];
        uint32_t edge =
            packet->ack + ((uint32_t)packet->window << (former->scale_on ? half->peer_wscale : 0));
        if (packet->ack == former->iss + 1 && seq_distance(edge, former->edge_seen) > 0) {
            former->edge_seen = edge;
        }
    }
}

static void note_edge(struct half *half, const struct checked *checked)
{
    const struct packet *packet = &checked->packet;
    if (!(packet->flags & PACKET_ACK) || (packet->flags & PACKET_RST)) {
        return;
    }
    bool is_ours = !half->irs_known || checked->instance == half->now.peer_instance;
    if ((packet->flags & PACKET_FIN) && is_ours) {
        half->fin_instance = checked->instance;
    }
    if (!half->irs_known && !(packet->flags & PACKET_SYN)) {
        half->early.instance = checked->instance;
        half->early.ack = packet->ack;
        half->early.window = packet->window;
    }
    if (!half->irs_known || checked->instance != half->now.peer_instance) {
        return;
    }
    bool is_syn = (packet->flags & PACKET_SYN) != 0;
    if (half->phase == HALF_PASSIVE && !half->confirmed && !is_syn) {
        note_former_edges(half, packet);
    }
    uint32_t scale = half->scale_on && !is_syn ? half->peer_wscale : 0;
    uint32_t edge = packet->ack + ((uint32_t)packet->window << scale);
    if (seq_distance(edge, half->edge_seen) > 0) {
        half->edge_seen = edge;
    }
}

void checker_received(struct checker *checker, const struct checked *checked)
{
    const struct packet *packet = &checked->packet;
    if (checked->ref.flow == FLOW_NONE) {
        return;
    }
    struct half *half = &checker->table.flows[checked->ref.flow].half[1 - checked->ref.side];
    half_begin_event(checker, half);
    half->arrivals[half->arrived % FLOW_ARRIVALS] = (struct arrival){
        .ack = packet->ack, .end = packet->seq + packet_length(packet), .flags = packet->flags};
    half->arrived++;
    half->arrived_rst = (uint16_t)(half->arrived_rst + ((packet->flags & PACKET_RST) != 0));
    half->arrived_empty = (uint16_t)(half->arrived_empty + (packet_length(packet) == 0));
    if (packet->flags & PACKET_RST) {
        return;
    }
    if (packet->flags & PACKET_SYN) {
        note_syn(half, checked);
    }
    note_edge(half, checked);
}
