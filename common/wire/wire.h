/* Wire: packet headers, parsed once at the edge and emitted once.
 *
 * Layer: wire (L1). Pure functions over plain data: no state, no allocation, no clock. What leaves
 * a parser is in host order and validated, and points into the packet for its payload; what is
 * wrong with a packet is a verdict with a name (wire/verdicts.def), never an error of ours. */
#ifndef FINWAIT_WIRE_WIRE_H
#define FINWAIT_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"

/* Why a packet was not taken; WIRE_OK is 0. */
enum wire_verdict {
    WIRE_OK,
#define COUNTER(name, help) WIRE_##name,
#include "wire/verdicts.def"
#undef COUNTER
    WIRE_VERDICT_COUNT
};

/* Name and help of each verdict, WIRE_OK included. */
extern const struct counter_info wire_verdict_infos[WIRE_VERDICT_COUNT];

/* RFC 1071. The sum is kept unfolded in 64 bits, so parts add up in any order that keeps every part
 * but the last of even length. */
uint64_t wire_sum_add(uint64_t sum, const void *bytes, size_t count);

/* Folds a sum and complements it: the value of a checksum field, in network order as it lies in
 * memory. */
uint16_t wire_sum_finish(uint64_t sum);

/* Copies bytes and adds them to a sum in one pass. */
uint64_t wire_sum_copy(uint64_t sum, void *target, const void *source, size_t count);

#define WIRE_IPV4_BYTES 20u
#define WIRE_TCP_BYTES 20u
#define WIRE_TCP_OPTIONS_MAX 40u
#define WIRE_ETHER_BYTES 14u
#define WIRE_ARP_BYTES 28u

#define WIRE_PROTO_ICMP 1u
#define WIRE_PROTO_TCP 6u

enum wire_ecn { WIRE_ECN_NOT, WIRE_ECN_ECT1, WIRE_ECN_ECT0, WIRE_ECN_CE }; /* RFC 3168 section 5 */

/* RFC 791. */
struct wire_ipv4 {
    uint32_t source; /* host order */
    uint32_t target;
    uint8_t protocol;
    uint8_t ttl;
    uint8_t dscp; /* 0..63 */
    enum wire_ecn ecn;
    uint16_t id;
    bool dont_fragment;
    bool more_fragments;
    uint16_t fragment_offset; /* bytes */
    const uint8_t *header;    /* into the packet; for ICMP errors, which quote it */
    uint32_t header_bytes;    /* with options, which are skipped */
    bool source_routed;       /* one of them is a source route */
    const uint8_t *payload;
    uint32_t payload_bytes; /* by total length: padding behind it is cut off */
};

/* Parses one packet. Options are checked for their form and skipped (MUST-50 of RFC 9293). */
enum wire_verdict wire_ipv4_parse(struct wire_ipv4 *ip, const uint8_t *packet, size_t bytes);

/* Writes a header of 20 bytes for a payload of `payload_bytes`, with its checksum. Uses source,
 * target, protocol, ttl, dscp, ecn, id, dont_fragment, more_fragments, fragment_offset. */
void wire_ipv4_emit(uint8_t *packet, const struct wire_ipv4 *ip, uint32_t payload_bytes);

enum wire_tcp_flag {
    WIRE_FIN = 0x01,
    WIRE_SYN = 0x02,
    WIRE_RST = 0x04,
    WIRE_PSH = 0x08,
    WIRE_ACK = 0x10,
    WIRE_URG = 0x20,
    WIRE_ECE = 0x40,
    WIRE_CWR = 0x80,
};

#define WIRE_SACK_MAX 4u
#define WIRE_WSCALE_MAX 14u /* RFC 7323 section 2.3 */

struct wire_sack {
    uint32_t start;
    uint32_t end; /* the first byte after the block */
};

/* What the options say; zeroed is "none". */
struct wire_tcp_options {
    uint16_t mss; /* 0: not given. An MSS of 0 counts as not given */
    bool sack_permitted;
    bool has_wscale;
    bool has_timestamp;
    uint8_t wscale; /* as received, already capped at WIRE_WSCALE_MAX */
    uint8_t sack_count;
    uint32_t ts_val;
    uint32_t ts_ecr;
    struct wire_sack sack[WIRE_SACK_MAX];
};

/* A TCP segment. */
struct wire_tcp {
    uint16_t source_port;
    uint16_t target_port;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags; /* enum wire_tcp_flag */
    uint16_t window;
    uint16_t urgent;
    uint32_t payload_bytes;
    const uint8_t *payload; /* into the packet */
    struct wire_tcp_options options;
};

/* Parses a segment: header, options, checksum. Options of unknown kinds are skipped by their length
 * (MUST-6); one with an impossible length ends the list without harm to the segment (MUST-7).
 * `checksum_done` skips the checksum's verification: only for what the link vouches for. Requires
 * that `ip` is not a fragment. */
enum wire_verdict wire_tcp_parse(struct wire_tcp *tcp, const struct wire_ipv4 *ip,
                                 bool checksum_done);

/* Parses options alone, `bytes` at `options`. */
void wire_tcp_options_parse(struct wire_tcp_options *options, const uint8_t *bytes, size_t count);

