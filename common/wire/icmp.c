/* ICMP: echo, and errors with what they quote, of RFC 792 and RFC 1122 section 3.2.2.
 *
 * Layer: wire (L1). Pure. */
#include "base/assert.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/wire.h"

#define ICMP_HEADER_BYTES 8u
#define ICMP_BODY_OFFSET 4u /* of an echo: its identifier */
#define QUOTED_BYTES_MIN 8u /* of the quoted packet's payload; RFC 792: 64 bits */
#define ICMP_TTL 64u        /* RFC 1700's default; the request's own has been used up */
#define FRAGMENT_OFFSET_MASK 0x1fffu

/* Reads what an error quotes. Says nothing about it (quotes_tcp stays false) unless it is the start
 * of a TCP segment: later fragments have no ports. The quoted checksum is not looked at, since a
 * router on the way may have changed what it covers. */
static enum wire_verdict read_quote(struct wire_icmp *icmp, const uint8_t *quote, size_t bytes)
{
    if (bytes < WIRE_IPV4_BYTES) {
        return WIRE_ICMP_SHORT;
    }
    const size_t header_bytes = (quote[0] & 0x0fu) * 4u;
    if (quote[0] >> 4 != 4 || header_bytes < WIRE_IPV4_BYTES) {
        return WIRE_OK;
    }
    if (bytes < header_bytes + QUOTED_BYTES_MIN) {
        return WIRE_ICMP_SHORT;
    }
    if (quote[9] != WIRE_PROTO_TCP || (load_u16(quote + 6) & FRAGMENT_OFFSET_MASK) != 0) {
        return WIRE_OK;
    }
    icmp->quotes_tcp = true;
    icmp->quoted_bytes = load_u16(quote + 2);
    icmp->quoted_source = load_u32(quote + 12);
    icmp->quoted_target = load_u32(quote + 16);
    icmp->quoted_source_port = load_u16(quote + header_bytes);
    icmp->quoted_target_port = load_u16(quote + header_bytes + 2);
    icmp->quoted_seq = load_u32(quote + header_bytes + 4);
    return WIRE_OK;
}

enum wire_verdict wire_icmp_parse(struct wire_icmp *icmp, const struct wire_ipv4 *ip)
{
    ASSERT(!ip->more_fragments);
    ASSERT(ip->fragment_offset == 0);
    const uint8_t *message = ip->payload;
    if (ip->payload_bytes < ICMP_HEADER_BYTES) {
        return WIRE_ICMP_SHORT;
    }
    if (wire_sum_finish(wire_sum_add(0, message, ip->payload_bytes)) != 0) {
        return WIRE_ICMP_CHECKSUM;
    }
    *icmp = (struct wire_icmp){.type = message[0], .code = message[1]};
    switch (icmp->type) {
    case WIRE_ICMP_ECHO:
    case WIRE_ICMP_ECHO_REPLY:
        icmp->body = message + ICMP_BODY_OFFSET;
        icmp->body_bytes = ip->payload_bytes - ICMP_BODY_OFFSET;
        return WIRE_OK;
    case WIRE_ICMP_UNREACHABLE:
        if (icmp->code == WIRE_UNREACHABLE_FRAGMENTATION_NEEDED) {
            icmp->next_hop_mtu = load_u16(message + 6);
        }
        break;
    case WIRE_ICMP_SOURCE_QUENCH:
    case WIRE_ICMP_REDIRECT:
    case WIRE_ICMP_TIME_EXCEEDED:
    case WIRE_ICMP_PARAMETER_PROBLEM:
        break;
    default: /* RFC 1122 section 3.2.2: unknown types are discarded in silence, by who asked */
        return WIRE_OK;
    }
    return read_quote(icmp, message + ICMP_HEADER_BYTES, ip->payload_bytes - ICMP_HEADER_BYTES);
}

uint32_t wire_icmp_emit_echo_reply(uint8_t *packet, const struct wire_ipv4 *ip,
                                   const struct wire_icmp *echo, uint16_t id)
{
    /* RFC 1349 section 5.1: a reply has its request's type of service. */
    const struct wire_ipv4 reply = {
        .source = ip->target,
        .target = ip->source,
        .protocol = WIRE_PROTO_ICMP,
        .ttl = ICMP_TTL,
        .dscp = ip->dscp,
        .id = id,
    };
    const uint32_t bytes = ICMP_BODY_OFFSET + echo->body_bytes;
    uint8_t *message = packet + WIRE_IPV4_BYTES;
    wire_ipv4_emit(packet, &reply, bytes);
    store_u32(message, (uint32_t)WIRE_ICMP_ECHO_REPLY << 24);
    const uint64_t sum = wire_sum_copy(0, message + ICMP_BODY_OFFSET, echo->body, echo->body_bytes);
    store_checksum(message + 2, wire_sum_finish(sum)); /* type and code are 0 */
    return WIRE_IPV4_BYTES + bytes;
}

uint32_t wire_icmp_emit_time_exceeded(uint8_t *packet, const struct wire_icmp_quote *quote,
                                      uint16_t id)
{
    ASSERT(quote->count >= WIRE_IPV4_BYTES + QUOTED_BYTES_MIN);
    ASSERT(quote->count <= WIRE_ICMP_QUOTE_MAX);
    const struct wire_ipv4 ip = {
        .source = load_u32(quote->bytes + 16),
        .target = load_u32(quote->bytes + 12),
        .protocol = WIRE_PROTO_ICMP,
        .ttl = ICMP_TTL,
        .id = id,
    };
    uint8_t *message = packet + WIRE_IPV4_BYTES;
    wire_ipv4_emit(packet, &ip, ICMP_HEADER_BYTES + quote->count);
    store_u32(message,
              (uint32_t)WIRE_ICMP_TIME_EXCEEDED << 24 | (uint32_t)WIRE_EXCEEDED_REASSEMBLY << 16);
    store_u32(message + 4, 0);
    const uint64_t sum = wire_sum_add(0, message, 4);
    store_checksum(message + 2, wire_sum_finish(wire_sum_copy(sum, message + ICMP_HEADER_BYTES,
                                                              quote->bytes, quote->count)));
    return WIRE_ICMP_ERROR_BYTES + quote->count;
}
