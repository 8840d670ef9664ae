/* What the tests of stack/ether share: a host of four addresses on a /24, on virtual time, and what
 * to expect of it.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_STACK_ETHER_FIXTURE_H
#define FINWAIT_TESTS_STACK_ETHER_FIXTURE_H

#include "tcp/test.h"

#include "stack/ether.h"

#define OURS 0xc0000202u /* 192.0.2.2 to .5 */
#define OURS_LAST 0xc0000205u
#define PEER 0xc0000201u
#define GATEWAY 0xc00002feu
#define FAR 0x08080808u
#define FRAME_ROOM (WIRE_ETHER_BYTES + ETHER_PACKET_MAX)

extern const struct wire_mac our_mac;
extern const struct wire_mac peer_mac;
extern const struct wire_mac other_mac;
extern const struct wire_mac all;
extern const struct wire_mac none;

struct fixture {
    struct test_memory test;
    struct ether ether;
    uint64_t now_ns;
    uint8_t frame[FRAME_ROOM]; /* sent or fetched last */
    size_t frame_bytes;
};

/* Makes a host of four addresses with a gateway on a /24, and an allocator that is checked. */
int set_up(void **state);
int tear_down(void **state);
uint64_t counted(const struct fixture *f, enum ether_counter counter);
void assert_mac(const struct wire_mac *got, const struct wire_mac *expected);

/* Sends a packet of 20 bytes and a mark to `target`. */
enum ether_sent send_marked(struct fixture *f, uint32_t target, uint8_t mark);

/* Fetches a frame into f->frame; frame_bytes is 0 when there is none. */
void fetch(struct fixture *f);
void expect_nothing(struct fixture *f);

/* Requires that the frame at hand is our packet with this mark, to this station. */
void check_packet(const struct fixture *f, const struct wire_mac *to, uint8_t mark);

/* Fetches a frame, which must be our packet with this mark. */
void expect_packet(struct fixture *f, const struct wire_mac *to, uint8_t mark);

/* Fetches a frame, which must be an ARP packet of ours to `to`. */
void expect_arp(struct fixture *f, const struct wire_mac *to, const struct wire_arp *arp);

/* Fetches a frame, which must be our broadcast request for `target`. */
void expect_request(struct fixture *f, uint32_t target);

/* An ARP packet comes in, in a frame for `to`. */
void receive_arp(struct fixture *f, struct wire_arp arp, const struct wire_mac *to);
void receive_reply(struct fixture *f, uint32_t sender, const struct wire_mac *mac);

/* The peer's station asks, as `sender`, for `target`. */
void receive_request(struct fixture *f, uint32_t sender, uint32_t target);

/* Moves time. */
void advance(struct fixture *f, uint64_t by_ns);

/* Makes a neighbour known. */
void meet(struct fixture *f, uint32_t address, const struct wire_mac *mac);

/* Makes room on the link for many neighbours. */
void widen(struct fixture *f);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
