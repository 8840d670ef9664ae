/* Neighbour: see the header; a hash table by address, and a list by age.
 *
 * Layer: stack (L3). */
#include "stack/neighbour.h"

#include "base/assert.h"
#include "base/rng.h"

static struct neighbour **bucket_of(struct ether *ether, uint32_t address)
{
    return &ether->buckets[rng_mix(address) % ETHER_BUCKETS];
}

void frame_release(struct ether *ether, struct ether_frame *frame)
{
    if (frame->is_packet) {
        ether->waiting_bytes -= frame->bytes;
    } else {
        ether->arp_count--;
    }
    memory_release(ether->memory, frame, sizeof(*frame) + frame->bytes);
}

void frames_init(struct ether_frames *frames)
{
    *frames = (struct ether_frames){.last_link = &frames->first};
}

void frames_put(struct ether_frames *frames, struct ether_frame *frame)
{
    frame->next = NULL;
    *frames->last_link = frame;
    frames->last_link = &frame->next;
    frames->count++;
}

struct ether_frame *frames_take(struct ether_frames *frames)
{
    struct ether_frame *frame = frames->first;
    if (frame == NULL) {
        return NULL;
    }
    frames->first = frame->next;
    if (frame->next == NULL) {
        frames->last_link = &frames->first;
    }
    frames->count--;
    return frame;
}

struct neighbour *neighbour_find(const struct ether *ether, uint32_t address)
{
    struct neighbour *neighbour = ether->buckets[rng_mix(address) % ETHER_BUCKETS];
    while (neighbour != NULL && neighbour->address != address) {
        neighbour = neighbour->chain;
    }
    return neighbour;
}

static void age_list_put(struct ether *ether, struct neighbour *neighbour)
{
    neighbour->older = ether->newest;
    neighbour->newer = NULL;
    *(ether->newest == NULL ? &ether->oldest : &ether->newest->newer) = neighbour;
    ether->newest = neighbour;
}

static void age_list_remove(struct ether *ether, struct neighbour *neighbour)
{
    *(neighbour->older == NULL ? &ether->oldest : &neighbour->older->newer) = neighbour->newer;
    *(neighbour->newer == NULL ? &ether->newest : &neighbour->newer->older) = neighbour->older;
    neighbour->older = NULL;
    neighbour->newer = NULL;
}

void neighbour_touch(struct ether *ether, struct neighbour *neighbour)
{
    ASSERT(neighbour->state != NEIGHBOUR_STATIC);
    age_list_remove(ether, neighbour);
    age_list_put(ether, neighbour);
}

void neighbour_pin(struct ether *ether, struct neighbour *neighbour)
{
    if (neighbour->state != NEIGHBOUR_STATIC) {
        wheel_disarm(&ether->timers, &neighbour->timer);
        age_list_remove(ether, neighbour);
        ether->neighbour_count--;
        neighbour->state = NEIGHBOUR_STATIC;
    }
}

static void drop_waiting(struct ether *ether, struct neighbour *neighbour)
{
    struct ether_frame *frame;
    while ((frame = frames_take(&neighbour->waiting)) != NULL) {
        ether->counters[ETHER_COUNTER_packets_unanswered]++;
        frame_release(ether, frame);
    }
}

void neighbour_forget(struct ether *ether, struct neighbour *neighbour)
{
    drop_waiting(ether, neighbour);
    wheel_disarm(&ether->timers, &neighbour->timer);
    if (neighbour->state != NEIGHBOUR_STATIC) {
        age_list_remove(ether, neighbour);
        ether->neighbour_count--;
    }
    struct neighbour **link = bucket_of(ether, neighbour->address);
    while (*link != neighbour) {
        link = &(*link)->chain;
    }
    *link = neighbour->chain;
    if (ether->used_last == neighbour) {
        ether->used_last = NULL;
    }
    memory_release(ether->memory, neighbour, sizeof(*neighbour));
}

/* Forgets the oldest; false when that must not be. */
static bool displace_oldest(struct ether *ether)
{
    const struct neighbour *oldest = ether->oldest;
    if (oldest->state == NEIGHBOUR_ASKED && ether->now_ns - oldest->asked_ns < NEIGHBOUR_ASK_NS) {
        ether->counters[ETHER_COUNTER_neighbours_refused]++;
        return false;
    }
    ether->counters[ETHER_COUNTER_neighbours_displaced]++;
    neighbour_forget(ether, ether->oldest);
    return true;
}

struct neighbour *neighbour_add(struct ether *ether, uint32_t address)
{
    if (ether->neighbour_count == ETHER_NEIGHBOURS_MAX && !displace_oldest(ether)) {
        return NULL;
    }
    struct neighbour *neighbour = memory_alloc(ether->memory, sizeof(*neighbour));
    if (neighbour == NULL) {
        ether->counters[ETHER_COUNTER_no_memory]++;
        return NULL;
    }
    struct neighbour **bucket = bucket_of(ether, address);
    neighbour->address = address;
    neighbour->chain = *bucket;
    *bucket = neighbour;
    frames_init(&neighbour->waiting);
    age_list_put(ether, neighbour);
    ether->neighbour_count++;
    return neighbour;
}
