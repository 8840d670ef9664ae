/* The independent packet checker: openings, told from SYNs, SYN-ACKs and what follows them.
 *
 * Layer: tests. A passive end without a record (SYN cookies) may answer every SYN with another ISN;
 * which one became the connection shows in the first segment behind it. */
#include <string.h>

#include "sim/checker_private.h"

static bool asks_for_ecn(uint8_t flags)
{
    return (flags & (PACKET_ECE | PACKET_CWR)) == (PACKET_ECE | PACKET_CWR);
}

/* RFC 3168 6.1.1: ECT only from an end that sent an ECN-setup SYN or SYN-ACK and no other, and to
 * which one came. So a SYN that crosses ours agrees as its SYN-ACK would. */
static bool agrees_on_ecn(const struct half *own, const struct seen_syn *syn)
{
    bool is_setup = (syn->flags & PACKET_ACK)
                        ? (syn->flags & (PACKET_ECE | PACKET_CWR)) == PACKET_ECE
                        : asks_for_ecn(syn->flags);
    return !own->sent_plain_syn && is_setup;
}

/* Begins an instance: all that was known of the last one goes, but for what a late answer of the
 * peer's may still refer to. */
static void opening_begin(struct half *own, enum half_phase phase, const struct packet *packet)
{
    struct half fresh = {.host = own->host,
                         .phase = phase,
                         .instances = own->instances + 1,
                         .event = own->event,
                         .arrived = own->arrived,
                         .arrived_rst = own->arrived_rst,
                         .arrived_empty = own->arrived_empty,
                         .sent_empty = own->sent_empty,
                         .syn_next = own->syn_next,
                         .before_count = own->before_count,
                         .fin_instance = own->fin_instance,
                         .previous_snd_max = own->snd_max,
                         .previous_instance = own->now.instance};
    memcpy(fresh.syns, own->syns, sizeof(fresh.syns));
    memcpy(fresh.arrivals, own->arrivals, sizeof(fresh.arrivals));
    memcpy(fresh.before, own->before, sizeof(fresh.before));
    fresh.now =
        (struct opening){.iss = packet->seq, .instance = fresh.instances, .tsval = packet->tsval};
    fresh.snd_max = packet->seq + 1;
    fresh.offered = packet->options;
    fresh.wscale = packet->wscale;
    fresh.mss = packet->mss;
    fresh.syn_window = packet->window;
    fresh.syn_flags = packet->flags;
    fresh.tsval_last = packet->tsval;
    fresh.urgent_last = packet->seq;
    if (phase == HALF_ACTIVE) {
        fresh.before_count = 0;
        fresh.app = own->app; /* told before the SYN; a passive end's comes with fws_accept */
        fresh.opened_by = own->app.owner;
        fresh.sent_plain_syn = !asks_for_ecn(packet->flags);
    }
    *own = fresh;
}

/* Takes over what both SYNs agreed on. */
static void opening_agree(struct half *own, const struct seen_syn *syn)
{
    uint8_t both = own->offered & syn->options;
    own->irs_known = true;
    own->agreed_on = *syn;
    own->now.irs = syn->seq;
    own->now.peer_instance = syn->instance;
    own->timestamps_on = (both & PACKET_HAS_TIMESTAMPS) != 0;
    own->sack_on = (both & PACKET_HAS_SACK_PERMITTED) != 0;
    own->scale_on = (both & PACKET_HAS_WSCALE) != 0;
    own->peer_wscale = syn->wscale > 14 ? 14 : syn->wscale;
    own->peer_mss = syn->mss ? syn->mss : 536;
    own->edge_seen = own->now.iss + 1 + syn->window;
    uint32_t early =
        own->early.ack + ((uint32_t)own->early.window << (own->scale_on ? own->peer_wscale : 0));
    if (own->early.instance == syn->instance && seq_distance(early, own->edge_seen) > 0) {
        own->edge_seen = early;
    }
    own->ack_max = syn->seq + 1;
    own->edge_advertised = syn->seq + 1 + own->syn_window;
    own->ecn_on = agrees_on_ecn(own, syn);
}

static bool timestamps_went_back(const struct half *own, const struct packet *packet)
{
    return (packet->options & PACKET_HAS_TIMESTAMPS) &&
           seq_distance(packet->tsval, own->tsval_last) < 0;
}

/* A SYN or SYN-ACK that was sent before. SYN cookies keep options in the low six bits of a
 * SYN-ACK's TSval and have no record of the one before: when copies of a SYN that ask for different
 * things (the later ones for no ECN) overtake each other, TSval may differ by less than 64, and ECE
 * is what the copy at hand asked for. */
