/* Rings of the io_uring engine: opening further ones, slots of their tables, groups of buffers. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "transport/uring_engine.h"

uint32_t uring_buffer_id(uint32_t ring, uint32_t group, uint32_t index)
{
    return ring << URING_ID_RING_SHIFT | group << URING_ID_GROUP_SHIFT | index;
}

struct uring_buffers *uring_group_of(struct uring_engine *engine, uint32_t id, uint32_t *index)
{
    *index = id & 0xffffu;
    uint32_t group = id >> URING_ID_GROUP_SHIFT & (URING_GROUPS_MAX - 1u);
    return &engine->rings[id >> URING_ID_RING_SHIFT]->groups[group];
}

/* Splits the table: the lower part for the kernel's accept to fill, the upper for slots that we
 * name. */
static int slots_init(const struct uring_engine *engine, struct uring_ring *ring)
{
    uint32_t size = ring->uring.table_size;
    ring->slots_free = size;
    ring->slots_ours = engine->head.config.listens ? size : 0;
    if (engine->head.config.listens && engine->head.config.connects) {
        ring->slots_ours = size / 2;
        int rc = io_uring_register_file_alloc_range(&ring->uring.ring, 0, ring->slots_ours);
        if (rc != 0) {
            return rc;
        }
        ring->slots_free = ring->slots_ours;
    }
    if (!engine->head.config.connects || size == 0) {
        return 0;
    }
    ring->free_slots = malloc((size - ring->slots_ours) * sizeof(*ring->free_slots));
    if (ring->free_slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t slot = size; slot > ring->slots_ours; slot--) {
        ring->free_slots[ring->free_count++] = slot - 1;
    }
    return 0;
}

/* The first ring waits on a further one through an eventfd: polling a ring that defers its task
 * work from another ring has been seen to lose wake-ups. */
static int eventfd_init(struct uring_ring *ring)
{
    ring->eventfd = eventfd(0, EFD_CLOEXEC);
    if (ring->eventfd < 0) {
        return -errno;
    }
    return io_uring_register_eventfd(&ring->uring.ring, ring->eventfd);
}

static void ring_free(struct uring_ring *ring)
{
    if (ring->eventfd >= 0) {
        close(ring->eventfd);
    }
    uring_close(&ring->uring);
    for (uint32_t i = 0; i < ring->group_count; i++) {
        uring_buffers_close(&ring->groups[i]);
    }
    free(ring->groups);
    free(ring->free_slots);
    free(ring);
}

static int group_add(struct uring_engine *engine, struct uring_ring *ring, uint32_t count)
{
    int rc =
        uring_buffers_open(&ring->groups[ring->group_count], &ring->uring,
                           (uint16_t)ring->group_count, count, engine->head.config.buffer_bytes);
    if (rc == 0) {
        ring->group = ring->group_count++;
    }
    return rc;
}

static int ring_fill(struct uring_engine *engine, struct uring_ring *ring, bool first)
{
    ring->groups = calloc(URING_GROUPS_MAX, sizeof(*ring->groups));
    if (ring->groups == NULL) {
        return -ENOMEM;
    }
    int rc = slots_init(engine, ring);
    if (rc == 0 && !first) {
        rc = eventfd_init(ring);
    }
    return rc == 0 ? group_add(engine, ring, URING_GROUP_FIRST) : rc;
}

int uring_rings_add(struct uring_engine *engine, struct failure *failure)
{
    if (engine->ring_count == URING_RINGS_MAX) {
        return failure_set(failure, ENOBUFS,
                           "io_uring: %u rings are open, the most that there may be",
                           URING_RINGS_MAX);
    }
    struct uring_ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL) {
        return failure_set(failure, ENOMEM, "out of memory for a ring");
    }
    ring->eventfd = -1;
    bool first = engine->ring_count == 0;
    struct uring_config config = {.sq_entries = URING_SQ_ENTRIES,
                                  .cq_entries = URING_CQ_ENTRIES,
                                  .table_size = engine->table_wanted,
                                  .features = engine->features};
    int rc = uring_open(&ring->uring, &config, failure);
    if (rc != 0) {
        free(ring);
        return rc;
    }
    rc = ring_fill(engine, ring, first);
    if (rc != 0) {
        ring_free(ring);
        return failure_set(failure, -rc, "io_uring: cannot prepare a ring: %s",
                           failure_errno_words(-rc));
    }
    engine->rings[engine->ring_count++] = ring;
    if (!first) {
        uring_wake_arm(engine, ring->eventfd, &ring->eventfd_value, engine->ring_count - 1);
    }
    ENGINE_COUNT(&engine->head, rings);
    return 0;
}

void uring_rings_free(struct uring_engine *engine)
{
    for (uint32_t i = 0; i < engine->ring_count; i++) {
        ring_free(engine->rings[i]);
    }
}

int uring_rings_for_connect(struct uring_engine *engine)
{
    for (uint32_t tried = 0; tried < engine->ring_count; tried++) {
        if (engine->rings[engine->connect_ring]->free_count != 0) {
            return 0;
        }
        engine->connect_ring = (engine->connect_ring + 1) % engine->ring_count;
    }
    struct failure failure;
    int rc = uring_rings_add(engine, &failure);
    if (rc == 0) {
        engine->connect_ring = engine->ring_count - 1;
    }
    return rc;
}

int32_t uring_slot_take(struct uring_ring *ring)
{
    ASSERT(ring->free_count > 0);
    return (int32_t)ring->free_slots[--ring->free_count];
}

void uring_slot_give(struct uring_ring *ring, int32_t slot)
{
    if ((uint32_t)slot >= ring->slots_ours) {
        ring->free_slots[ring->free_count++] = (uint32_t)slot;
    } else {
        ring->slots_free++;
    }
}

/* Tells how many groups a ring may have: enough for every connection to hold its whole credit,
 * and some over. */
static uint32_t groups_max(const struct uring_engine *engine)
{
    uint64_t buffers =
        (uint64_t)engine->head.config.conns_max * (engine->head.config.read_credit + 2);
    uint64_t groups = 2 + buffers / URING_GROUP_NEXT;
    return groups < URING_GROUPS_MAX ? (uint32_t)groups : URING_GROUPS_MAX;
}

bool uring_group_choose(struct uring_engine *engine, struct uring_ring *ring)
{
    for (uint32_t tried = 0; tried < ring->group_count; tried++) {
        if (ring->groups[ring->group].lent < ring->groups[ring->group].count) {
            return true;
        }
        ring->group = (ring->group + 1) % ring->group_count;
    }
    return ring->group_count < groups_max(engine) && group_add(engine, ring, URING_GROUP_NEXT) == 0;
}

uint64_t uring_rings_memory(const struct uring_engine *engine)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < engine->ring_count; i++) {
        const struct uring_ring *ring = engine->rings[i];
        bytes += ring->uring.ring.sq.ring_sz + ring->uring.ring.cq.ring_sz;
        for (uint32_t group = 0; group < ring->group_count; group++) {
            bytes += ring->groups[group].data_bytes;
        }
    }
    return bytes;
}
