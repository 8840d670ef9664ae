#include "transport/quota.h"

#include "base/assert.h"

void transport_quota_init(struct transport_quota *quota, uint32_t places)
{
    ASSERT(places > 0);
    atomic_init(&quota->open, 0);
    atomic_init(&quota->waiting, 0);
    quota->places = places;
}

/* Takes a place if more than `kept` are left. The count is all that is shared, and says nothing
 * about other memory: relaxed does. */
static bool take_beyond(struct transport_quota *quota, uint32_t kept)
{
    uint32_t open = atomic_load_explicit(&quota->open, memory_order_relaxed);
    do {
        if (quota->places - open <= kept) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&quota->open, &open, open + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool quota_take(struct transport_quota *quota, bool *waits)
{
    uint32_t kept = *waits ? 0 : atomic_load_explicit(&quota->waiting, memory_order_relaxed);
    bool taken = take_beyond(quota, kept);
    if (taken) {
        quota_wait_end(quota, waits);
    } else if (!*waits) {
        *waits = true;
        atomic_fetch_add_explicit(&quota->waiting, 1, memory_order_relaxed);
    }
    return taken;
}

bool quota_try(struct transport_quota *quota)
{
    return take_beyond(quota, 0);
}

void quota_give(struct transport_quota *quota, uint32_t places)
{
    uint32_t before = atomic_fetch_sub_explicit(&quota->open, places, memory_order_relaxed);
    ASSERT(before >= places);
}

void quota_wait_end(struct transport_quota *quota, bool *waits)
{
    if (*waits) {
        *waits = false;
        atomic_fetch_sub_explicit(&quota->waiting, 1, memory_order_relaxed);
    }
}

uint32_t quota_room(struct transport_quota *quota)
{
    return quota->places - atomic_load_explicit(&quota->open, memory_order_relaxed);
}
