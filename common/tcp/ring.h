/* Ring: a connection's queued bytes, in a buffer that grows with what it holds.
 *
 * Layer: tcp (L2). The send queue holds what is not yet acknowledged; the receive queue holds what
 * is not yet read, and beyond a gap what came out of order, at its place. 16 bytes while empty and
 * no buffer: an idle connection costs none. Buffers are powers of two from 256 bytes on, taken from
 * and given to free lists, so that churn allocates nothing in the steady state. */
#ifndef FINWAIT_TCP_RING_H
#define FINWAIT_TCP_RING_H

#include <stdint.h>

#include "tcp/memory.h"

#define RING_BYTES_MIN 256u
#define RING_CLASSES 23                         /* 256 B to 1 GiB */
#define RING_KEPT_BYTES_MAX (UINT64_C(4) << 20) /* in free lists, per class at least one */

struct ring_block;

/* The free lists. */
struct ring_store {
    struct memory *memory;
    uint64_t used_bytes; /* in rings */
    uint64_t kept_bytes; /* in free lists */
    struct ring_block *free[RING_CLASSES];
};

struct ring {
    struct ring_block *block; /* NULL: none; the block knows its capacity */
    uint32_t head;            /* offset of the first byte, modulo capacity */
    uint32_t count;           /* bytes in order from the head */
};

void ring_store_init(struct ring_store *store, struct memory *memory);

/* Frees the free lists. Requires that no ring holds a block. */
void ring_store_destroy(struct ring_store *store);

/* Frees kept blocks beyond `bytes`. */
void ring_store_trim(struct ring_store *store, uint64_t bytes);

/* Makes the block large enough for `bytes` from the head on, keeping everything up to `reach` bytes
 * (what lies out of order included). Returns 0 or -ENOMEM with nothing changed. */
int ring_reserve(struct ring_store *store, struct ring *ring, uint32_t bytes, uint32_t reach);

/* Writes at `offset` from the head, for later counting by ring_extend. Requires room reserved. */
void ring_write_at(struct ring *ring, uint32_t offset, const void *bytes, uint32_t count);

/* Counts bytes that were written behind those in order. */
static inline void ring_extend(struct ring *ring, uint32_t count)
{
    ring->count += count;
}

/* Lends `count` bytes from `offset` on as up to two parts. Requires offset + count <= ring->count.
 */
struct ring_view {
    const uint8_t *first;
    const uint8_t *second;
    uint32_t first_bytes;
    uint32_t second_bytes;
};
struct ring_view ring_view(const struct ring *ring, uint32_t offset, uint32_t count);

/* Copies out of the ring; does not consume. Requires offset + count <= ring->count. */
void ring_copy(const struct ring *ring, uint32_t offset, void *bytes, uint32_t count);

/* Drops bytes from the head. `reach` is how many bytes from the head on still matter (those out of
 * order too): a ring with nothing left gives its block back. Requires count <= ring->count. */
void ring_consume(struct ring_store *store, struct ring *ring, uint32_t count, uint32_t reach);

/* Gives the block back and empties the ring. */
void ring_clear(struct ring_store *store, struct ring *ring);

/* Bytes that fit without growing. */
uint32_t ring_capacity(const struct ring *ring);

#endif
