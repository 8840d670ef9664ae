/* Slab: objects of one size in large chunks, named by handles that go stale when the object is
 * freed.
 *
 * Layer: base. Owner: whoever holds the struct; one thread. Objects never move and chunks are kept
 * until slab_destroy, so that the steady state allocates nothing. A handle fits 56 bits (index in
 * the low 32, generation in the next 24), which leaves a byte of a 64-bit word for an operation's
 * code. */
#ifndef FINWAIT_BASE_SLAB_H
#define FINWAIT_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define SLAB_HANDLE_BITS 56
#define SLAB_HANDLE_NONE UINT64_C(0) /* no live object ever has it */
#define SLAB_TAG_LIVE UINT32_MAX     /* no link: links are at most 2^31 */

/* The slab's own; it lies right before its object. */
struct slab_tag {
    uint32_t generation; /* 1..2^24 - 1 */
    uint32_t link;       /* SLAB_TAG_LIVE, or the next free slot's index + 1, 0 at the list's end */
    uint64_t unused;     /* keeps the object aligned */
};

struct slab {
    size_t object_bytes;  /* as asked for */
    size_t stride_bytes;  /* tag, object and padding */
    uint32_t objects_max; /* limit that the owner named */
    uint32_t chunk_shift; /* log2 of objects per chunk */
    uint32_t live_count;
    uint32_t live_max;   /* high-water mark */
    uint32_t made_count; /* objects in chunks, live and free */
    uint32_t free_head;  /* index + 1 of the first free object, 0: none */
    uint32_t chunk_count;
    unsigned char **chunks;
};

/* Prepares an empty slab; allocates nothing but the table of chunks. Requires 0 < object_bytes and
 * 0 < objects_max <= 2^31. Returns 0 or -ENOMEM. */
int slab_init(struct slab *slab, size_t object_bytes, uint32_t objects_max);

/* Frees all memory; every pointer and handle ends. Safe on a zeroed struct. */
void slab_destroy(struct slab *slab);

/* Takes a zeroed object, aligned to 16 bytes, and stores its handle. NULL when objects_max are live
 * or memory is out; nothing has changed then. */
void *slab_alloc(struct slab *slab, uint64_t *handle);

/* Finds a slot's tag. Requires index < made_count. */
static inline struct slab_tag *slab_tag_at(const struct slab *slab, uint32_t index)
{
    uint32_t within = index & ((UINT32_C(1) << slab->chunk_shift) - 1u);
    unsigned char *chunk = slab->chunks[index >> slab->chunk_shift];
    return (struct slab_tag *)(void *)(chunk + within * slab->stride_bytes);
}

/* Finds the live object that a handle names, or NULL when it was freed or never was. */
static inline void *slab_get(const struct slab *slab, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    if (index >= slab->made_count) {
        return NULL;
    }
    struct slab_tag *tag = slab_tag_at(slab, index);
    /* The whole upper half is compared: bits above the generation make no handle of ours. */
    return tag->generation == handle >> 32 && tag->link == SLAB_TAG_LIVE ? tag + 1 : NULL;
}

/* Gives a live object back; its handle is stale from here on. Requires a live handle. */
void slab_release(struct slab *slab, uint64_t handle);

/* Finds the next live object at or after *index and moves *index past it; NULL at the end. For
 * walks at shutdown and in reports: `uint32_t i = 0; while ((object = slab_next(slab, &i,
 * &handle)))`. */
void *slab_next(const struct slab *slab, uint32_t *index, uint64_t *handle);

/* Counts the bytes held from the allocator. */
size_t slab_memory_bytes(const struct slab *slab);

#endif
