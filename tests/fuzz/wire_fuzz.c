/* Fuzz target: packets. Every parser takes any bytes; what parses lies inside of them, is emitted
 * and parses to the same.
 *
 * Layer: tests. The first byte says what becomes of the rest: see enum mode. Few mutations keep a
 * checksum right, so the target can mend them. */
#include "fuzz/fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/mend.h"
#include "wire/wire.h"

#define PACKET_MAX 4096u

enum mode {
    MODE_FRAME = 1,   /* an Ethernet frame, else an IPv4 packet */
    MODE_MEND = 2,    /* checksums are made right */
    MODE_VOUCHED = 4, /* the TCP checksum is not looked at */
};

struct input {
    const uint8_t *bytes;
    size_t count;
};

static void require_inside(const struct input *input, const uint8_t *part, size_t count)
{
    REQUIRE(part >= input->bytes);
    REQUIRE(part + count <= input->bytes + input->count);
}

static void check_arp(const struct wire_ether *ether)
{
    struct wire_arp arp;
    struct wire_arp again;
    uint8_t packet[WIRE_ARP_BYTES];
    if (wire_arp_parse(&arp, ether->payload, ether->payload_bytes) != WIRE_OK) {
        return;
    }
    wire_arp_emit(packet, &arp);
    REQUIRE(memcmp(packet, ether->payload, sizeof(packet)) == 0);
    REQUIRE(wire_arp_parse(&again, packet, sizeof(packet)) == WIRE_OK);
    REQUIRE(again.sender_ip == arp.sender_ip && again.target_ip == arp.target_ip);
}

static void check_same_ipv4(const struct wire_ipv4 *a, const struct wire_ipv4 *b)
{
    REQUIRE(a->source == b->source);
    REQUIRE(a->target == b->target);
    REQUIRE(a->protocol == b->protocol);
    REQUIRE(a->ttl == b->ttl);
    REQUIRE(a->dscp == b->dscp);
    REQUIRE(a->ecn == b->ecn);
    REQUIRE(a->id == b->id);
    REQUIRE(a->dont_fragment == b->dont_fragment);
    REQUIRE(a->more_fragments == b->more_fragments);
    REQUIRE(a->fragment_offset == b->fragment_offset);
}

static void check_same_tcp(const struct wire_tcp *a, const struct wire_tcp *b)
{
    REQUIRE(a->source_port == b->source_port);
    REQUIRE(a->target_port == b->target_port);
    REQUIRE(a->seq == b->seq);
    REQUIRE(a->ack == b->ack);
    REQUIRE(a->flags == b->flags);
    REQUIRE(a->window == b->window);
    REQUIRE(a->urgent == b->urgent);
    REQUIRE(a->payload_bytes == b->payload_bytes);
    REQUIRE(memcmp(a->payload, b->payload, a->payload_bytes) == 0);
    REQUIRE(a->options.mss == b->options.mss);
    REQUIRE(a->options.sack_permitted == b->options.sack_permitted);
    REQUIRE(a->options.has_wscale == b->options.has_wscale);
    REQUIRE(a->options.wscale == b->options.wscale);
    REQUIRE(a->options.has_timestamp == b->options.has_timestamp);
    REQUIRE(a->options.ts_val == b->options.ts_val);
    REQUIRE(a->options.ts_ecr == b->options.ts_ecr);
}

/* Emits a segment with its payload in two parts, cut where the segment itself says. */
static void check_tcp(const struct input *input, const struct wire_ipv4 *ip, bool vouched)
{
    struct wire_tcp tcp;
    struct wire_tcp again;
    struct wire_ipv4 ip_again;
    uint8_t packet[PACKET_MAX + WIRE_TCP_OPTIONS_MAX];
    if (wire_tcp_parse(&tcp, ip, vouched) != WIRE_OK) {
        return;
    }
    require_inside(input, tcp.payload, tcp.payload_bytes);
    REQUIRE(tcp.source_port != 0 && tcp.target_port != 0);
    const uint32_t cut = tcp.payload_bytes == 0 ? 0 : tcp.seq % (tcp.payload_bytes + 1);
    const struct wire_payload payload = {.first = tcp.payload,
                                         .first_bytes = cut,
                                         .second = tcp.payload + cut,
                                         .second_bytes = tcp.payload_bytes - cut};
    const uint32_t bytes = wire_tcp_emit(packet, ip, &tcp, &payload);
    REQUIRE(bytes <= sizeof(packet));
    REQUIRE(wire_ipv4_parse(&ip_again, packet, bytes) == WIRE_OK);
    check_same_ipv4(&ip_again, ip);
    REQUIRE(wire_tcp_parse(&again, &ip_again, false) == WIRE_OK);
    check_same_tcp(&again, &tcp);
}

