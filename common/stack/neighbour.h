/* Neighbour: the ARP cache, private to stack/ether.
 *
 * Layer: stack (L3). Owner: a struct ether; one thread. */
#ifndef FINWAIT_STACK_NEIGHBOUR_H
#define FINWAIT_STACK_NEIGHBOUR_H

#include "stack/ether.h"

enum neighbour_state { NEIGHBOUR_ASKED, NEIGHBOUR_KNOWN, NEIGHBOUR_STATIC };

struct ether_frame {
    struct ether_frame *next;
    size_t bytes;
    bool is_packet; /* not ARP */
    uint8_t data[];
};

struct neighbour {
    struct neighbour *chain; /* in its bucket */
    struct neighbour *older;
    struct neighbour *newer;
    struct wheel_timer timer;
    uint64_t expires_ns;
    uint64_t asked_ns; /* last; 0: never */
    uint32_t address;
    uint32_t asks; /* unanswered */
    enum neighbour_state state;
    struct wire_mac mac;
    struct ether_frames waiting;
};

void frames_init(struct ether_frames *frames);

/* Gives a frame's memory back. */
void frame_release(struct ether *ether, struct ether_frame *frame);

/* Puts a frame last. */
void frames_put(struct ether_frames *frames, struct ether_frame *frame);

/* Takes the first frame; NULL when there is none. */
struct ether_frame *frames_take(struct ether_frames *frames);

/* Finds a neighbour, in whatever state; NULL when there is none. */
struct neighbour *neighbour_find(const struct ether *ether, uint32_t address);

/* Makes room in the table, by forgetting the oldest if need be, and adds one that is yet unknown.
 * NULL, counted, when there is no memory, or when the oldest was asked for less than a second ago:
 * forgetting it would forget that it must not be asked again yet. */
struct neighbour *neighbour_add(struct ether *ether, uint32_t address);

/* Drops what waits for one, and forgets it. */
void neighbour_forget(struct ether *ether, struct neighbour *neighbour);

/* Puts one behind all others in the order of displacement. Requires that it is not static. */
void neighbour_touch(struct ether *ether, struct neighbour *neighbour);

/* Takes one that became static out of the order of displacement. */
void neighbour_pin(struct ether *ether, struct neighbour *neighbour);

#endif
