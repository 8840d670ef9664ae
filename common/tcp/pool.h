/* Pool: records of one size, named by a 30-bit index, in chunks that go back when they are empty.
 *
 * Layer: tcp (L2). One owner, one thread. Records do not move. A new record takes the lowest chunk
 * that has room, so that after a flood the high chunks run empty and are given back. An empty chunk
 * is kept until half a chunk is free elsewhere, so that a steady state allocates nothing. */
#ifndef FINWAIT_TCP_POOL_H
#define FINWAIT_TCP_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcp/memory.h"

#define POOL_INDEX_BITS 30

struct pool_chunk; /* a free list, counts, a bit for each record that lives */

/* A place for a chunk; both NULL: there is none. */
struct pool_place {
    unsigned char *records;
    struct pool_chunk *chunk;
};

struct pool {
    struct memory *memory;
    uint32_t record_bytes; /* multiple of 8; records are aligned to 64 bytes when it is of 64 */
    uint32_t chunk_shift;  /* log2 of records per chunk */
    uint32_t records_max;
    uint32_t live_count;
    uint32_t chunk_count;
    uint32_t chunk_capacity; /* of the table, a multiple of 64 */
    uint32_t chunk_lowest;   /* no chunk below has room */
    uint32_t chunk_empty;    /* the one that is kept, or UINT32_MAX */
    size_t memory_bytes;     /* that this pool holds */
    struct pool_place *places;
    uint64_t *rooms; /* a bit a chunk: it has room. Behind the places, in their block */
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

/* Finds a record, without looking at it. Requires that it lives. */
static inline void *pool_at(const struct pool *pool, uint32_t index)
{
    size_t within = index & ((UINT32_C(1) << pool->chunk_shift) - 1u);
    return pool->places[index >> pool->chunk_shift].records + within * pool->record_bytes;
}

/* Tells whether an index is that of a live record, for handles that may be stale. */
bool pool_is_live(const struct pool *pool, uint32_t index);

/* Finds the next live record at or after *index, and moves *index past it; NULL at the end. */
void *pool_next(const struct pool *pool, uint32_t *index);

#endif
