/* Ring: power-of-two blocks and their free lists; see ring.h. */
#include "tcp/ring.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define BYTES_MIN_SHIFT 8u
#define BYTES_MAX (UINT32_C(1) << 30)

/* How a free block begins. */
struct ring_block {
    struct ring_block *next;
};

_Static_assert(RING_BYTES_MIN == 1u << BYTES_MIN_SHIFT, "the shift is the minimum's logarithm");
_Static_assert(BYTES_MAX == RING_BYTES_MIN << (RING_CLASSES - 1), "the last class is the maximum");

static uint32_t class_bytes(unsigned class)
{
    return RING_BYTES_MIN << class;
}

/* Finds the class of the smallest block that holds `bytes`. Requires 0 < bytes <= BYTES_MAX. */
static unsigned class_of(uint32_t bytes)
{
    return bytes <= RING_BYTES_MIN ? 0
                                   : 32u - (unsigned)__builtin_clz(bytes - 1u) - BYTES_MIN_SHIFT;
}

void ring_store_init(struct ring_store *store, struct memory *memory)
{
    *store = (struct ring_store){.memory = memory};
}

static void *store_take(struct ring_store *store, unsigned class)
{
    struct ring_block *block = store->free[class];
    if (block != NULL) {
        MEMORY_SHOW(block, class_bytes(class));
        store->free[class] = block->next;
        store->kept_bytes -= class_bytes(class);
    } else {
        block = memory_alloc_raw(store->memory, class_bytes(class));
    }
    store->used_bytes += block != NULL ? class_bytes(class) : 0;
    return block;
}

static void store_give(struct ring_store *store, uint8_t *bytes, unsigned class)
{
    store->used_bytes -= class_bytes(class);
    if (store->kept_bytes + class_bytes(class) > RING_KEPT_BYTES_MAX) {
        memory_release(store->memory, bytes, class_bytes(class));
        return;
    }
    struct ring_block *block = (struct ring_block *)(void *)bytes;
    block->next = store->free[class];
    store->free[class] = block;
    store->kept_bytes += class_bytes(class);
    MEMORY_HIDE(block, class_bytes(class));
}

void ring_store_trim(struct ring_store *store, uint64_t bytes)
{
    for (unsigned class = RING_CLASSES; class -- > 0;) {
        while (store->kept_bytes > bytes && store->free[class] != NULL) {
            struct ring_block *block = store->free[class];
            MEMORY_SHOW(block, class_bytes(class));
            store->free[class] = block->next;
            store->kept_bytes -= class_bytes(class);
            memory_release(store->memory, block, class_bytes(class));
        }
    }
}

void ring_store_destroy(struct ring_store *store)
{
    ASSERT(store->used_bytes == 0);
    ring_store_trim(store, 0);
}

/* Copies `count` bytes from `offset` on, whether they are in order or not. */
static void copy_out(const struct ring *ring, uint32_t offset, void *bytes, uint32_t count)
{
    if (count == 0) {
        return;
    }
    uint32_t capacity = ring_capacity(ring);
    uint32_t from = (ring->place + offset) & (capacity - 1u);
    uint32_t first = count < capacity - from ? count : capacity - from;
    memcpy(bytes, ring->block + from, first);
    memcpy((uint8_t *)bytes + first, ring->block, count - first);
}

int ring_reserve(struct ring_store *store, struct ring *ring, uint32_t bytes, uint32_t reach)
{
    uint32_t capacity = ring_capacity(ring);
    if (bytes <= capacity) {
        return 0;
    }
    if (bytes > BYTES_MAX) {
        return -ENOMEM;
    }
    uint32_t kept = reach > ring->count ? reach : ring->count;
    ASSERT(kept <= capacity);
    unsigned class = class_of(bytes);
    uint8_t *block = store_take(store, class);
    if (block == NULL) {
        return -ENOMEM;
    }
    copy_out(ring, 0, block, kept);
    if (ring->block != NULL) {
        store_give(store, ring->block, class_of(capacity));
    }
    ring->block = block;
    ring->place = class_bytes(class);
    return 0;
}

void ring_write_at(struct ring *ring, uint32_t offset, const void *bytes, uint32_t count)
{
    if (count == 0) {
        return;
    }
    uint32_t capacity = ring_capacity(ring);
    ASSERT((uint64_t)offset + count <= capacity);
    uint32_t to = (ring->place + offset) & (capacity - 1u);
    uint32_t first = count < capacity - to ? count : capacity - to;
    memcpy(ring->block + to, bytes, first);
    memcpy(ring->block, (const uint8_t *)bytes + first, count - first);
}

void ring_copy(const struct ring *ring, uint32_t offset, void *bytes, uint32_t count)
{
    ASSERT((uint64_t)offset + count <= ring->count);
    copy_out(ring, offset, bytes, count);
}

void ring_consume(struct ring_store *store, struct ring *ring, uint32_t count, uint32_t reach)
{
    ASSERT(count <= ring->count);
    ring->count -= count;
    if (ring->count == 0 && reach <= count) {
        ring_clear(store, ring);
        return;
    }
    uint32_t capacity = ring_capacity(ring);
    ring->place = capacity | ((ring->place + count) & (capacity - 1u));
}

void ring_clear(struct ring_store *store, struct ring *ring)
{
    if (ring->block != NULL) {
        store_give(store, ring->block, class_of(ring_capacity(ring)));
    }
    *ring = (struct ring){0};
}