/* Counts the bytes that a segment's options take, padded to 4. In a SYN they go out in the order
 * MSS, SACK permitted, timestamps, NOP, window scale (as Linux does); elsewhere timestamps, then as
 * many SACK blocks as fit. */
uint32_t wire_tcp_options_bytes(const struct wire_tcp_options *options);

/* A payload in up to two parts, as it lies in a ring buffer. */
struct wire_payload {
    const uint8_t *first;
    const uint8_t *second;
    uint32_t first_bytes;
    uint32_t second_bytes;
};

/* Writes an IPv4 packet with a TCP segment, both checksums included, and returns its length: 20 +
 * 20 + options + payload. `tcp->payload` is not used; `payload` may be NULL. Of `ip` it uses what
 * wire_ipv4_emit does. Requires room for the result. */
uint32_t wire_tcp_emit(uint8_t *packet, const struct wire_ipv4 *ip, const struct wire_tcp *tcp,
                       const struct wire_payload *payload);

enum wire_icmp_type {
    WIRE_ICMP_ECHO_REPLY = 0,
    WIRE_ICMP_UNREACHABLE = 3,
    WIRE_ICMP_SOURCE_QUENCH = 4,
    WIRE_ICMP_REDIRECT = 5,
    WIRE_ICMP_ECHO = 8,
    WIRE_ICMP_TIME_EXCEEDED = 11,
    WIRE_ICMP_PARAMETER_PROBLEM = 12,
};

enum wire_icmp_unreachable {
    WIRE_UNREACHABLE_NET = 0,
    WIRE_UNREACHABLE_HOST = 1,
    WIRE_UNREACHABLE_PROTOCOL = 2,
    WIRE_UNREACHABLE_PORT = 3,
    WIRE_UNREACHABLE_FRAGMENTATION_NEEDED = 4,
    WIRE_UNREACHABLE_SOURCE_ROUTE = 5,
};

enum wire_icmp_exceeded { WIRE_EXCEEDED_TTL = 0, WIRE_EXCEEDED_REASSEMBLY = 1 };

/* RFC 792. For an error, what it quotes of our own packet. */
struct wire_icmp {
    uint8_t type;
    uint8_t code;
    uint16_t next_hop_mtu; /* RFC 1191; 0: not told */
    bool quotes_tcp; /* the fields below are set: at least 8 bytes of a TCP header are there */
    uint32_t quoted_source;
    uint32_t quoted_target;
    uint16_t quoted_source_port;
    uint16_t quoted_target_port;
    uint32_t quoted_seq;
    uint16_t quoted_bytes; /* total length of the quoted packet */
    const uint8_t *body;   /* of an echo: from the identifier on, to be sent back */
    uint32_t body_bytes;
};

enum wire_verdict wire_icmp_parse(struct wire_icmp *icmp, const struct wire_ipv4 *ip);

/* Writes an IPv4 packet that answers an echo request, and returns its length. `ip` is the request's
 * header, whose addresses are exchanged. Requires room for 20 + 4 + body_bytes. */
uint32_t wire_icmp_emit_echo_reply(uint8_t *packet, const struct wire_ipv4 *ip,
                                   const struct wire_icmp *echo, uint16_t id);

#define WIRE_ICMP_ERROR_BYTES (WIRE_IPV4_BYTES + 8u) /* and what is quoted */
#define WIRE_ICMP_QUOTE_MAX 68u                      /* the longest header and 8 bytes */

/* What an error quotes: an IPv4 header as it came, and the first 8 bytes behind it. */
struct wire_icmp_quote {
    const uint8_t *bytes;
    uint32_t count;
};

/* Writes an IPv4 packet that tells the source of what is quoted that its fragments did not all come
 * in time (type 11, code 1), and returns its length, WIRE_ICMP_ERROR_BYTES and the quote's. */
uint32_t wire_icmp_emit_time_exceeded(uint8_t *packet, const struct wire_icmp_quote *quote,
                                      uint16_t id);

/* Ethernet II and ARP over it: RFC 894, RFC 826. */
struct wire_mac {
    uint8_t bytes[6];
};

#define WIRE_ETHERTYPE_IPV4 0x0800u
#define WIRE_ETHERTYPE_ARP 0x0806u

struct wire_ether {
    struct wire_mac target;
    struct wire_mac source;
    uint16_t type;
    const uint8_t *payload;
    uint32_t payload_bytes;
};

enum wire_verdict wire_ether_parse(struct wire_ether *ether, const uint8_t *frame, size_t bytes);
void wire_ether_emit(uint8_t *frame, const struct wire_ether *ether);

enum wire_arp_operation { WIRE_ARP_REQUEST = 1, WIRE_ARP_REPLY = 2 };

struct wire_arp {
    uint16_t operation;
    struct wire_mac sender_mac;
    uint32_t sender_ip;
    struct wire_mac target_mac;
    uint32_t target_ip;
};

enum wire_verdict wire_arp_parse(struct wire_arp *arp, const uint8_t *packet, size_t bytes);

/* Writes WIRE_ARP_BYTES. */
void wire_arp_emit(uint8_t *packet, const struct wire_arp *arp);

#endif
