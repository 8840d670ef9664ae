/* The independent packet checker: a segment of an open connection against its history.
 *
 * Layer: tests. Sequence space, windows, timestamps, SACK, urgent data, ECN and content. */
#include <string.h>

#include "sim/checker_private.h"

static bool check_timestamps(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    struct half *own = judgement->own;
    bool has = (packet->options & PACKET_HAS_TIMESTAMPS) != 0;
    if (!own->timestamps_on) {
        return !has || judgement_fail(judgement, RULE_option_offer, "timestamps unnegotiated");
    }
    if (!has) {
        return judgement_fail(judgement, RULE_timestamp_missing, "RFC 7323 section 3.2");
    }
    if (seq_distance(packet->tsval, own->tsval_last) < 0) {
        return judgement_fail(judgement, RULE_timestamp_back, "TSval %u after %u", packet->tsval,
                              own->tsval_last);
    }
    own->tsval_last = packet->tsval;
    const struct half *peer = judgement->peer;
    if (peer_is_present(judgement) && peer->timestamps_on &&
        (seq_distance(packet->tsecr, peer->now.tsval) < 0 ||
         seq_distance(packet->tsecr, peer->tsval_last) > 0)) {
        return judgement_fail(judgement, RULE_timestamp_echo, "TSecr %u, peer sent %u to %u",
                              packet->tsecr, peer->now.tsval, peer->tsval_last);
    }
    return true;
}

/* What the peer has sent at most, or `fallback` when that opening is no longer known. */
static uint32_t peer_snd_max(const struct judgement *judgement, uint32_t fallback)
{
    const struct half *peer = judgement->peer;
    if (peer_is_present(judgement)) {
        return peer->snd_max;
    }
    return peer->previous_instance == judgement->own->now.peer_instance ? peer->previous_snd_max
                                                                        : fallback;
}

static bool check_ack(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    struct half *own = judgement->own;
    if (seq_distance(packet->ack, own->ack_max) < 0) {
        return judgement_fail(judgement, RULE_ack_back, "ACK %u after %u", packet->ack,
                              own->ack_max);
    }
    uint32_t sent = peer_snd_max(judgement, packet->ack);
    if (seq_distance(packet->ack, sent) > 0) {
        return judgement_fail(judgement, RULE_ack_unsent, "ACK %u, the peer sent up to %u",
                              packet->ack, sent);
    }
    if (packet->ack != own->ack_max) {
        own->echoes = 0;
    }
    own->ack_max = packet->ack;
    uint32_t scale = own->scale_on ? own->wscale : 0;
    uint32_t edge = packet->ack + ((uint32_t)packet->window << scale);
    own->edge_over |= judgement->peer->fin_sent && peer_is_present(judgement) &&
                      packet->ack == judgement->peer->fin_end;
    if (!own->edge_over && seq_distance(edge, own->edge_advertised) < 0) {
        return judgement_fail(judgement, RULE_window_shrunk, "edge %u after %u (SHLD-14)", edge,
                              own->edge_advertised);
    }
    if (seq_distance(edge, own->edge_advertised) > 0) {
        own->edge_advertised = edge;
    }
    return true;
}

static bool blocks_overlap(const uint32_t a[2], const uint32_t b[2])
{
    return seq_distance(a[0], b[1]) < 0 && seq_distance(b[0], a[1]) < 0;
}

static bool check_block(const struct judgement *judgement, uint32_t index)
{
    const struct packet *packet = judgement->packet;
    const uint32_t *block = packet->sack[index];
    uint32_t sent = peer_snd_max(judgement, block[1]);
    if (seq_distance(block[1], block[0]) <= 0 || seq_distance(block[1], sent) > 0 ||
        seq_distance(block[0], judgement->own->now.irs) < 0) {
        return judgement_fail(judgement, RULE_sack_block, "block %u is %u-%u, sent up to %u", index,
                              block[0], block[1], sent);
    }
    if (index == 0) {
        return true; /* the first may be a DSACK (RFC 2883), below the ACK or inside the second */
    }
    if (seq_distance(block[0], packet->ack) <= 0) {
        return judgement_fail(judgement, RULE_sack_block, "block %u is %u-%u, ACK %u", index,
                              block[0], block[1], packet->ack);
    }
    for (uint32_t i = 1; i < index; i++) {
        if (blocks_overlap(block, packet->sack[i])) {
            return judgement_fail(judgement, RULE_sack_block, "blocks %u and %u overlap", i, index);
        }
    }
    return true;
}

static bool check_sack(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    if (packet->sack_count && !judgement->own->sack_on) {
        return judgement_fail(judgement, RULE_option_offer, "SACK unnegotiated");
    }
    for (uint32_t i = 0; i < packet->sack_count; i++) {
        if (!check_block(judgement, i)) {
            return false;
        }
    }
    return true;
}

/* The content is the application's at this position, so every copy equals the first. */
static bool check_content(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    const struct half_app *app = &judgement->own->app;
    if (!app->known) {
        return judgement_fail(judgement, RULE_content, "data, but nobody gave any");
    }
    uint32_t position = packet->seq - judgement->own->now.iss - 1;
    if (position > app->written || packet->payload_bytes > app->written - position) {
        return judgement_fail(judgement, RULE_content, "position %u, the application gave %u",
                              position, app->written);
    }
    uint32_t at = (app->content + position) % PATTERN_BYTES;
    const uint8_t *payload = packet->payload;
    uint32_t left = packet->payload_bytes;
    while (left > 0) {
        uint32_t part = left < PATTERN_BYTES ? left : PATTERN_BYTES;
        if (memcmp(payload, judgement->checker->pattern + at, part) != 0) {
            return judgement_fail(judgement, RULE_content, "bytes differ at position %u", position);
        }
        payload += part;
        left -= part;
        at = (at + part) % PATTERN_BYTES;
    }
    return true;
}

