/* Slab: chunks of equal slots, a free list through the slots, generations that tell old handles
 * apart.
 *
 * Layer: base. A slot is a tag and, right behind it, the object: a lookup reads the tag, and then
 * mostly the object's first fields, from one cache line. A slot is made (its tag written) when it
 * is first handed out, not when its chunk is allocated: pages that no object has used yet cost
 * nothing. */
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

_Static_assert(sizeof(struct slab_tag) % OBJECT_ALIGN == 0, "the object behind a tag is aligned");

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
    size_t bytes = sizeof(struct slab_tag) + object_bytes;
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
static struct slab_tag *slot_make(struct slab *slab)
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
    struct slab_tag *tag = slab_tag_at(slab, index);
    tag->generation = 1;
    return tag;
}

void *slab_alloc(struct slab *slab, uint64_t *handle)
{
    if (slab->live_count == slab->objects_max) {
        return NULL;
    }
    struct slab_tag *tag;
    uint32_t index;
    if (slab->free_head != 0) {
        index = slab->free_head - 1u;
        tag = slab_tag_at(slab, index);
        slab->free_head = tag->link;
    } else {
        index = slab->made_count;
        tag = slot_make(slab);
        if (tag == NULL) {
            return NULL;
        }
    }
    tag->link = SLAB_TAG_LIVE;
    slab->live_count++;
    slab->live_max = slab->live_count > slab->live_max ? slab->live_count : slab->live_max;
    OBJECT_SHOW(tag + 1, slab->object_bytes);
    memset(tag + 1, 0, slab->object_bytes);
    *handle = handle_of(index, tag);
    return tag + 1;
}

void slab_release(struct slab *slab, uint64_t handle)
{
    ASSERT(slab_get(slab, handle) != NULL);
    struct slab_tag *tag = slab_tag_at(slab, (uint32_t)handle);
    tag->generation = (tag->generation + 1u) & GENERATION_MASK;
    if (tag->generation == 0) {
        tag->generation = 1; /* 0 would let slot 0 have SLAB_HANDLE_NONE */
    }
    tag->link = slab->free_head;
    slab->free_head = (uint32_t)handle + 1u;
    slab->live_count--;
    OBJECT_HIDE(tag + 1, slab->object_bytes);
}

void *slab_next(const struct slab *slab, uint32_t *index, uint64_t *handle)
{
    while (*index < slab->made_count) {
        uint32_t here = (*index)++;
        struct slab_tag *tag = slab_tag_at(slab, here);
        if (tag->link == SLAB_TAG_LIVE) {
            *handle = handle_of(here, tag);
            return tag + 1;
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
