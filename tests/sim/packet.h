/* Packets as the judge reads them: raw IPv4 and TCP, parsed and checked without common/wire.
 *
 * Layer: tests. Pure functions over the caller's bytes; no memory is kept. What is parsed is in
 * host order. The judge shares no code with the judged, so that one slip cannot hide another. */
#ifndef FINWAIT_TESTS_SIM_PACKET_H
#define FINWAIT_TESTS_SIM_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_flag {
    PACKET_FIN = 0x01,
    PACKET_SYN = 0x02,
    PACKET_RST = 0x04,
    PACKET_PSH = 0x08,
    PACKET_ACK = 0x10,
    PACKET_URG = 0x20,
    PACKET_ECE = 0x40,
    PACKET_CWR = 0x80,
};

enum packet_option {
    PACKET_OPTION_END = 0,
    PACKET_OPTION_NOP = 1,
    PACKET_OPTION_MSS = 2,
    PACKET_OPTION_WSCALE = 3,
    PACKET_OPTION_SACK_PERMITTED = 4,
    PACKET_OPTION_SACK = 5,
    PACKET_OPTION_TIMESTAMPS = 8,
};

/* Bits of packet.options. */
enum packet_has {
    PACKET_HAS_MSS = 1,
    PACKET_HAS_WSCALE = 2,
    PACKET_HAS_SACK_PERMITTED = 4,
    PACKET_HAS_SACK = 8,
    PACKET_HAS_TIMESTAMPS = 16,
};

enum packet_verdict {
    PACKET_OK,
    PACKET_OTHER_PROTOCOL, /* sound IPv4, but not TCP */
    PACKET_FRAGMENT,       /* sound IPv4, a part of something */
    PACKET_BAD_IP,         /* version, lengths or header checksum */
    PACKET_BAD_TCP,        /* data offset or length */
    PACKET_BAD_CHECKSUM,   /* of TCP */
    PACKET_BAD_OPTIONS,    /* length, a repeat, an unknown kind, or padding that is not zero */
};

#define PACKET_SACK_MAX 4
#define PACKET_ORDER_MAX 12
#define PACKET_IP_BYTES 20u
#define PACKET_TCP_BYTES 20u

struct packet {
    uint32_t source;
    uint32_t target;
    uint16_t source_port;
    uint16_t target_port;
    uint32_t seq;
    uint32_t ack;
    uint16_t window; /* as on the wire, not scaled */
    uint16_t urgent;
    uint8_t flags;
    uint8_t reserved; /* the four bits that must be zero */
    uint8_t ip_ecn;
    uint8_t ip_dscp;
    uint8_t ttl;
    bool dont_fragment;
    uint16_t ip_bytes;
    uint16_t tcp_header_bytes;
    uint32_t payload_bytes;
    const uint8_t *payload; /* points into the caller's bytes */
    uint8_t options;        /* enum packet_has */
    uint8_t wscale;
    uint16_t mss;
    uint32_t tsval;
    uint32_t tsecr;
    uint8_t sack_count;
    uint8_t order_count;
    uint8_t order[PACKET_ORDER_MAX]; /* kinds in their order, NOPs too */
    uint32_t sack[PACKET_SACK_MAX][2];
};

/* Parses one raw packet. Anything but PACKET_OK leaves `packet` filled as far as it got. Bytes
 * behind the IP total length are padding and allowed. */
enum packet_verdict packet_parse(struct packet *packet, const uint8_t *bytes, size_t count);

/* Counts the sequence numbers that a segment occupies. */
static inline uint32_t packet_length(const struct packet *packet)
{
    return packet->payload_bytes + ((packet->flags & PACKET_SYN) ? 1u : 0u) +
           ((packet->flags & PACKET_FIN) ? 1u : 0u);
}

/* Sums as the Internet checksum does, over an even offset; fold before use. */
uint64_t packet_sum(const uint8_t *bytes, size_t count, uint64_t sum);
uint16_t packet_fold(uint64_t sum);

/* Builds a packet from what `packet` holds (order gives the options; END pads). Returns its bytes,
 * or 0 when they exceed `capacity`. Both checksums are right. */
size_t packet_build(const struct packet *packet, uint8_t *bytes, size_t capacity);

/* Writes both checksums anew into a packet whose lengths are sound. */
void packet_finish(uint8_t *bytes);

static inline uint32_t packet_get32(const uint8_t *at)
{
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

static inline uint16_t packet_get16(const uint8_t *at)
{
    return (uint16_t)((at[0] << 8) | at[1]);
}

static inline void packet_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void packet_put32(uint8_t *at, uint32_t value)
{
    packet_put16(at, value >> 16);
    packet_put16(at + 2, value & 0xffffu);
}

#endif
