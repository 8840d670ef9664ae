/* Ranges: disjoint blocks of sequence space, for what came out of order (receiver) and what the
 * peer says it has (sender's SACK scoreboard).
 *
 * Layer: tcp (L2). Plain data; blocks never touch or overlap and are in sequence order. Limited to
 * RANGES_MAX blocks: a block that would make one more is refused and the caller counts it. */
#ifndef FINWAIT_TCP_RANGES_H
#define FINWAIT_TCP_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 32u

struct range {
    uint32_t start;
    uint32_t end; /* the first after it; start != end */
};

struct ranges {
    uint32_t count;
    uint32_t total; /* bytes in all blocks */
    struct range items[RANGES_MAX];
};

enum ranges_result {
    RANGES_ADDED,   /* something new */
    RANGES_KNOWN,   /* all of it was there */
    RANGES_REFUSED, /* it would be one block too many; nothing changed */
};

/* Adds a block, merging what it touches. Requires start < end and everything within 2^31. */
enum ranges_result ranges_add(struct ranges *ranges, struct range range);

/* Removes everything before `seq`. */
void ranges_trim(struct ranges *ranges, uint32_t seq);

/* Finds the block that holds `seq`, or NULL. */
const struct range *ranges_find(const struct ranges *ranges, uint32_t seq);

/* Tells whether all of a block is covered. */
bool ranges_cover(const struct ranges *ranges, struct range range);

/* Counts the bytes covered at or above `seq`. */
uint32_t ranges_above(const struct ranges *ranges, uint32_t seq);

/* Finds the first gap at or above `from` and below `limit`; false when there is none. */
bool ranges_gap(const struct ranges *ranges, uint32_t from, uint32_t limit, struct range *gap);

#endif