static bool opening_again(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    const struct packet *packet = judgement->packet;
    bool may_be_cookie =
        own->phase == HALF_PASSIVE && seq_distance(packet->tsval, own->tsval_last) > -64;
    judgement->checker->segments_retransmitted++;
    if (timestamps_went_back(own, packet) && !may_be_cookie) {
        return judgement_fail(judgement, RULE_timestamp_back, "TSval %u after %u", packet->tsval,
                              own->tsval_last);
    }
    if (seq_distance(packet->tsval, own->tsval_last) > 0) {
        own->tsval_last = packet->tsval;
    }
    if (seq_distance(packet->tsval, own->now.tsval) < 0) {
        own->now.tsval = packet->tsval;
    }
    own->syn_window = packet->window;
    if (own->phase == HALF_PASSIVE && (packet->flags & PACKET_ECE)) {
        own->now.ecn = own->ecn_on = true;
    }
    return true;
}

/* RFC 6298 2.1: nobody knows the round trip yet. Each time-out after the first is longer. */
static bool check_syn_time(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    uint64_t now_ns = judgement->checker->now_ns;
    uint64_t waited_ns = now_ns - own->syn_sent_ns;
    own->syn_sent_ns = now_ns;
    if (waited_ns < judgement->checker->syn_rto_ns[judgement->host]) {
        return judgement_fail(judgement, RULE_resend_early, "a SYN again after %llu us",
                              (unsigned long long)(waited_ns / 1000));
    }
    return true;
}

bool opening_syn(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    const struct packet *packet = judgement->packet;
    if (packet->tsecr) {
        return judgement_fail(judgement, RULE_timestamp_echo, "TSecr %u in a SYN without ACK",
                              packet->tsecr);
    }
    if (packet->payload_bytes) {
        return judgement_fail(judgement, RULE_content, "data on a SYN: there is no Fast Open");
    }
    if (own->phase == HALF_ACTIVE && own->now.iss == packet->seq) {
        own->sent_plain_syn |= !asks_for_ecn(packet->flags);
        return check_syn_time(judgement) && opening_again(judgement);
    }
    opening_begin(own, HALF_ACTIVE, packet);
    own->syn_sent_ns = judgement->checker->now_ns;
    return true;
}

/* Finds the SYN that an ACK number answers: the newest with this sequence number. */
static const struct seen_syn *find_syn(const struct half *own, uint32_t seq)
{
    for (uint32_t i = 1; i <= FLOW_SYNS; i++) {
        const struct seen_syn *syn = &own->syns[(uint8_t)(own->syn_next - i) % FLOW_SYNS];
        if (syn->seq == seq && syn->instance != 0) {
            return syn;
        }
    }
    return NULL;
}

/* Any copy of the SYN asked: one that is sent again may ask no more (RFC 3168 6.1.1.1), and the
 * record of the first one's answer is the same. */
static bool asked_for_ecn(const struct half *own, const struct seen_syn *syn)
{
    const uint8_t asking = PACKET_ECE | PACKET_CWR;
    for (uint32_t i = 0; i < FLOW_SYNS; i++) {
        if (own->syns[i].seq == syn->seq && own->syns[i].instance == syn->instance &&
            (own->syns[i].flags & asking) == asking) {
            return true;
        }
    }
    return false;
}

static bool check_grant(const struct judgement *judgement, const struct seen_syn *syn)
{
    const uint8_t granted = PACKET_HAS_WSCALE | PACKET_HAS_SACK_PERMITTED | PACKET_HAS_TIMESTAMPS;
    const struct packet *packet = judgement->packet;
    uint8_t extra = packet->options & granted & (uint8_t)~syn->options;
    if (extra) {
        return judgement_fail(judgement, RULE_option_offer, "SYN-ACK grants %02x of %02x asked",
                              packet->options, syn->options);
    }
    bool asked = asked_for_ecn(judgement->own, syn);
    if ((packet->flags & PACKET_CWR) || ((packet->flags & PACKET_ECE) && !asked)) {
        return judgement_fail(judgement, RULE_ecn, "ECN in a SYN-ACK that nobody asked for");
    }
    return true;
}

/* The SYN-ACK of a simultaneous open: the same ISN as the SYN's. */
static bool opening_crossed(const struct judgement *judgement, const struct seen_syn *syn)
{
    struct half *own = judgement->own;
    if (!own->irs_known) {
        uint8_t offered = own->offered;
        own->offered = judgement->packet->options;
        opening_agree(own, syn);
        own->offered = offered;
    }
    return opening_again(judgement);
}

/* A passive end without a record may answer one SYN, then an old one, and then the first again:
 * that is still the opening it was. */
static void resume_former(struct half *own)
{
    uint32_t known = own->before_count < FLOW_OPENINGS ? own->before_count : FLOW_OPENINGS;
    for (uint32_t i = 0; i < known; i++) {
        const struct opening *former = &own->before[i];
        if (former->iss == own->now.iss && former->irs == own->now.irs) {
            own->now.instance = former->instance;
            own->now.peer_instance = former->peer_instance;
            own->now.tsval = former->tsval;
            own->now.ecn = own->ecn_on = own->ecn_on || former->ecn;
        }
    }
}

