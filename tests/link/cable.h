/* A cable for link tests: two network namespaces of the test's own, joined by a veth pair, and
 * frames to send over it that tell their number.
 *
 * Layer: tests. The process has one thread and is in a namespace of its own (tcpstat/namespace.h);
 * it moves between the two ends. Both go with their descriptors and the process. */
#ifndef FINWAIT_TESTS_LINK_CABLE_H
#define FINWAIT_TESTS_LINK_CABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/link.h"

#define CABLE_INTERFACE "veth0"
#define CABLE_NETWORK 0x0a090000u /* 10.9.0.0/24; an end's address is 10.9.0.1 + its index */
#define CABLE_FRAME_MIN 42u       /* the shortest that frame_write makes */

struct cable {
    int netns[2];
};

static inline uint32_t cable_address(int end)
{
    return CABLE_NETWORK + 1 + (uint32_t)end;
}

void cable_make(struct cable *cable);
void cable_close(struct cable *cable);
void cable_enter(const struct cable *cable, int end);
void cable_set_up(const struct cable *cable, int end, bool up);

/* Gives the kernel at an end its address, and the other end's hardware address for good. */
void cable_give_kernel(const struct cable *cable, int end, const uint8_t *other_mac);

/* Tells the kernel of the end where we are a hardware address for good. */
void cable_add_neighbour(uint32_t address, const uint8_t *mac);

/* Opens a link at an end; what `config` leaves at zero of interface and addresses is the end's. */
struct link *cable_open(const struct cable *cable, int end, const struct link_config *config);

/* Tells whether this process may open AF_XDP links. */
bool cable_allows_xdp(void);

/* An end's interface as the kernel tells it now. */
struct link_interface cable_interface(const struct cable *cable, int end);

/* Writes a frame that carries its number and, in every byte behind, what follows from it. */
struct frame_plan {
    const uint8_t *target_mac;
    uint32_t target_address;
    uint32_t number;
    uint32_t bytes; /* of the frame */
};
void frame_write(uint8_t *frame, const struct frame_plan *plan);

/* Fails the test unless the frame is the one that was written. */
void frame_check(const struct link_frame *frame, const struct frame_plan *plan);

/* The number of a frame, or UINT32_MAX when it is not one of ours. */
uint32_t frame_number(const struct link_frame *frame);

/* The length that frame `number` of a test has: from the shortest to `max`, all over. */
uint32_t frame_length(uint32_t number, uint32_t max);

/* Reserves, writes and sends one frame; flushes when asked. Returns whether there was room. */
bool frame_send(struct link *link, const struct frame_plan *plan, bool flush);

/* Waits until a link has frames to give, 5 s at most; false: it has none. */
bool link_wait(struct link *link);

/* Receives frames until `wanted` of ours came or none come any more; checks that they are those
 * from `first` on, in order, of the lengths of frame_length(number, length_max). */
struct drain {
    struct frame_plan plan; /* of the first */
    uint32_t length_max;
    uint32_t wanted;
};
uint32_t drain_in_order(struct link *link, const struct drain *drain);

/* Reads one counter of a link. */
uint64_t link_counter_read(struct link *link, enum link_counter counter);

#endif
