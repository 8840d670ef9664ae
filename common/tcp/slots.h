/* Slots: records in the order in which they came, kept for an equal time each, in a ring of chunks.
 *
 * Layer: tcp (L2). One owner, one thread. This is TIME_WAIT's store: with one delay for all,
 * position is the order of expiry, and no record needs a timer. A record is named by a 30-bit
 * reference, its position modulo 2^30. A record that ends early leaves a dead slot behind; the
 * owner compacts when half are dead. Chunks go back as the head passes them, but for one that is
 * kept for the tail while records live.
 *
 * Records begin with a struct tuple, and a local port of 0 marks a dead slot: whoever appends fills
 * the tuple before the next call. The oldest slot is never dead. */
#ifndef FINWAIT_TCP_SLOTS_H
#define FINWAIT_TCP_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcp/memory.h"

#define SLOTS_RECORD_BYTES 32u
#define SLOTS_CHUNK_RECORDS 4096u
#define SLOTS_REFERENCE_BITS 30

struct slots {
    struct memory *memory;
    uint64_t head; /* position of the oldest record, which lives; the tail when there is none */
    uint64_t tail; /* position of the next */
    uint32_t live_count;
    uint32_t records_max;
    uint32_t chunk_capacity; /* of the table, a power of two */
    bool compacting;
    size_t memory_bytes;
    unsigned char **chunks; /* by position / SLOTS_CHUNK_RECORDS, modulo chunk_capacity */
    unsigned char *spare;   /* a chunk that the head has passed, for the tail; NULL: none */
    uint64_t compact_from;  /* cursors of a compaction under way: the next slot to look at, ... */
    uint64_t compact_to;    /* ... and where its record goes; all between the two are dead */
};

void slots_init(struct slots *slots, struct memory *memory, uint32_t records_max);

/* Gives all memory back. Safe on a zeroed struct. */
void slots_destroy(struct slots *slots);

/* Appends a zeroed record and stores its reference; NULL when records_max live, 2^30 - 1 slots are
 * in use, or memory is out. */
void *slots_append(struct slots *slots, uint32_t *reference);

/* Finds a live record, without looking at it. */
static inline void *slots_at(const struct slots *slots, uint32_t reference)
{
    uint32_t chunk = reference / SLOTS_CHUNK_RECORDS & (slots->chunk_capacity - 1u);
    size_t within = reference % SLOTS_CHUNK_RECORDS;
    return slots->chunks[chunk] + within * SLOTS_RECORD_BYTES;
}

/* Kills a record: the whole slot is zeroed. Dead slots at the head are passed over at once, and
 * their chunks go back. Requires that it lives. */
void slots_release(struct slots *slots, uint32_t reference);

/* Finds the oldest live record and stores its reference; NULL when there is none. */
static inline void *slots_oldest(const struct slots *slots, uint32_t *reference)
{
    if (slots->head == slots->tail) {
        return NULL;
    }
    *reference = (uint32_t)slots->head & ((UINT32_C(1) << SLOTS_REFERENCE_BITS) - 1u);
    return slots_at(slots, *reference);
}

/* Finds the record that is `count` slots behind the oldest, which is about to be the oldest itself:
 * its owner asks the cache for what the expiry will touch. NULL when it is dead or there is none.
 */
void *slots_ahead(const struct slots *slots, uint32_t count);

/* Asks the cache for the record that is `count` slots behind the oldest, without looking at it. */
void slots_prefetch(const struct slots *slots, uint32_t count);

/* Tells that dead slots outnumber live ones and are worth a compaction (at least a chunk of them),
 * or that one is under way. */
bool slots_wants_compaction(const struct slots *slots);

/* Takes a compaction up to `count` slots further: live records move towards the head and close the
 * gaps, in order, and `moved` is told of each; when all are done the tail comes back behind the
 * last and chunks beyond it are given back. Other calls may come between two steps, not from
 * `moved`. It ends only when `count` is more than what is appended between two steps. */
void slots_compact(struct slots *slots, uint32_t count,
                   void (*moved)(void *context, uint32_t from, uint32_t to), void *context);

/* Finds the next live record from *position (0 at first) on, and moves it past; NULL at the end. */
void *slots_next(const struct slots *slots, uint64_t *position, uint32_t *reference);

#endif
