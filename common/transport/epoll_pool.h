/* The epoll engine's receive buffers: a pool of one size that grows in chunks and never shrinks.
 *
 * Layer: L4, private to common/transport. Owner: the engine; one thread. A buffer is free, lent to
 * the caller (DATA until it comes back), or being sent; what is misused is caught by an assertion.
 * Free buffers are a stack, so that the next receive finds the one that is still in the cache.
 *
 * The pool has no limit of its own: a connection holds read_credit buffers at most, so conns_max
 * times read_credit bounds it. */
#ifndef FINWAIT_TRANSPORT_EPOLL_POOL_H
#define FINWAIT_TRANSPORT_EPOLL_POOL_H

#include <stddef.h>
#include <stdint.h>

#define EPOLL_POOL_CHUNK_SHIFT 6 /* 64 buffers a chunk: 256 KiB of the default size */
#define EPOLL_POOL_CHUNK (1u << EPOLL_POOL_CHUNK_SHIFT)
#define EPOLL_SEND_MEMORY UINT32_MAX /* the buffer id of a send from the caller's memory */

/* Something that is to be sent, in a connection's queue. Every buffer has one, and every connection
 * has one for the caller's memory. */
struct epoll_send {
    struct epoll_send *next; /* in the connection's queue, or in the pool's stack of free buffers */
    const uint8_t *data;     /* what the kernel has not taken yet */
    uint64_t left_bytes;
    uint64_t bytes; /* in all */
    uint32_t buffer_id;
};

enum epoll_buffer_state {
    EPOLL_BUFFER_FREE,
    EPOLL_BUFFER_LENT,
    EPOLL_BUFFER_SENDING,
};

struct epoll_buffer {
    struct epoll_send send;
    uint8_t *bytes; /* its memory, buffer_bytes long */
    enum epoll_buffer_state state;
};

struct epoll_pool {
    uint32_t buffer_bytes;
    uint32_t chunk_count;
    uint32_t chunk_max;            /* places in the table */
    struct epoll_buffer **chunks;  /* heads; a chunk's memory follows its heads */
    struct epoll_send *free_stack; /* of free buffers' sends */
    size_t memory_bytes;
};

/* Prepares an empty pool; allocates nothing. */
void epoll_pool_init(struct epoll_pool *pool, uint32_t buffer_bytes);

/* Frees all memory, lent buffers too. */
void epoll_pool_destroy(struct epoll_pool *pool);

/* Takes a free buffer, which becomes LENT; NULL when memory is out. */
struct epoll_buffer *epoll_pool_take(struct epoll_pool *pool);

/* Finds a buffer by its id. Requires an id that the pool gave. */
struct epoll_buffer *epoll_pool_find(const struct epoll_pool *pool, uint32_t id);

/* Takes a buffer back. Requires that it is not free. */
void epoll_pool_put(struct epoll_pool *pool, struct epoll_buffer *buffer);

#endif