static bool check_fin(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    struct half *own = judgement->own;
    uint32_t end = packet->seq + packet_length(packet);
    bool is_fin = (packet->flags & PACKET_FIN) != 0;
    if (own->fin_sent && (is_fin ? end != own->fin_end : seq_distance(end, own->fin_end) > 0)) {
        return judgement_fail(judgement, RULE_fin_place, "end %u, the FIN's was %u", end,
                              own->fin_end);
    }
    if (!is_fin || own->fin_sent) {
        return true;
    }
    if (own->app.known && (!own->app.closed || end != own->now.iss + 2 + own->app.written)) {
        return judgement_fail(judgement, RULE_fin_place, "closed %d, %u bytes given",
                              own->app.closed, own->app.written);
    }
    own->fin_sent = true;
    own->fin_end = end;
    return true;
}

/* Anything new lies left of the edge that the sender has seen; a probe may go one beyond. */
static bool check_window(const struct judgement *judgement)
{
    struct half *own = judgement->own;
    const struct packet *packet = judgement->packet;
    uint32_t end = packet->seq + packet_length(packet);
    if (seq_distance(packet->seq, own->now.iss) < 0 ||
        seq_distance(packet->seq, own->snd_max) > 0) {
        return judgement_fail(judgement, RULE_seq_gap, "sent up to %u", own->snd_max);
    }
    int32_t fresh = seq_distance(end, own->snd_max);
    if (fresh <= 0) {
        judgement->checker->segments_retransmitted += packet_length(packet) > 0;
        return true;
    }
    int32_t beyond = seq_distance(end, own->edge_seen);
    if (beyond > 1) {
        return judgement_fail(judgement, RULE_beyond_window, "end %u, right edge %u", end,
                              own->edge_seen);
    }
    judgement->checker->window_probes += beyond == 1;
    own->snd_max = end;
    own->echoes = 0;
    return true;
}

static bool check_ecn(const struct judgement *judgement, uint32_t snd_max)
{
    const struct packet *packet = judgement->packet;
    if (!packet->ip_ecn) {
        return true;
    }
    if (!judgement->own->ecn_on) {
        return judgement_fail(judgement, RULE_ecn, "ECN %u unnegotiated", packet->ip_ecn);
    }
    if (seq_distance(packet->seq + packet_length(packet), judgement->own->edge_seen) > 0) {
        return judgement_fail(judgement, RULE_ecn, "ECT on a window probe (RFC 3168 6.1.6)");
    }
    /* RFC 3168 6.1.4, 6.1.5: never on a pure ACK, never on a retransmission. */
    if (packet->payload_bytes == 0 || seq_distance(packet->seq, snd_max) < 0) {
        return judgement_fail(judgement, RULE_ecn, "ECT on a pure ACK or a retransmission");
    }
    return true;
}

static bool check_urgent(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    struct half *own = judgement->own;
    if (!(packet->flags & PACKET_URG)) {
        return true;
    }
    uint32_t pointer = packet->seq + packet->urgent;
    uint32_t mark = own->now.iss + 1 + own->app.urgent;
    /* The field has 16 bits: a mark farther ahead is told as far as they reach. */
    if (packet->urgent == 0 || own->app.urgent == 0 || seq_distance(pointer, mark) > 0) {
        return judgement_fail(judgement, RULE_urgent_pointer, "pointer %u, mark %u", pointer, mark);
    }
    bool is_new = seq_distance(packet->seq + packet_length(packet), own->snd_max) >= 0;
    if (is_new && seq_distance(pointer, own->urgent_last) < 0) {
        return judgement_fail(judgement, RULE_urgent_pointer, "pointer %u after %u", pointer,
                              own->urgent_last);
    }
    own->urgent_last = is_new ? pointer : own->urgent_last;
    return true;
}

static bool check_size(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    const struct half *own = judgement->own;
    uint32_t segment = packet->tcp_header_bytes + packet->payload_bytes;
    /* RFC 6691: the MSS counts the fixed header and no options, so options take from the data. */
    if (packet->payload_bytes && segment > own->peer_mss + PACKET_TCP_BYTES) {
        return judgement_fail(judgement, RULE_packet_size, "%u bytes with header, peer's MSS %u",
                              segment, own->peer_mss);
    }
    /* An MSS below the smallest of RFC 791 may stay in use, whatever a router says. */
    if (packet->payload_bytes && own->path_mtu && packet->ip_bytes > own->path_mtu &&
        packet->dont_fragment && judgement->checker->now_ns < own->path_mtu_until_ns) {
        return judgement_fail(judgement, RULE_icmp_ignored_mtu, "%u bytes, path MTU %u",
                              packet->ip_bytes, own->path_mtu);
    }
    return true;
}

bool check_segment(const struct judgement *judgement)
{
    uint32_t snd_max = judgement->own->snd_max;
    if (!check_timestamps(judgement) || !check_ack(judgement) || !check_sack(judgement) ||
        !check_size(judgement)) {
        return false;
    }
    if (judgement->packet->payload_bytes && !check_content(judgement)) {
        return false;
    }
    return check_window(judgement) && check_fin(judgement) && check_ecn(judgement, snd_max) &&
           check_urgent(judgement);
}
