/* The independent packet checker: what needs no history, header, options and size.
 *
 * Layer: tests. */
#include "sim/checker_private.h"

static bool check_header(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    const struct flow *flow = judgement->flow;
    uint8_t flags = packet->flags;
    if (packet->reserved || packet->ttl == 0) {
        return judgement_fail(judgement, RULE_packet_header, "reserved %x, TTL %u",
                              packet->reserved, packet->ttl);
    }
    if ((flags & PACKET_SYN) && (flags & (PACKET_FIN | PACKET_RST | PACKET_URG))) {
        return judgement_fail(judgement, RULE_packet_header, "SYN with FIN, RST or URG");
    }
    if (flow->half[0].host == flow->half[1].host || judgement->own->host != judgement->host) {
        return judgement_fail(judgement, RULE_packet_header, "not from the host that sent it");
    }
    return true;
}

/* SYN options in the order that CONFORMANCE.md asks for. */
static bool check_order(const struct judgement *judgement)
{
    static const uint8_t order[] = {
        PACKET_OPTION_MSS, PACKET_OPTION_SACK_PERMITTED, PACKET_OPTION_TIMESTAMPS,
        PACKET_OPTION_NOP, PACKET_OPTION_WSCALE,
    };
    const struct packet *packet = judgement->packet;
    uint32_t at = 0;
    for (uint32_t i = 0; i < packet->order_count; i++) {
        uint8_t kind = packet->order[i];
        if (kind == PACKET_OPTION_NOP || kind == PACKET_OPTION_END) {
            continue; /* padding takes the place of what is not offered */
        }
        while (at < sizeof(order) && order[at] != kind) {
            at++;
        }
        if (at == sizeof(order)) {
            return judgement_fail(judgement, RULE_option_order, "option kind %u out of order",
                                  kind);
        }
        if (kind == PACKET_OPTION_WSCALE && (i == 0 || packet->order[i - 1] != PACKET_OPTION_NOP)) {
            return judgement_fail(judgement, RULE_option_order, "no NOP before window scale");
        }
    }
    return true;
}

/* MUST-48, MUST-49 of RFC 9293. Segments with data are of a record that knows its options; an RST
 * or SYN-ACK may be of none. */
static bool check_marks(const struct judgement *judgement)
{
    const struct packet *packet = judgement->packet;
    const struct half_app *app = &judgement->own->app;
    uint8_t of_host = judgement->checker->ttl[judgement->host];
    of_host = of_host ? of_host : 64;
    bool is_own = app->known && packet->ttl == app->ttl && packet->ip_dscp == app->dscp;
    bool is_default = packet->ttl == of_host && packet->ip_dscp == 0;
    bool is_marked = app->known && (app->ttl || app->dscp);
    if (packet->payload_bytes == 0 || !app->known || (is_marked ? is_own : is_default)) {
        return true;
    }
    return judgement_fail(judgement, RULE_packet_marks, "TTL %u DSCP %u, asked for %u and %u",
                          packet->ttl, packet->ip_dscp, is_marked ? app->ttl : of_host,
                          is_marked ? app->dscp : 0);
}

static bool check_options(const struct judgement *judgement)
{
    const uint8_t of_syn = PACKET_HAS_MSS | PACKET_HAS_SACK_PERMITTED | PACKET_HAS_WSCALE;
    const struct packet *packet = judgement->packet;
    bool is_syn = (packet->flags & PACKET_SYN) != 0;
    if ((!is_syn && (packet->options & of_syn)) ||
        (is_syn && (packet->options & PACKET_HAS_SACK))) {
        return judgement_fail(judgement, RULE_option_place, "options %02x", packet->options);
    }
    if (!is_syn) {
        return true;
    }
    if (packet->wscale > 14) {
        return judgement_fail(judgement, RULE_option_place, "window scale %u", packet->wscale);
    }
    /* SHLD-5: MSS in every SYN whose receive MSS is not the default. We ask for it always. */
    if (!(packet->options & PACKET_HAS_MSS) || packet->mss < 64) {
        return judgement_fail(judgement, RULE_option_place, "SYN without a sound MSS (%u)",
                              packet->mss);
    }
    return check_order(judgement);
}

bool check_plain(const struct judgement *judgement)
{
    return check_header(judgement) && check_marks(judgement) && check_options(judgement);
}
