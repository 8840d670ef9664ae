/* Pool: records of one size, named by a 30-bit index, in chunks that go back when they are empty.
 *
 * Layer: tcp (L2). One owner, one thread. Records do not move. A new record takes the lowest chunk
 * that has room, so that after a flood the high chunks run empty and are given back. A chunk that
 * has just become empty is kept while it is the only one with room, so that a steady state
 * allocates nothing. */
#ifndef FINWAIT_TCP_POOL_H
#define FINWAIT_TCP_POOL_H

#include <stdint.h>

#include "tcp/memory.h"

#define POOL_INDEX_BITS 30

struct pool_chunk; /* records, a free list, a count */

struct pool {
    struct memory *memory;
    uint32_t record_bytes; /* multiple of 8; records are aligned to 64 bytes when it is of 64 */
    uint32_t chunk_shift;  /* log2 of records per chunk */
    uint32_t records_max;
    uint32_t live_count;
    uint32_t chunk_capacity; /* of the table */
    uint32_t chunk_lowest;   /* no chunk below has room */
    size_t memory_bytes;     /* that this pool holds */
    struct pool_chunk **chunks;
};

struct pool_config {
    struct memory *memory; /* borrowed until pool_destroy */
    uint32_t record_bytes;
    uint32_t chunk_shift; /* 4..16 */
    uint32_t records_max; /* 1..2^30 - 1 */
};

/* Prepares an empty pool, which allocates nothing yet. */
void pool_init(struct pool *pool, const struct pool_config *config);

/* Gives all memory back, whatever lives. Safe on a zeroed struct. */
void pool_destroy(struct pool *pool);

/* Takes a zeroed record and stores its index; NULL when records_max live or memory is out. */
void *pool_alloc(struct pool *pool, uint32_t *index);

/* Gives a record back. Requires that it lives. */
void pool_release(struct pool *pool, uint32_t index);

/* Finds a record. Requires that it lives. Inline in spirit: two loads. */
void *pool_at(const struct pool *pool, uint32_t index);

/* Tells whether an index is that of a live record, for handles that may be stale. */
_Bool pool_is_live(const struct pool *pool, uint32_t index);

/* Finds the next live record at or after *index, and moves *index past it; NULL at the end. */
void *pool_next(const struct pool *pool, uint32_t *index);

#endif
