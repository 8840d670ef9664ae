/* Lockstep: a client's connections under way, and what became of each frame that it awaited.
 *
 * Layer: bench/null. As many connections as were asked for are under way at any time, each in a
 * slot, and each awaits one frame. It arrives, or the connection is given up after a time without
 * it and another begins in its slot; a frame that arrives after that is late, belongs to nobody,
 * and is not answered, so that the number under way stays. Owner of the memory: the lockstep, which
 * is a plain struct. Time is an argument; nothing here sends. */
#ifndef FINWAIT_BENCH_NULL_LOCKSTEP_H
#define FINWAIT_BENCH_NULL_LOCKSTEP_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/null/canned.h"

#define LOCKSTEP_SLOTS_MAX 1000u

/* What the client has counted. Always: awaited = arrived + given_up + in flight, and
 * begun = completed + failed + under way. */
struct lockstep_counts {
    uint64_t begun; /* connections */
    uint64_t completed;
    uint64_t failed;  /* given up */
    uint64_t awaited; /* frames: one for each that was sent and has an answer */
    uint64_t arrived;
    uint64_t given_up; /* not there in time: late ones have come since, the others are lost */
    uint64_t late;
};

struct lockstep_slot {
    uint32_t number;
    enum canned_segment awaits; /* NONE: nothing, its last frame could not be sent */
    uint64_t since_ns;
};

struct lockstep {
    struct lockstep_slot slots[LOCKSTEP_SLOTS_MAX];
    uint32_t slot_count;
    uint64_t patience_ns;
    uint64_t looked_ns; /* when slots were last looked through for what is overdue */
    struct lockstep_counts counts;
};

/* Begins with no connection under way. Requires 1 to LOCKSTEP_SLOTS_MAX slots. */
void lockstep_init(struct lockstep *lockstep, uint32_t slot_count, uint64_t patience_ns);

/* Begins a connection in a slot and returns its number; its SYN is to be sent, and
 * lockstep_await called when it was. */
uint32_t lockstep_begin(struct lockstep *lockstep, uint32_t slot);

/* Tells whether a frame that arrived is the one that its connection awaits; counts it as arrived or
 * as late. When it is, the connection awaits nothing more until lockstep_await. */
bool lockstep_arrive(struct lockstep *lockstep, uint32_t number, enum canned_segment segment);

/* A frame of a connection was sent, and this one is awaited in answer. */
void lockstep_await(struct lockstep *lockstep, uint32_t number, enum canned_segment segment,
                    uint64_t now_ns);

/* A connection is complete. Its slot is free for lockstep_begin. */
void lockstep_complete(struct lockstep *lockstep, uint32_t number);

/* The slot of a connection's number. */
uint32_t lockstep_slot_of(const struct lockstep *lockstep, uint32_t number);

/* Gives connections up that are overdue, or stuck since a frame of theirs could not be sent; stores
 * their slots, at most `max`, and returns how many: a connection is to begin in each. Looks through
 * all slots only now and then. */
uint32_t lockstep_give_up(struct lockstep *lockstep, uint64_t now_ns, uint32_t *slots,
                          uint32_t max);

/* Frames that are awaited now. */
uint32_t lockstep_in_flight(const struct lockstep *lockstep);

/* Tells whether the counts add up, late ones among those given up. */
bool lockstep_adds_up(const struct lockstep_counts *counts, uint64_t in_flight, uint64_t under_way);

#endif
