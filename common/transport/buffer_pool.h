/* Receive buffers of the epoll and stack engines: a pool of one size that grows in chunks and never
 * shrinks.
 *
 * Layer: L4, private to common/transport. Owner: the engine; one thread. A buffer is free, lent to
 * the caller (DATA until it comes back), or being sent; what is misused is caught by an assertion.
 * Free buffers are a stack, so that the next receive finds the one that is still in the cache.
 *
 * The pool has no limit of its own: a connection holds read_credit buffers at most, so conns_max
 * times read_credit bounds it. */
#ifndef FINWAIT_TRANSPORT_BUFFER_POOL_H
#define FINWAIT_TRANSPORT_BUFFER_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "transport/send_queue.h"

#define BUFFER_POOL_CHUNK_SHIFT 6 /* 64 buffers a chunk: 256 KiB of the default size */
#define BUFFER_POOL_CHUNK (1u << BUFFER_POOL_CHUNK_SHIFT)

enum pool_buffer_state {
    POOL_BUFFER_FREE,
    POOL_BUFFER_LENT,
    POOL_BUFFER_SENDING,
};

struct pool_buffer {
    struct send_piece piece; /* what it is when it is sent; while it is free, its place on the
                              * stack */
    uint8_t *bytes;          /* its memory, buffer_bytes long */
    enum pool_buffer_state state;
};

struct buffer_pool {
    uint32_t buffer_bytes;
    uint32_t chunk_count;
    uint32_t chunk_max;            /* places in the table */
    struct pool_buffer **chunks;   /* heads; a chunk's memory follows its heads */
    struct send_piece *free_stack; /* of free buffers' pieces */
    size_t memory_bytes;
};

/* Prepares an empty pool; allocates nothing. */
void buffer_pool_init(struct buffer_pool *pool, uint32_t buffer_bytes);

/* Frees all memory, lent buffers too. */
void buffer_pool_destroy(struct buffer_pool *pool);

/* Takes a free buffer, which becomes LENT; NULL when memory is out. */
struct pool_buffer *buffer_pool_take(struct buffer_pool *pool);

/* Finds a buffer by its id. Requires an id that the pool gave. */
struct pool_buffer *buffer_pool_find(const struct buffer_pool *pool, uint32_t id);

/* Takes a buffer back. Requires that it is not free. */
void buffer_pool_put(struct buffer_pool *pool, struct pool_buffer *buffer);

#endif
