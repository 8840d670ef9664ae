/* The independent packet checker: RSTs.
 *
 * Layer: tests. RFC 9293 knows three forms: <SEQ=SEG.ACK><CTL=RST> for a segment with an ACK,
 * <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> for one without (3.10.7.1), and
 * <SEQ=SND.NXT><CTL=RST> where a connection is aborted (3.10.5). */
#include "sim/checker_private.h"

/* The abort's form: within what this end has sent. */
static bool is_abort_form(const struct half *own, const struct packet *packet)
{
    if (packet->flags != PACKET_RST || own->phase == HALF_CLOSED) {
        return packet->flags == PACKET_RST && own->forgotten; /* a stray is aborted */
    }
    for (uint32_t i = 0; i < own->before_count && i < FLOW_OPENINGS; i++) {
        if (!own->confirmed && packet->seq == own->before[i].iss + 1) {
            return true;
        }
    }
    return seq_distance(packet->seq, own->now.iss) > 0 &&
           seq_distance(packet->seq, own->snd_max) <= 0;
}

static bool answers(const struct arrival *arrival, const struct packet *packet)
{
    if (arrival->flags & PACKET_RST) {
        return false;
    }
    if (arrival->flags & PACKET_ACK) {
        return packet->flags == PACKET_RST && packet->seq == arrival->ack;
    }
    return packet->flags == (PACKET_RST | PACKET_ACK) && packet->seq == 0 &&
           packet->ack == arrival->end;
}

bool check_rst(const struct judgement *judgement)
{
    const struct half *own = judgement->own;
    const struct packet *packet = judgement->packet;
    judgement->checker->segments_rst++;
    if (packet->payload_bytes) {
        return judgement_fail(judgement, RULE_rst_form, "an RST with data");
    }
    if (packet->ip_ecn) {
        return judgement_fail(judgement, RULE_ecn, "an RST with ECN %u", packet->ip_ecn);
    }
    bool is_delivery = judgement->checker->cause == CAUSE_DELIVERY;
    if (is_delivery && own->arrived > 0 && own->arrived == own->arrived_rst) {
        return judgement_fail(judgement, RULE_rst_for_rst, "only an RST had come");
    }
    for (uint32_t i = 0; is_delivery && i < own->arrived && i < FLOW_ARRIVALS; i++) {
        if (answers(&own->arrivals[i], packet)) {
            return true;
        }
    }
    if (is_abort_form(own, packet) || (is_delivery && own->arrived > FLOW_ARRIVALS)) {
        return true;
    }
    return judgement_fail(judgement, RULE_rst_form, "answers nothing that came, aborts nothing");
}