static void check_icmp(const struct input *input, const struct wire_ipv4 *ip)
{
    struct wire_icmp icmp;
    struct wire_icmp again;
    struct wire_ipv4 ip_again;
    uint8_t packet[PACKET_MAX];
    if (wire_icmp_parse(&icmp, ip) != WIRE_OK || icmp.body == NULL) {
        return;
    }
    require_inside(input, icmp.body, icmp.body_bytes);
    if (ip->target == 0 || ip->target >> 28 >= 14 || ip->target >> 24 == 0) {
        return; /* a reply could not come from there */
    }
    const uint32_t bytes = wire_icmp_emit_echo_reply(packet, ip, &icmp, 1);
    REQUIRE(wire_ipv4_parse(&ip_again, packet, bytes) == WIRE_OK);
    REQUIRE(ip_again.source == ip->target && ip_again.target == ip->source);
    REQUIRE(wire_icmp_parse(&again, &ip_again) == WIRE_OK);
    REQUIRE(again.type == WIRE_ICMP_ECHO_REPLY);
    REQUIRE(again.body_bytes == icmp.body_bytes);
    REQUIRE(memcmp(again.body, icmp.body, icmp.body_bytes) == 0);
}

static void check_ipv4(const struct input *input, bool vouched)
{
    struct wire_ipv4 ip;
    struct wire_ipv4 again;
    uint8_t header[WIRE_IPV4_BYTES];
    if (wire_ipv4_parse(&ip, input->bytes, input->count) != WIRE_OK) {
        return;
    }
    require_inside(input, ip.header, ip.header_bytes);
    require_inside(input, ip.payload, ip.payload_bytes);
    REQUIRE(ip.payload == ip.header + ip.header_bytes);
    wire_ipv4_emit(header, &ip, 0);
    REQUIRE(wire_ipv4_parse(&again, header, sizeof(header)) == WIRE_OK);
    check_same_ipv4(&again, &ip);
    if (ip.more_fragments || ip.fragment_offset != 0) {
        return;
    }
    if (ip.protocol == WIRE_PROTO_TCP) {
        check_tcp(input, &ip, vouched);
    } else if (ip.protocol == WIRE_PROTO_ICMP) {
        check_icmp(input, &ip);
    }
}

/* Makes checksums right where there is room for them. */
static void mend(uint8_t *packet, size_t count)
{
    if (count < WIRE_IPV4_BYTES || packet[0] >> 4 != 4) {
        return;
    }
    const size_t header = (packet[0] & 0x0fu) * 4u;
    const size_t total = (size_t)packet[2] << 8 | packet[3];
    if (header < WIRE_IPV4_BYTES || total < header || total > count) {
        return;
    }
    mend_ipv4(packet);
    const size_t needed = packet[9] == WIRE_PROTO_ICMP ? 4u : WIRE_TCP_BYTES;
    if ((packet[9] == WIRE_PROTO_ICMP || packet[9] == WIRE_PROTO_TCP) && total - header >= needed) {
        mend_payload(packet);
    }
}

static void check_packet(const uint8_t *bytes, size_t count, uint8_t mode)
{
    if ((mode & MODE_MEND) == 0) {
        check_ipv4(&(struct input){.bytes = bytes, .count = count}, (mode & MODE_VOUCHED) != 0);
        return;
    }
    uint8_t *mended = malloc(count + 1); /* of its own, so that its end is guarded */
    REQUIRE(mended != NULL);
    memcpy(mended, bytes, count);
    mend(mended, count);
    check_ipv4(&(struct input){.bytes = mended, .count = count}, (mode & MODE_VOUCHED) != 0);
    free(mended);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct wire_ether ether;
    uint8_t header[WIRE_ETHER_BYTES];
    if (count == 0 || count > PACKET_MAX) {
        return 0;
    }
    const uint8_t mode = bytes[0];
    if ((mode & MODE_FRAME) == 0) {
        check_packet(bytes + 1, count - 1, mode);
        return 0;
    }
    if (wire_ether_parse(&ether, bytes + 1, count - 1) != WIRE_OK) {
        return 0;
    }
    require_inside(&(struct input){.bytes = bytes, .count = count}, ether.payload,
                   ether.payload_bytes);
    wire_ether_emit(header, &ether);
    REQUIRE(memcmp(header, bytes + 1, sizeof(header)) == 0);
    check_arp(&ether);
    check_packet(ether.payload, ether.payload_bytes, mode);
    return 0;
}
