/* Slab: chunks of equal slots, a free list through the slots, generations that tell old handles
 * apart.
 *
 * Layer: base. A slot is the object and, behind it, a tag; behind rather than before, so that the
 * object begins on the slot's alignment and an object of 56 bytes shares one cache line with its
 * tag. A slot is made (its tag written) when it is first handed out, not when its chunk is
 * allocated: pages that no object has used yet cost nothing. */
#include "base/slab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Under AddressSanitizer a freed object's bytes are poisoned, so that a stale pointer is reported.
 */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define OBJECT_HIDE(object, bytes) ASAN_POISON_MEMORY_REGION(object, bytes)
#define OBJECT_SHOW(object, bytes) ASAN_UNPOISON_MEMORY_REGION(object, bytes)
#else
#define OBJECT_HIDE(object, bytes) ((void)(object), (void)(bytes))
#define OBJECT_SHOW(object, bytes) ((void)(object), (void)(bytes))
#endif

#define OBJECT_ALIGN 16u
#define CHUNK_ALIGN 64u               /* a cache line */
#define CHUNK_BYTES ((size_t)1 << 18) /* aimed at; a larger object gets a chunk of its own */
#define OBJECTS_LIMIT (UINT32_C(1) << 31)
#define GENERATION_MASK UINT32_C(0xffffff)
#define TAG_LIVE UINT32_MAX /* no link: links are at most OBJECTS_LIMIT */

struct slab_tag {
    uint32_t generation; /* 1..GENERATION_MASK */
    uint32_t link;       /* TAG_LIVE, or the next free slot's index + 1, 0 at the list's end */
};

static unsigned char *slot_at(const struct slab *slab, uint32_t index)
{
    uint32_t within = index & ((UINT32_C(1) << slab->chunk_shift) - 1u);
    return slab->chunks[index >> slab->chunk_shift] + within * slab->stride_bytes;
}

static struct slab_tag *tag_of(const struct slab *slab, unsigned char *slot)
{
    return (struct slab_tag *)(void *)(slot + slab->stride_bytes - sizeof(struct slab_tag));
}

static uint64_t handle_of(uint32_t index, const struct slab_tag *tag)
{
    return (uint64_t)tag->generation << 32 | index;
}

static size_t chunk_bytes(const struct slab *slab)
{
    size_t bytes = slab->stride_bytes << slab->chunk_shift;
    return (bytes + CHUNK_ALIGN - 1u) & ~(size_t)(CHUNK_ALIGN - 1u);
}

static size_t table_entries(const struct slab *slab)
{
    return ((size_t)slab->objects_max + ((size_t)1 << slab->chunk_shift) - 1u) >> slab->chunk_shift;
}

int slab_init(struct slab *slab, size_t object_bytes, uint32_t objects_max)
{
    ASSERT(object_bytes > 0);
    ASSERT(objects_max > 0);
    ASSERT(objects_max <= OBJECTS_LIMIT);
    *slab = (struct slab){.object_bytes = object_bytes, .objects_max = objects_max};
    if (object_bytes > SIZE_MAX / 2u) {
        return -ENOMEM;
    }
    size_t bytes = object_bytes + sizeof(struct slab_tag);
    slab->stride_bytes = (bytes + OBJECT_ALIGN - 1u) & ~(size_t)(OBJECT_ALIGN - 1u);
    while (slab->stride_bytes << (slab->chunk_shift + 1u) <= CHUNK_BYTES &&
           UINT32_C(1) << slab->chunk_shift < objects_max) {
        slab->chunk_shift++;
    }
    slab->chunks = calloc(table_entries(slab), sizeof *slab->chunks);
    return slab->chunks != NULL ? 0 : -ENOMEM;
}

void slab_destroy(struct slab *slab)
{
    for (uint32_t i = 0; i < slab->chunk_count; i++) {
        free(slab->chunks[i]);
    }
    free(slab->chunks);
    *slab = (struct slab){0};
}

/* Makes the slot behind the last one made, in a new chunk where it needs one; NULL when memory is
 * out. */
static unsigned char *slot_make(struct slab *slab)
{
    uint32_t index = slab->made_count;
    if (index >> slab->chunk_shift == slab->chunk_count) {
        unsigned char *chunk = aligned_alloc(CHUNK_ALIGN, chunk_bytes(slab));
        if (chunk == NULL) {
            return NULL;
        }
        slab->chunks[slab->chunk_count++] = chunk;
    }
    slab->made_count++;
    unsigned char *slot = slot_at(slab, index);
    tag_of(slab, slot)->generation = 1;
    return slot;
}

void *slab_alloc(struct slab *slab, uint64_t *handle)
{
    if (slab->live_count == slab->objects_max) {
        return NULL;
    }
    unsigned char *slot;
    uint32_t index;
    if (slab->free_head != 0) {
        index = slab->free_head - 1u;
        slot = slot_at(slab, index);
        slab->free_head = tag_of(slab, slot)->link;
    } else {
        index = slab->made_count;
        slot = slot_make(slab);
        if (slot == NULL) {
            return NULL;
        }
    }
    struct slab_tag *tag = tag_of(slab, slot);
    tag->link = TAG_LIVE;
    slab->live_count++;
    slab->live_max = slab->live_count > slab->live_max ? slab->live_count : slab->live_max;
    OBJECT_SHOW(slot, slab->object_bytes);
    memset(slot, 0, slab->object_bytes);
    *handle = handle_of(index, tag);
    return slot;
}

void *slab_get(const struct slab *slab, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    if (index >= slab->made_count) {
        return NULL;
    }
    unsigned char *slot = slot_at(slab, index);
    const struct slab_tag *tag = tag_of(slab, slot);
    /* The whole upper half is compared: bits above the generation make no handle of ours. */
    return tag->generation == handle >> 32 && tag->link == TAG_LIVE ? slot : NULL;
}

void slab_release(struct slab *slab, uint64_t handle)
{
    unsigned char *slot = slab_get(slab, handle);
    ASSERT(slot != NULL);
    struct slab_tag *tag = tag_of(slab, slot);
    tag->generation = (tag->generation + 1u) & GENERATION_MASK;
    if (tag->generation == 0) {
        tag->generation = 1; /* 0 would let slot 0 have SLAB_HANDLE_NONE */
    }
    tag->link = slab->free_head;
    slab->free_head = (uint32_t)handle + 1u;
    slab->live_count--;
    OBJECT_HIDE(slot, slab->object_bytes);
}

void *slab_next(const struct slab *slab, uint32_t *index, uint64_t *handle)
{
    while (*index < slab->made_count) {
        uint32_t here = (*index)++;
        unsigned char *slot = slot_at(slab, here);
        const struct slab_tag *tag = tag_of(slab, slot);
        if (tag->link == TAG_LIVE) {
            *handle = handle_of(here, tag);
            return slot;
        }
    }
    return NULL;
}

size_t slab_memory_bytes(const struct slab *slab)
{
    if (slab->chunks == NULL) {
        return 0;
    }
    return slab->chunk_count * chunk_bytes(slab) + table_entries(slab) * sizeof *slab->chunks;
}
