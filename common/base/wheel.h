/* Timer wheel: intrusive timers, O(1) arm and disarm, hierarchical, never early.
 *
 * Layer: base. Owner: the struct's holder; one thread; memory belongs to the caller (timers live
 * inside the caller's records and must be disarmed or expired before these go). Time comes in as an
 * argument. A timer expires at the first wheel_expire whose now_ns is at or past its deadline
 * rounded up to the wheel's tick, so it is late by less than a tick and never early. */
#ifndef FINWAIT_BASE_WHEEL_H
#define FINWAIT_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64^5 ticks are 12 days at 1 ms. Longer deadlines cascade again. */
#define WHEEL_LEVELS 5
#define WHEEL_SLOTS 64 /* per level */

struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **link; /* what points at us; NULL when disarmed */
    uint64_t deadline_ns;
};

struct wheel {
    uint64_t tick_ns;
    uint64_t now_tick;
    uint32_t armed_count;
    uint64_t occupied[WHEEL_LEVELS]; /* a bit a slot */
    struct wheel_timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct wheel_timer *due; /* expired and not yet handed out */
};

/* Prepares an empty wheel. Requires tick_ns > 0. */
void wheel_init(struct wheel *wheel, uint64_t now_ns, uint64_t tick_ns);

/* Arms a timer, or moves one that is armed. A zeroed timer is a disarmed one. A deadline whose tick
 * has passed expires at the next call of wheel_expire. Requires deadline_ns != CLOCK_NEVER. */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ns);

/* Disarms a timer; nothing happens to one that is not armed. */
void wheel_disarm(struct wheel *wheel, struct wheel_timer *timer);

static inline bool wheel_is_armed(const struct wheel_timer *timer)
{
    return timer->link != NULL;
}

/* Hands out one expired timer, disarmed, or NULL when none is left at now_ns. Call it until NULL;
 * timers may be armed and disarmed between calls. Time never goes back: an earlier now_ns counts as
 * the last. */
struct wheel_timer *wheel_expire(struct wheel *wheel, uint64_t now_ns);

/* Tells a time at which wheel_expire is worth calling: never later than the next expiry, at times
 * earlier (a cascade). CLOCK_NEVER when nothing is armed. */
uint64_t wheel_next_ns(const struct wheel *wheel);

#endif
