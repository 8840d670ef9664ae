/* What became of each awaited frame; see lockstep.h. Layer: bench/null. */
#include "bench/null/lockstep.h"

#include <string.h>

#include "base/assert.h"

/* Overdue slots are looked for so many times in the time after which they are. */
#define LOOKS 8

void lockstep_init(struct lockstep *lockstep, uint32_t slot_count, uint64_t patience_ns)
{
    ASSERT(slot_count > 0 && slot_count <= LOCKSTEP_SLOTS_MAX);
    memset(lockstep, 0, sizeof(*lockstep));
    lockstep->slot_count = slot_count;
    lockstep->patience_ns = patience_ns;
    for (uint32_t i = 0; i < slot_count; i++) {
        /* The first number of each slot is its index; until then nobody's answers fit. */
        lockstep->slots[i] = (struct lockstep_slot){.number = i, .awaits = CANNED_NONE};
    }
}

uint32_t lockstep_slot_of(const struct lockstep *lockstep, uint32_t number)
{
    return number % lockstep->slot_count;
}

static struct lockstep_slot *slot_of(struct lockstep *lockstep, uint32_t number)
{
    return &lockstep->slots[lockstep_slot_of(lockstep, number)];
}

uint32_t lockstep_begin(struct lockstep *lockstep, uint32_t slot)
{
    struct lockstep_slot *at = &lockstep->slots[slot];
    ASSERT(at->awaits == CANNED_NONE);
    /* Numbers wrap after 2^32 / slots connections of one slot, hours at the highest rates. */
    uint32_t next = at->number + lockstep->slot_count;
    at->number = next < at->number ? slot : next;
    lockstep->counts.begun++;
    return at->number;
}

bool lockstep_arrive(struct lockstep *lockstep, uint32_t number, enum canned_segment segment)
{
    struct lockstep_slot *slot = slot_of(lockstep, number);
    if (slot->number != number || slot->awaits != segment || segment == CANNED_NONE) {
        lockstep->counts.late++;
        return false;
    }
    slot->awaits = CANNED_NONE;
    lockstep->counts.arrived++;
    return true;
}

void lockstep_await(struct lockstep *lockstep, uint32_t number, enum canned_segment segment,
                    uint64_t now_ns)
{
    struct lockstep_slot *slot = slot_of(lockstep, number);
    ASSERT(slot->number == number);
    ASSERT(slot->awaits == CANNED_NONE);
    slot->awaits = segment;
    slot->since_ns = now_ns;
    lockstep->counts.awaited++;
}

void lockstep_complete(struct lockstep *lockstep, uint32_t number)
{
    ASSERT(slot_of(lockstep, number)->number == number);
    lockstep->counts.completed++;
}

uint32_t lockstep_give_up(struct lockstep *lockstep, uint64_t now_ns, uint32_t *slots, uint32_t max)
{
    uint32_t count = 0;
    if (now_ns - lockstep->looked_ns < lockstep->patience_ns / LOOKS) {
        return 0;
    }
    for (uint32_t i = 0; i < lockstep->slot_count && count < max; i++) {
        struct lockstep_slot *slot = &lockstep->slots[i];
        if (now_ns - slot->since_ns >= lockstep->patience_ns) {
            lockstep->counts.given_up += slot->awaits != CANNED_NONE ? 1 : 0;
            lockstep->counts.failed++;
            slot->awaits = CANNED_NONE;
            slots[count++] = i;
        }
    }
    /* What was left for want of room is looked for at once. */
    lockstep->looked_ns = count == max ? lockstep->looked_ns : now_ns;
    return count;
}

uint32_t lockstep_in_flight(const struct lockstep *lockstep)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < lockstep->slot_count; i++) {
        count += lockstep->slots[i].awaits != CANNED_NONE ? 1 : 0;
    }
    return count;
}

bool lockstep_adds_up(const struct lockstep_counts *counts, uint64_t in_flight, uint64_t under_way)
{
    return counts->awaited == counts->arrived + counts->given_up + in_flight &&
           counts->begun == counts->completed + counts->failed + under_way &&
           counts->late <= counts->given_up;
}
