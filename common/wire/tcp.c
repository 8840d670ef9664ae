/* TCP: segments of RFC 9293 section 3.1.
 *
 * Layer: wire (L1). Pure. */
#include "base/assert.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/options.h"
#include "wire/wire.h"

/* The checksum comes before any look at the fields, so that a damaged segment counts as one. */
enum wire_verdict wire_tcp_parse(struct wire_tcp *tcp, const struct wire_ipv4 *ip,
                                 bool checksum_done)
{
    ASSERT(!ip->more_fragments);
    ASSERT(ip->fragment_offset == 0);
    const uint8_t *segment = ip->payload;
    if (ip->payload_bytes < WIRE_TCP_BYTES) {
        return WIRE_TCP_SHORT;
    }
    if (!checksum_done) { /* MUST-3 */
        const uint64_t sum = sum_pseudo_header(ip, WIRE_PROTO_TCP, ip->payload_bytes);
        if (wire_sum_finish(wire_sum_add(sum, segment, ip->payload_bytes)) != 0) {
            return WIRE_TCP_CHECKSUM;
        }
    }
    const uint32_t header_bytes = (segment[12] >> 4) * 4u;
    tcp->source_port = load_u16(segment);
    tcp->target_port = load_u16(segment + 2);
    if (header_bytes < WIRE_TCP_BYTES || header_bytes > ip->payload_bytes ||
        tcp->source_port == 0 || tcp->target_port == 0) {
        return WIRE_TCP_HEADER;
    }
    tcp->seq = load_u32(segment + 4);
    tcp->ack = load_u32(segment + 8);
    tcp->flags = segment[13];
    tcp->window = load_u16(segment + 14);
    tcp->urgent = load_u16(segment + 18);
    tcp->payload = segment + header_bytes;
    tcp->payload_bytes = ip->payload_bytes - header_bytes;
    wire_tcp_options_parse(&tcp->options, segment + WIRE_TCP_BYTES, header_bytes - WIRE_TCP_BYTES);
    return WIRE_OK;
}

/* Copies a payload's parts behind the header and adds them up. A ring buffer wraps anywhere, so the
 * second part may start at an odd place. */
static uint64_t copy_payload(uint8_t *target, const struct wire_payload *payload, uint64_t sum)
{
    sum = wire_sum_copy(sum, target, payload->first, payload->first_bytes);
    if (payload->second_bytes == 0) {
        return sum;
    }
    const uint64_t second =
        wire_sum_copy(0, target + payload->first_bytes, payload->second, payload->second_bytes);
    return sum_join(sum, payload->first_bytes % 2 == 0 ? second : sum_at_odd(second));
}

uint32_t wire_tcp_emit(uint8_t *packet, const struct wire_ipv4 *ip, const struct wire_tcp *tcp,
                       const struct wire_payload *payload)
{
    ASSERT(ip->protocol == WIRE_PROTO_TCP);
    const uint32_t header_bytes = WIRE_TCP_BYTES + wire_tcp_options_bytes(&tcp->options);
    const uint32_t payload_bytes =
        payload == NULL ? 0 : payload->first_bytes + payload->second_bytes;
    const uint32_t segment_bytes = header_bytes + payload_bytes;
    uint8_t *segment = packet + WIRE_IPV4_BYTES;
    wire_ipv4_emit(packet, ip, segment_bytes);

    struct word_writer writer = {.at = segment,
                                 .sum = sum_pseudo_header(ip, WIRE_PROTO_TCP, segment_bytes)};
    word_put(&writer, high_low(tcp->source_port, tcp->target_port));
    word_put(&writer, tcp->seq);
    word_put(&writer, tcp->ack);
    word_put(&writer, high_low((uint16_t)(header_bytes << 10 | tcp->flags), tcp->window));
    word_put(&writer, tcp->urgent);
    options_emit(&writer, &tcp->options);
    uint64_t sum = writer.sum;
    if (payload_bytes != 0) {
        sum = copy_payload(segment + header_bytes, payload, sum);
    }
    store_checksum(segment + 16, wire_sum_finish(sum)); /* MUST-2 */
    return WIRE_IPV4_BYTES + segment_bytes;
}