void opening_keep(struct half *own)
{
    if (own->phase == HALF_PASSIVE && !own->confirmed) {
        own->now.timestamps_on = own->timestamps_on;
        own->now.sack_on = own->sack_on;
        own->now.scale_on = own->scale_on;
        own->now.offered = own->offered;
        own->now.syn_window = own->syn_window;
        own->now.edge_seen = own->edge_seen;
        own->before[own->before_count++ % FLOW_OPENINGS] = own->now;
    } else if (!own->forgotten) {
        own->before_count = 0;
    }
}

/* A record of the SYN cache sends its answer again, whatever other SYNs came since. */
static bool answers_as_before(const struct half *own, const struct packet *packet)
{
    return own->irs_known && !own->confirmed && own->now.iss == packet->seq &&
           own->now.irs == packet->ack - 1;
}

bool opening_syn_ack(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    const struct packet *packet = judgement->packet;
    const struct seen_syn *syn = find_syn(own, packet->ack - 1);
    if (!syn && answers_as_before(own, packet)) {
        syn = &own->agreed_on;
    }
    if (!syn) {
        return judgement_fail(judgement, RULE_ack_unsent, "SYN-ACK for a SYN that did not come");
    }
    if (!check_grant(judgement, syn)) {
        return false;
    }
    if (own->phase == HALF_ACTIVE && own->now.iss == packet->seq) {
        return opening_crossed(judgement, syn);
    }
    if (own->phase == HALF_PASSIVE && own->now.iss == packet->seq && own->now.irs == syn->seq) {
        return opening_again(judgement);
    }
    opening_keep(own);
    opening_begin(own, HALF_PASSIVE, packet);
    opening_agree(own, syn);
    own->now.ecn = own->ecn_on = (packet->flags & PACKET_ECE) != 0;
    resume_former(own);
    return true;
}

/* An active end's first segment: which SYN does it acknowledge? The nearest one below. */
static bool confirm_active(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    const struct seen_syn *best = NULL;
    for (uint32_t i = 0; i < FLOW_SYNS; i++) {
        const struct seen_syn *syn = &own->syns[i];
        int32_t distance = seq_distance(judgement->packet->ack, syn->seq);
        bool is_nearer = !best || distance < seq_distance(judgement->packet->ack, best->seq) ||
                         (syn->seq == best->seq && (syn->flags & PACKET_ACK));
        if (syn->instance != 0 && distance > 0 && distance < (1 << 30) && is_nearer) {
            best = syn;
        }
    }
    if (!best) {
        return judgement_fail(judgement, RULE_ack_unsent, "no SYN came that this acknowledges");
    }
    opening_agree(own, best);
    return true;
}

/* An answer that was taken up after all: with what it agreed on, which a cookie that keeps no
 * options and a record need not agree about. */
static void resume(struct half *own, const struct opening *former)
{
    own->now = *former;
    own->ecn_on = former->ecn; /* a cookie's end cannot know of its other answers */
    own->timestamps_on = former->timestamps_on;
    own->sack_on = former->sack_on;
    own->scale_on = former->scale_on;
    own->offered = former->offered;
    own->syn_window = former->syn_window;
    own->edge_seen = former->edge_seen;
    own->snd_max = former->iss + 1;
    own->urgent_last = former->iss;
    own->ack_max = former->irs + 1;
    own->edge_advertised = former->irs + 1 + former->syn_window;
}

/* A passive end's first segment: which of its SYN-ACKs was taken up? */
static bool confirm_passive(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    uint32_t iss = judgement->packet->seq - 1;
    uint32_t known = own->before_count < FLOW_OPENINGS ? own->before_count : FLOW_OPENINGS;
    if (own->now.iss == judgement->packet->seq && packet_length(judgement->packet) == 0) {
        return true; /* a keep-alive probe: SND.NXT - 1 */
    }
    /* A record of the SYN cache acknowledges no more than the SYN, and may yet give way to a cookie
     * that went out before it. */
    bool is_bare =
        packet_length(judgement->packet) == 0 && judgement->packet->ack == own->now.irs + 1;
    if (own->now.iss == iss) {
        own->confirmed = !is_bare;
        return true;
    }
    own->confirmed = true;
    for (uint32_t i = 0; i < known; i++) {
        if (own->before[i].iss == iss) {
            resume(own, &own->before[i]);
            own->tsval_last = judgement->packet->tsval;
            return true;
        }
    }
    return judgement_fail(judgement, RULE_unknown_opening, "no SYN-ACK had the ISN %u", iss);
}

bool opening_confirm(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    switch (own->phase) {
    case HALF_CLOSED:
        if (own->forgotten) {
            return false;
        }
        return judgement_fail(judgement, RULE_unknown_opening, "its opening was not seen");
    case HALF_ACTIVE:
        return own->irs_known || confirm_active(judgement);
    case HALF_PASSIVE:
        return own->confirmed || confirm_passive(judgement);
    }
    return false;
}
