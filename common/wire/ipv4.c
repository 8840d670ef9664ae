/* IPv4: headers of RFC 791, as RFC 1122 section 3.2.1 wants them received and sent.
 *
 * Layer: wire (L1). Pure. */
#include <stdbool.h>

#include "base/assert.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/wire.h"

#define FRAGMENT_DONT 0x4000u
#define FRAGMENT_MORE 0x2000u
#define FRAGMENT_OFFSET_MASK 0x1fffu
#define FRAGMENT_UNIT_BYTES 8u
#define ECN_MASK 3u

enum ip_option {
    IP_OPTION_END = 0,
    IP_OPTION_NOP = 1,
    IP_OPTION_LOOSE_ROUTE = 131,
    IP_OPTION_STRICT_ROUTE = 137,
};

/* RFC 1122 section 3.2.1.3: nobody may send from {0, any}, the limited broadcast address or a
 * multicast address. Directed broadcasts take a mask to know, so they are the host's to refuse. */
static bool is_source_impossible(uint32_t source)
{
    const uint8_t top = (uint8_t)(source >> 24);
    return top == 0 || (top & 0xf0u) == 0xe0u || source == UINT32_MAX;
}

/* RFC 791 section 3.1: an option is one byte, or says how long it is, itself included. False: one
 * does not fit. */
static bool read_options(struct wire_ipv4 *ip, const uint8_t *options, size_t count)
{
    size_t at = 0;
    ip->source_routed = false;
    while (at < count && options[at] != IP_OPTION_END) {
        if (options[at] == IP_OPTION_NOP) {
            at++;
            continue;
        }
        if (count - at < 2 || options[at + 1] < 2 || options[at + 1] > count - at) {
            return false;
        }
        ip->source_routed |=
            options[at] == IP_OPTION_LOOSE_ROUTE || options[at] == IP_OPTION_STRICT_ROUTE;
        at += options[at + 1];
    }
    return true;
}

static void read_fields(struct wire_ipv4 *ip, const uint8_t *packet, size_t header_bytes)
{
    const uint16_t fragment = load_u16(packet + 6);
    ip->source = load_u32(packet + 12);
    ip->target = load_u32(packet + 16);
    ip->protocol = packet[9];
    ip->ttl = packet[8];
    ip->dscp = packet[1] >> 2;
    ip->ecn = (enum wire_ecn)(packet[1] & ECN_MASK);
    ip->id = load_u16(packet + 4);
    ip->dont_fragment = (fragment & FRAGMENT_DONT) != 0;
    ip->more_fragments = (fragment & FRAGMENT_MORE) != 0;
    ip->fragment_offset = (uint16_t)((fragment & FRAGMENT_OFFSET_MASK) * FRAGMENT_UNIT_BYTES);
    ip->header = packet;
    ip->header_bytes = (uint32_t)header_bytes;
    ip->payload = packet + header_bytes;
    ip->payload_bytes = (uint32_t)(load_u16(packet + 2) - header_bytes);
}

enum wire_verdict wire_ipv4_parse(struct wire_ipv4 *ip, const uint8_t *packet, size_t bytes)
{
    if (bytes < WIRE_IPV4_BYTES) {
        return WIRE_IPV4_SHORT;
    }
    if (packet[0] >> 4 != 4) {
        return WIRE_IPV4_VERSION;
    }
    const size_t header_bytes = (packet[0] & 0x0fu) * 4u;
    const size_t total_bytes = load_u16(packet + 2);
    if (header_bytes < WIRE_IPV4_BYTES || total_bytes < header_bytes) {
        return WIRE_IPV4_HEADER;
    }
    if (bytes < total_bytes) {
        return WIRE_IPV4_SHORT;
    }
    if (wire_sum_finish(wire_sum_add(0, packet, header_bytes)) != 0) {
        return WIRE_IPV4_CHECKSUM;
    }
    if (is_source_impossible(load_u32(packet + 12)) ||
        !read_options(ip, packet + WIRE_IPV4_BYTES, header_bytes - WIRE_IPV4_BYTES)) {
        return WIRE_IPV4_HEADER;
    }
    read_fields(ip, packet, header_bytes);
    return WIRE_OK;
}

void wire_ipv4_emit(uint8_t *packet, const struct wire_ipv4 *ip, uint32_t payload_bytes)
{
    ASSERT(payload_bytes <= UINT16_MAX - WIRE_IPV4_BYTES);
    ASSERT(ip->dscp <= UINT8_MAX >> 2);
    ASSERT(ip->fragment_offset % FRAGMENT_UNIT_BYTES == 0);
    const uint8_t traffic =
        (uint8_t)((unsigned int)ip->dscp << 2 | ((unsigned int)ip->ecn & ECN_MASK));
    const uint16_t fragment = (uint16_t)((ip->dont_fragment ? FRAGMENT_DONT : 0u) |
                                         (ip->more_fragments ? FRAGMENT_MORE : 0u) |
                                         ip->fragment_offset / FRAGMENT_UNIT_BYTES);
    struct word_writer writer = {.at = packet};
    word_put(&writer,
             high_low((uint16_t)(0x4500u | traffic), (uint16_t)(WIRE_IPV4_BYTES + payload_bytes)));
    word_put(&writer, high_low(ip->id, fragment));
    word_put(&writer, high_low((uint16_t)(ip->ttl << 8 | ip->protocol), 0));
    word_put(&writer, ip->source);
    word_put(&writer, ip->target);
    store_checksum(packet + 10, wire_sum_finish(writer.sum));
}
