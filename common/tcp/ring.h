/* Ring: a connection's queued bytes, in a buffer that grows with what it holds.
 *
 * Layer: tcp (L2). The send queue holds what is not yet acknowledged; the receive queue holds what
 * is not yet read, and beyond a gap what came out of order, at its place. 16 bytes while empty and
 * no buffer: an idle connection costs none. Buffers are powers of two from 256 bytes on, nothing
 * added, taken from and given to free lists, so that churn allocates nothing in the steady state.
 */
#ifndef FINWAIT_TCP_RING_H
#define FINWAIT_TCP_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "tcp/memory.h"

#define RING_BYTES_MIN 256u
#define RING_CLASSES 23                         /* 256 B to 1 GiB */
#define RING_KEPT_BYTES_MAX (UINT64_C(4) << 20) /* in free lists */

struct ring_block;

/* The free lists. */
struct ring_store {
    struct memory *memory;
    uint64_t used_bytes; /* in rings */
    uint64_t kept_bytes; /* in free lists */
    struct ring_block *free[RING_CLASSES];
};

/* A zeroed ring is an empty one without a block. */
struct ring {
    uint8_t *block; /* NULL: none */
    uint32_t place; /* capacity (the top bit that is set) + offset of the head; 0: no block */
    uint32_t count; /* bytes in order from the head */
};

void ring_store_init(struct ring_store *store, struct memory *memory);

/* Frees the free lists. Requires that no ring holds a block. */
void ring_store_destroy(struct ring_store *store);

/* Frees kept blocks beyond `bytes`, the largest first. */
void ring_store_trim(struct ring_store *store, uint64_t bytes);

/* Counts bytes that fit without growing. */
static inline uint32_t ring_capacity(const struct ring *ring)
{
    return ring->place == 0 ? 0 : UINT32_C(1) << (31 - __builtin_clz(ring->place));
}

/* Makes the block large enough for `bytes` from the head on, keeping everything up to `reach` bytes
 * (what lies out of order included). Returns 0 or -ENOMEM (more than 1 GiB too) with nothing
 * changed. */
int ring_reserve(struct ring_store *store, struct ring *ring, uint32_t bytes, uint32_t reach);

/* Writes at `offset` from the head, for later counting by ring_extend. Requires room reserved. */
void ring_write_at(struct ring *ring, uint32_t offset, const void *bytes, uint32_t count);

/* Counts bytes that were written behind those in order. */
static inline void ring_extend(struct ring *ring, uint32_t count)
{
    ASSERT(count <= ring_capacity(ring) - ring->count);
    ring->count += count;
}

/* Bytes in up to two parts. */
struct ring_view {
    const uint8_t *first;
    const uint8_t *second;
    uint32_t first_bytes;
    uint32_t second_bytes;
};

/* Lends `count` bytes from `offset` on until the next call that changes the ring. Requires offset +
 * count <= ring->count. */
static inline struct ring_view ring_view(const struct ring *ring, uint32_t offset, uint32_t count)
{
    ASSERT((uint64_t)offset + count <= ring->count);
    struct ring_view view = {NULL, NULL, 0, 0};
    if (count > 0) {
        uint32_t capacity = ring_capacity(ring);
        uint32_t from = (ring->place + offset) & (capacity - 1u);
        view.first = ring->block + from;
        view.second = ring->block;
        view.first_bytes = count < capacity - from ? count : capacity - from;
        view.second_bytes = count - view.first_bytes;
    }
    return view;
}

/* Copies out of the ring; does not consume. Requires offset + count <= ring->count. */
void ring_copy(const struct ring *ring, uint32_t offset, void *bytes, uint32_t count);

/* Drops bytes from the head. `reach` counts, as for ring_reserve, from the head before the drop up
 * to the last byte that matters (those out of order too; those in order need not be counted): a
 * ring with nothing left gives its block back. Requires count <= ring->count. */
void ring_consume(struct ring_store *store, struct ring *ring, uint32_t count, uint32_t reach);

/* Gives the block back and empties the ring. */
void ring_clear(struct ring_store *store, struct ring *ring);

#endif
