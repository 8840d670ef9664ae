/* Ether: Ethernet framing and ARP between a link's frames and a host's raw IP packets.
 *
 * Layer: stack (L3). Owner: the struct's holder, one thread; neighbours and waiting frames live in
 * memory from the allocator given, whose amount is bounded. Sans I/O: frames in, frames out, time
 * as an argument.
 *
 * Use: hand every received frame to ether_input, and the packets that come back to the host. Have
 * the host write its packets WIRE_ETHER_BYTES into a buffer and call ether_output, which writes the
 * frame's header in front, or keeps a copy of the packet until the neighbour answers. After either,
 * and after ether_advance, fetch the frames that are due with ether_fetch.
 *
 * A neighbour (RFC 826, RFC 1122 section 2.3.2) and what leads it on:
 *
 *            ether_output: unknown          learn: a reply, or any ARP packet of its
 *     none ------------------------> ASKED ---------------------------------------> KNOWN
 *       ^                            |   ^                                         |   |
 *       |  expire: ASKS_MAX asks     |   |  expire: in use, and did not answer     |   |
 *       +----------------------------+   +-----------------------------------------+   |
 *       |                                  expire: LIFETIME_NS without a word of it     |
 *       +------------------------------------------------------------------------------+
 *
 * One that is in use is asked again, by unicast, before its time is up. */
#ifndef FINWAIT_STACK_ETHER_H
#define FINWAIT_STACK_ETHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/wheel.h"
#include "tcp/memory.h"
#include "wire/wire.h"

#define ETHER_NEIGHBOURS_MAX 1024u /* beside static ones; the oldest is displaced */
#define ETHER_WAITING_MAX 1024u    /* packets that wait for one neighbour; the oldest is dropped */
#define ETHER_WAITING_BYTES_MAX (1u << 20) /* of such packets in all, until they are fetched */
#define ETHER_ARP_MAX 1024u                /* ARP frames that wait to be fetched */
#define ETHER_PACKET_MAX 65535u

#define NEIGHBOUR_LIFETIME_NS (60u * NS_PER_SEC) /* RFC 1122 section 2.3.2.1: about a minute */
#define NEIGHBOUR_REFRESH_NS (15u * NS_PER_SEC)  /* before its end one in use is asked again */
#define NEIGHBOUR_ASK_NS NS_PER_SEC              /* RFC 1122 section 2.3.2.1: 1 a second at most */
#define NEIGHBOUR_ASKS_MAX 3u

enum ether_counter {
#define COUNTER(name, help) ETHER_COUNTER_##name,
#include "stack/ether.def"
#undef COUNTER
    ETHER_COUNTER_COUNT
};

extern const struct counter_info ether_counter_infos[ETHER_COUNTER_COUNT];

/* Addresses are in host order. */
struct ether_config {
    struct wire_mac mac;
    uint32_t address_first; /* the host owns every address from here */
    uint32_t address_last;  /* to here */
    uint8_t prefix_bits;    /* of the link: targets that share them with address_first are on it */
    uint32_t gateway;       /* to all others; 0: there is none */
    bool silent;            /* learns by ARP and asks, but leaves it to another to answer */
};

struct ether_frame;
struct neighbour;

#define ETHER_BUCKETS 256u

/* Frames in order. */
struct ether_frames {
    struct ether_frame *first;
    struct ether_frame **last_link;
    uint32_t count;
};

struct ether {
    struct ether_config config;
    struct memory *memory; /* borrowed */
    struct wheel timers;
    uint64_t now_ns;
    struct neighbour *buckets[ETHER_BUCKETS]; /* by address, the neighbours' chains */
    struct neighbour *oldest;                 /* by when they were last heard of or asked for */
    struct neighbour *newest;
    struct neighbour *used_last; /* where the last packet went; may be NULL */
    uint32_t neighbour_count;    /* static ones not counted */
    bool probing;                /* an address of ours is not yet taken for sure */
    uint32_t conflict_address;   /* that another station claimed last; 0: none did */
    struct wire_mac conflict_mac;
    size_t waiting_bytes; /* of packets */
    uint32_t arp_count;   /* frames in `due` */
    struct ether_frames due;
    uint64_t counters[ETHER_COUNTER_COUNT];
};

/* Prepares one; `config` is copied, `memory` is kept. Requires address_first <= address_last and
 * prefix_bits <= 32. The struct must not move afterwards. */
void ether_init(struct ether *ether, const struct ether_config *config, struct memory *memory,
                uint64_t now_ns);

/* Gives all memory back; frames that wait are dropped. */
void ether_release(struct ether *ether);

/* Tells a neighbour's hardware address for good; no ARP packet changes it. Returns 0 or -ENOMEM. */
int ether_add_static(struct ether *ether, uint32_t address, const struct wire_mac *mac);

/* Announces an address of ours to all (RFC 5227 section 2.3), so that they forget who had it
 * before. Ends probing. */
void ether_announce(struct ether *ether, uint32_t address);

/* Asks who has an address that we mean to take (RFC 5227 section 2.1.1): whoever answers is a
 * conflict. Until ether_announce nobody who asks for us is answered, and whoever probes for an
 * address of ours too is a conflict. */
void ether_probe(struct ether *ether, uint32_t address);

/* Takes a received frame. Returns true when it holds an IPv4 packet for our station: `*packet` then
 * points into the frame, padding included. ARP is dealt with here. */
bool ether_input(struct ether *ether, const uint8_t *frame, size_t bytes, const uint8_t **packet,
                 size_t *packet_bytes);

/* Tells whether packets to a target have a way: not those to ourselves, to many, or beyond the link
 * without a gateway. */
bool ether_has_route(const struct ether *ether, uint32_t target);

enum ether_sent {
    ETHER_SEND,   /* the frame is whole: send WIRE_ETHER_BYTES + packet_bytes */
    ETHER_WAITS,  /* a copy was kept; ether_fetch gives it when the neighbour has answered */
    ETHER_DROPPED /* and counted */
};

/* Frames a packet that lies WIRE_ETHER_BYTES behind `frame`. The next hop is the packet's target
 * itself where the link's prefix holds it, else the gateway. Requires a whole IPv4 header and
 * packet_bytes <= ETHER_PACKET_MAX. */
enum ether_sent ether_output(struct ether *ether, uint8_t *frame, size_t packet_bytes);

/* Writes the next due frame and returns its length; 0 when there is none. Requires room for
 * WIRE_ETHER_BYTES + the longest packet given to ether_output, and for an ARP packet. */
size_t ether_fetch(struct ether *ether, uint8_t *frame);

/* Moves time, which never goes back, and lets neighbours expire. All other calls happen at the time
 * of the last one. */
void ether_advance(struct ether *ether, uint64_t now_ns);

/* Tells when ether_advance is next worth a call; CLOCK_NEVER: no timer runs. */
uint64_t ether_deadline_ns(const struct ether *ether);

#endif
