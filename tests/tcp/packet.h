/* TCP/IPv4 packets as the tests of the whole host write and read them, from the RFCs' pictures
 * alone: nothing is shared with common/wire, so that a mistake there cannot hide here.
 *
 * Layer: tests. Memory: a packet points into the bytes that it was read from. */
#ifndef FINWAIT_TESTS_TCP_PACKET_H
#define FINWAIT_TESTS_TCP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_ROOM 65536u
#define PACKET_OPTIONS_MAX 40u

enum packet_flag {
    FIN = 1 << 0,
    SYN = 1 << 1,
    RST = 1 << 2,
    PSH = 1 << 3,
    ACK = 1 << 4,
    URG = 1 << 5,
    ECE = 1 << 6,
    CWR = 1 << 7,
};

struct packet_range {
    uint32_t left;
    uint32_t right;
};

/* A segment with its IPv4 header. All numbers are in host order. */
struct packet {
    uint32_t source;
    uint32_t target;
    uint8_t ttl; /* 64 when 0 */
    uint8_t tos; /* DSCP and ECN */
    uint8_t protocol;
    bool do_not_fragment;
    uint16_t source_port;
    uint16_t target_port;
    uint32_t seq;
    uint32_t ack;
    uint32_t flags;    /* enum packet_flag */
    uint32_t reserved; /* the four bits between data offset and flags */
    uint16_t window;   /* as it stands in the header */
    uint16_t urgent;
    const void *data;
    uint32_t bytes;
    /* Options, in the order in which they are written. */
    uint16_t mss; /* 0: none */
    bool sack_permitted;
    bool has_timestamp;
    uint32_t ts_val;
    uint32_t ts_ecr;
    bool has_window_scale;
    uint8_t window_scale;
    uint32_t sack_count;
    struct packet_range sack[4];
    const uint8_t *other_options; /* written as they are, behind the rest */
    uint32_t other_options_bytes;
    const uint8_t *ip_options; /* a multiple of four bytes */
    uint32_t ip_options_bytes;
    /* Read only: the options' kinds in their order, ended by 0. */
    uint8_t kinds[PACKET_OPTIONS_MAX + 1u];
};

/* Writes a packet, checksums and all, and returns its length. */
size_t packet_build(const struct packet *packet, uint8_t *out);

/* Reads a packet and checks what a sender owes: checksums, lengths, zeroed padding and reserved
 * bits, well-formed options. Returns NULL, or what is wrong. */
const char *packet_parse(const uint8_t *in, size_t bytes, struct packet *packet);

/* Adds up 16-bit words as RFC 1071 does, on top of `sum`, and returns the sum not yet inverted. */
uint32_t packet_sum(uint32_t sum, const uint8_t *bytes, size_t count);
uint16_t packet_sum_finish(uint32_t sum);

/* An ICMP message: an echo, or an error that quotes `quoted`. */
struct packet_icmp {
    uint32_t source;
    uint32_t target;
    uint8_t type;
    uint8_t code;
    uint32_t rest; /* the header's second word */
    const uint8_t *body;
    uint32_t body_bytes;
};

size_t packet_build_icmp(const struct packet_icmp *icmp, uint8_t *out);

#endif
