#include "transport/buffer_pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Where one buffer ends and the next begins, so that they share no cache line. */
#define POOL_ALIGN 64u

static size_t round_up(size_t bytes)
{
    return (bytes + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN;
}

void buffer_pool_init(struct buffer_pool *pool, uint32_t buffer_bytes)
{
    memset(pool, 0, sizeof(*pool));
    pool->buffer_bytes = buffer_bytes;
}

void buffer_pool_destroy(struct buffer_pool *pool)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++) {
        free(pool->chunks[i]);
    }
    free(pool->chunks);
    buffer_pool_init(pool, pool->buffer_bytes);
}

static void push_free(struct buffer_pool *pool, struct pool_buffer *buffer)
{
    buffer->state = POOL_BUFFER_FREE;
    buffer->piece.next = pool->free_stack;
    pool->free_stack = &buffer->piece;
}

/* Makes room in the table for one more chunk; returns false when memory is out. */
static bool table_grow(struct buffer_pool *pool)
{
    if (pool->chunk_count < pool->chunk_max) {
        return true;
    }
    uint32_t max = pool->chunk_max ? 2 * pool->chunk_max : 16;
    struct pool_buffer **chunks = realloc(pool->chunks, max * sizeof(*chunks));
    if (chunks == NULL) {
        return false;
    }
    pool->memory_bytes += (max - pool->chunk_max) * sizeof(*chunks);
    pool->chunks = chunks;
    pool->chunk_max = max;
    return true;
}

static bool pool_grow(struct buffer_pool *pool)
{
    size_t heads_bytes = round_up(BUFFER_POOL_CHUNK * sizeof(struct pool_buffer));
    size_t stride_bytes = round_up(pool->buffer_bytes);
    size_t chunk_bytes = heads_bytes + BUFFER_POOL_CHUNK * stride_bytes;
    if (!table_grow(pool)) {
        return false;
    }
    struct pool_buffer *chunk = aligned_alloc(POOL_ALIGN, chunk_bytes);
    if (chunk == NULL) {
        return false;
    }
    /* Last first, so that the stack hands them out in the order of their addresses. */
    for (uint32_t i = BUFFER_POOL_CHUNK; i-- > 0;) {
        uint32_t id = (pool->chunk_count << BUFFER_POOL_CHUNK_SHIFT) + i;
        chunk[i] = (struct pool_buffer){
            .piece.buffer_id = id,
            .bytes = (uint8_t *)chunk + heads_bytes + i * stride_bytes,
        };
        push_free(pool, &chunk[i]);
    }
    pool->chunks[pool->chunk_count++] = chunk;
    pool->memory_bytes += chunk_bytes;
    return true;
}

struct pool_buffer *buffer_pool_take(struct buffer_pool *pool)
{
    if (pool->free_stack == NULL && !pool_grow(pool)) {
        return NULL;
    }
    struct send_piece *piece = pool->free_stack;
    pool->free_stack = piece->next;
    /* The piece is the buffer's first member. */
    struct pool_buffer *buffer = (struct pool_buffer *)piece;
    ASSERT(buffer->state == POOL_BUFFER_FREE);
    buffer->state = POOL_BUFFER_LENT;
    return buffer;
}

struct pool_buffer *buffer_pool_find(const struct buffer_pool *pool, uint32_t id)
{
    uint32_t chunk = id >> BUFFER_POOL_CHUNK_SHIFT;
    ASSERT(chunk < pool->chunk_count);
    return &pool->chunks[chunk][id & (BUFFER_POOL_CHUNK - 1)];
}

void buffer_pool_put(struct buffer_pool *pool, struct pool_buffer *buffer)
{
    ASSERT(buffer->state != POOL_BUFFER_FREE);
    push_free(pool, buffer);
}
