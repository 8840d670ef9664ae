/* AF_PACKET's parts: sockets, filters, receive rings, the transmit ring. packet.c makes a link of
 * them; xdp.c uses a receive ring for ARP.
 *
 * Layer: link (L1), private to it. Plain structs, one thread, no time. The kernel and we hand slots
 * to each other by their status word: whoever is named by it owns the slot's bytes. */
#ifndef FINWAIT_LINK_PACKET_SOCKET_H
#define FINWAIT_LINK_PACKET_SOCKET_H

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include "link/link_ops.h"

/* A mapping that a socket shares with the kernel. */
struct packet_map {
    int fd; /* -1: none */
    uint8_t *bytes;
    size_t size;
};

/* Frames longer than a slot are kept by the socket and read by a call each. This many at once fit
 * into a batch, which ends early at the next. */
#define PACKET_COPIES_MAX 8u

/* How a ring of `slots` (a power of two), each for at least `slot_bytes`, lies in memory. Slots
 * follow each other without a gap, and each begins in another set of the caches than its
 * neighbours: an odd number of cache lines apart. At a power of two they would share a few sets,
 * and push each other out long before the cache is full. */
struct tpacket_req packet_layout(uint32_t slots, uint32_t slot_bytes);

/* A receive ring of TPACKET_V2. */
struct packet_ring {
    struct packet_map map;
    uint8_t *copies; /* room for PACKET_COPIES_MAX frames; NULL: such frames are dropped */
    uint32_t slots;
    uint32_t slot_bytes;
    uint32_t next;   /* the slot that is looked at next, lent ones left out */
    uint32_t lent;   /* slots from `next` on that link_release gives back */
    uint32_t copied; /* of those, frames in `copies` */
};

/* A receive ring of TPACKET_V3. */
struct packet_blocks {
    struct packet_map map;
    uint32_t blocks;
    uint32_t next;      /* the block that is read, or looked at next */
    uint32_t lent;      /* blocks before it that link_release gives back */
    uint32_t remaining; /* frames of it that were not read yet */
    const uint8_t *at;  /* the first of those; NULL: the block is not ours yet */
};

/* When a flush that failed is to be tried again. */
struct packet_retry {
    uint64_t at_ns; /* CLOCK_NEVER: nothing waits for another try */
    bool was_down;  /* the interface was: no use to try before */
};

/* A transmit ring of TPACKET_V2. */
struct packet_transmit {
    struct packet_map map;
    uint32_t slots;
    uint32_t slot_bytes;
    uint32_t frame_max;
    uint32_t next;     /* the slot that is lent next */
    uint32_t queued;   /* slots before it that wait to leave */
    uint32_t refusals; /* flushes in a row that did not let the oldest leave */
    bool has_long;     /* among the queued is a frame that the interface's MTU may forbid */
    char interface[IFNAMSIZ];
    struct packet_retry retry;
};

/* Headers in slots are aligned to 16, so a sockaddr_ll, or a frame to be sent, follows at once. */
_Static_assert(sizeof(struct tpacket2_hdr) % TPACKET_ALIGNMENT == 0, "no padding behind it");
_Static_assert(sizeof(struct tpacket3_hdr) % TPACKET_ALIGNMENT == 0, "no padding behind it");

/* A classic BPF program, small enough for all of ours. */
#define PACKET_PROGRAM_MAX 48u
struct packet_program {
    struct sock_filter code[PACKET_PROGRAM_MAX];
    unsigned short count;
};

/* Accepts nothing; IPv4 to an address range; or all that the socket is bound to. */
void packet_program_nothing(struct packet_program *program);
void packet_program_addresses(struct packet_program *program, uint32_t first, uint32_t last);
void packet_program_all(struct packet_program *program);

/* Computes the worker of a frame (enum link_steer). */
void packet_program_steer(struct packet_program *program, enum link_steer steer, uint32_t workers);

/* Opens a packet socket that receives nothing until it is bound. Returns it, or -errno with the
 * text set. */
int packet_socket_open(const char *interface, struct failure *failure);

/* Sets an option, or fails with a text that names it. */
struct packet_option {
    int name; /* of SOL_PACKET */
    const char *shown;
    const void *value;
    size_t size;
};
int packet_socket_set(int fd, const struct packet_option *option, const char *interface,
                      struct failure *failure);

int packet_socket_filter(int fd, const struct packet_program *program, const char *interface,
                         struct failure *failure);
int packet_socket_bind(int fd, uint16_t ethertype, const char *interface, struct failure *failure);

/* Maps the rings of a socket. */
int packet_map(struct packet_map *map, size_t size, const char *interface, struct failure *failure);
void packet_unmap(struct packet_map *map); /* closes the socket too */

/* Clears a socket's pending error, which would keep poll from waiting, and counts it when it is
 * that of an interface that went down. `counters` may be NULL. */
void packet_socket_clear_error(int fd, uint64_t *counters);

/* What a frame's slot says of it, in both versions. */
struct packet_slot_facts {
    uint32_t status;
    uint32_t bytes;      /* in the slot */
    uint32_t wire_bytes; /* of the frame */
    uint16_t vlan;       /* valid if the status says so */
    uint8_t packet_type; /* PACKET_HOST, ... */
};

/* Tells whether a received frame is the link's to give, and counts why not. */
bool packet_accept(struct link *link, const struct packet_slot_facts *facts, const uint8_t *frame);
uint32_t packet_frame_flags(uint32_t status);

/* Makes a ring on an unbound socket of its own. `frame_max` is the longest frame that a slot takes;
 * `copies`: take longer ones too. On an error nothing is left. */
struct packet_ring_config {
    const char *interface;
    uint32_t slots;
    uint32_t frame_max;
    bool copies;
};
int packet_ring_open(struct packet_ring *ring, const struct packet_ring_config *config,
                     struct failure *failure);
void packet_ring_close(struct packet_ring *ring);
size_t packet_ring_receive(struct packet_ring *ring, struct link *link, struct link_frame *frames,
                           size_t max);
void packet_ring_release(struct packet_ring *ring);
void packet_ring_count(struct packet_ring *ring, uint64_t *counters);
uint64_t packet_ring_memory(const struct packet_ring *ring);

/* Makes a small ring that receives ARP, bound and ready. */
int packet_ring_open_arp(struct packet_ring *ring, const char *interface, struct failure *failure);

int packet_blocks_open(struct packet_blocks *blocks, const struct packet_ring_config *config,
                       struct failure *failure);
void packet_blocks_close(struct packet_blocks *blocks);
size_t packet_blocks_receive(struct packet_blocks *blocks, struct link *link,
                             struct link_frame *frames, size_t max);
void packet_blocks_release(struct packet_blocks *blocks);
void packet_blocks_count(struct packet_blocks *blocks, uint64_t *counters);

int packet_transmit_open(struct packet_transmit *transmit, const struct packet_ring_config *config,
                         struct failure *failure);
void packet_transmit_close(struct packet_transmit *transmit);
size_t packet_transmit_reserve(struct packet_transmit *transmit, struct link_slot *slots,
                               size_t max);
void packet_transmit_send(struct packet_transmit *transmit, const struct link_slot *slots,
                          size_t count);
int packet_transmit_flush(struct packet_transmit *transmit, uint64_t now_ns, uint64_t *counters);

/* Tells what a failed flush returns, counts it and says when to try again. */
int packet_flush_failed(int error, uint64_t now_ns, struct packet_retry *retry, uint64_t *counters);

/* Tells whether a flush is in vain yet, since the interface was down when it was last tried. */
bool packet_flush_is_early(const struct packet_retry *retry, uint64_t now_ns);

#endif
