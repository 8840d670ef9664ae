/* A pair of links in memory: two rings of slots, one each way. Layer: link; see link.h.
 *
 * Owner: the pair is freed with its second end. A ring's slots are, in order,
 *
 *     taken ... flushed ... queued ... (lent) ... free
 *
 * counted by places that only grow: the receiver moves `taken`, the sender the others. What is sent
 * to an end that is gone fills the ring, as a cable without a peer would. */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "link/link_ops.h"

#define MTU_MIN 576u
#define MTU_MAX 65535u
#define SLOT_ALIGNMENT 64u

struct ring {
    uint8_t *bytes;
    uint32_t *lengths;
    uint64_t taken;
    uint64_t flushed;
    uint64_t queued;
};

struct pair {
    struct ring rings[2]; /* rings[i] carries what end i sends */
    uint32_t slots;
    uint32_t slot_bytes;
    uint32_t frame_max;
    uint32_t ends;
};

struct end {
    struct link link;
    struct pair *pair; /* shared by both ends */
    uint32_t index;
    size_t received; /* frames lent by the last receive */
};

static struct end *end_of(struct link *link)
{
    return (struct end *)link;
}

static uint8_t *slot_at(const struct pair *pair, const struct ring *ring, uint64_t place)
{
    return ring->bytes + (size_t)(place & (pair->slots - 1)) * pair->slot_bytes;
}

static size_t memory_receive(struct link *link, uint64_t now_ns, struct link_frame *frames,
                             size_t max)
{
    (void)now_ns;
    struct end *end = end_of(link);
    const struct pair *pair = end->pair;
    const struct ring *ring = &pair->rings[1 - end->index];
    size_t count = 0;
    while (count < max && ring->taken + count < ring->flushed) {
        const uint64_t place = ring->taken + count;
        frames[count++] = (struct link_frame){.data = slot_at(pair, ring, place),
                                              .bytes = ring->lengths[place & (pair->slots - 1)]};
    }
    end->received = count;
    return count;
}

static void memory_release(struct link *link)
{
    struct end *end = end_of(link);
    end->pair->rings[1 - end->index].taken += end->received;
    end->received = 0;
}

static size_t memory_reserve(struct link *link, struct link_slot *slots, size_t max)
{
    const struct end *end = end_of(link);
    const struct pair *pair = end->pair;
    const struct ring *ring = &pair->rings[end->index];
    const uint64_t room = pair->slots - (ring->queued - ring->taken);
    const size_t count = room < max ? (size_t)room : max;
    for (size_t i = 0; i < count; i++) {
        slots[i] = (struct link_slot){.data = slot_at(pair, ring, ring->queued + i),
                                      .capacity = pair->frame_max};
    }
    return count;
}

static void memory_send(struct link *link, uint64_t now_ns, const struct link_slot *slots,
                        size_t count)
{
    (void)now_ns;
    const struct end *end = end_of(link);
    struct pair *pair = end->pair;
    struct ring *ring = &pair->rings[end->index];
    for (size_t i = 0; i < count; i++) {
        ASSERT(slots[i].data == slot_at(pair, ring, ring->queued));
        ring->lengths[ring->queued & (pair->slots - 1)] = slots[i].bytes;
        ring->queued++;
    }
}

static int memory_flush(struct link *link, uint64_t now_ns)
{
    (void)now_ns;
    const struct end *end = end_of(link);
    struct ring *ring = &end->pair->rings[end->index];
    ring->flushed = ring->queued;
    return 0;
}

static uint64_t memory_deadline_ns(const struct link *link)
{
    (void)link;
    return CLOCK_NEVER;
}

/* Each end tells half of the pair. */
static uint64_t memory_bytes(const struct link *link)
{
    const struct pair *pair = ((const struct end *)link)->pair;
    return sizeof(struct end) + sizeof(*pair) / 2 +
           (uint64_t)pair->slots * (pair->slot_bytes + sizeof(uint32_t));
}

static void pair_free(struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        free(pair->rings[i].bytes);
        free(pair->rings[i].lengths);
    }
    free(pair);
}

static void memory_destroy(struct link *link)
{
    struct end *end = end_of(link);
    if (--end->pair->ends == 0) {
        pair_free(end->pair);
    }
    free(end);
}

static const struct link_ops memory_ops = {
    .receive = memory_receive,
    .release = memory_release,
    .reserve = memory_reserve,
    .send = memory_send,
    .flush = memory_flush,
    .deadline_ns = memory_deadline_ns,
    .memory_bytes = memory_bytes,
    .destroy = memory_destroy,
};

static struct pair *pair_make(uint32_t mtu_bytes, uint32_t slots)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    if (pair == NULL) {
        return NULL;
    }
    pair->slots = slots;
    pair->frame_max = LINK_ETHER_BYTES + mtu_bytes;
    pair->slot_bytes = (pair->frame_max + SLOT_ALIGNMENT - 1) & ~(SLOT_ALIGNMENT - 1);
    pair->ends = 2;
    for (size_t i = 0; i < 2; i++) {
        pair->rings[i].bytes = malloc((size_t)slots * pair->slot_bytes);
        pair->rings[i].lengths = malloc(slots * sizeof(uint32_t));
        if (pair->rings[i].bytes == NULL || pair->rings[i].lengths == NULL) {
            pair_free(pair);
            return NULL;
        }
    }
    return pair;
}

static struct end *end_make(struct pair *pair, uint32_t index, uint32_t mtu_bytes)
{
    struct end *end = calloc(1, sizeof(*end));
    if (end != NULL) {
        end->link.ops = &memory_ops;
        /* Locally administered addresses, of which the last byte is the end's. */
        end->link.facts = (struct link_interface){.index = index + 1,
                                                  .mac = {2, 0, 0, 0, 0, (uint8_t)(index + 1)},
                                                  .mtu_bytes = mtu_bytes,
                                                  .up = true};
        end->pair = pair;
        end->index = index;
    }
    return end;
}

int link_memory_pair(struct link *ends[2], uint32_t mtu_bytes, uint32_t slots)
{
    if (mtu_bytes < MTU_MIN || mtu_bytes > MTU_MAX || slots == 0 || (slots & (slots - 1)) != 0 ||
        slots > LINK_SLOTS_MAX) {
        return -EINVAL;
    }
    struct pair *pair = pair_make(mtu_bytes, slots);
    if (pair == NULL) {
        return -ENOMEM;
    }
    struct end *first = end_make(pair, 0, mtu_bytes);
    struct end *second = end_make(pair, 1, mtu_bytes);
    if (first == NULL || second == NULL) {
        free(first);
        free(second);
        pair_free(pair);
        return -ENOMEM;
    }
    ends[0] = &first->link;
    ends[1] = &second->link;
    return 0;
}
