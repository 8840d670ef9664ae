/* Timer wheel: five levels of 64 slots, each slot a list.
 *
 * Layer: base. Read a tick number as six-bit digits. A timer lives on the level of the highest
 * digit in which its tick differs from now, in the slot of that digit. So every timer of a level
 * comes before every timer of the levels above, a slot of level 0 holds one tick, and slots at or
 * below now's own digit are empty. When now reaches the first tick of a higher slot, its timers are
 * placed again (they cascade).
 *
 * Slot 0 of the top level would never be used by these rules. It holds the timers beyond the top
 * level's span: they are placed again when now reaches the next multiple of that span. */
#include "base/wheel.h"

#include "base/assert.h"
#include "base/clock.h"

#define DIGIT_BITS 6u
#define DIGIT_MASK (WHEEL_SLOTS - 1u)
#define TOP_LEVEL (WHEEL_LEVELS - 1u)
#define SPAN_BITS (DIGIT_BITS * WHEEL_LEVELS)

_Static_assert(1u << DIGIT_BITS == WHEEL_SLOTS, "a digit selects a slot");

static uint64_t deadline_tick(const struct wheel *wheel, uint64_t deadline_ns)
{
    return deadline_ns / wheel->tick_ns + (deadline_ns % wheel->tick_ns != 0);
}

static void list_push(struct wheel_timer **head, struct wheel_timer *timer)
{
    timer->next = *head;
    timer->link = head;
    if (*head != NULL) {
        (*head)->link = &timer->next;
    }
    *head = timer;
}

/* Leaves `link` set, since the caller may have to know which list it was. */
static void list_remove(struct wheel_timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL) {
        timer->next->link = timer->link;
    }
    timer->next = NULL;
}

/* Puts a timer that is on no list where its deadline belongs. */
static void wheel_place(struct wheel *wheel, struct wheel_timer *timer)
{
    uint64_t tick = deadline_tick(wheel, timer->deadline_ns);
    if (tick <= wheel->now_tick) {
        list_push(&wheel->due, timer);
        return;
    }
    uint64_t differing = tick ^ wheel->now_tick;
    uint32_t level = TOP_LEVEL;
    uint32_t slot = 0;
    if (differing >> SPAN_BITS == 0) {
        level = (63u - (uint32_t)__builtin_clzll(differing)) / DIGIT_BITS;
        slot = (uint32_t)(tick >> (level * DIGIT_BITS)) & DIGIT_MASK;
    }
    list_push(&wheel->slots[level][slot], timer);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

/* Clears a slot's bit when the list's last timer has left it. `head` may be any list link. */
static void wheel_note_removal(struct wheel *wheel, struct wheel_timer **head)
{
    uintptr_t first = (uintptr_t)&wheel->slots[0][0];
    uintptr_t place =
        (uintptr_t)head - first; /* wraps to a large number for a link before the slots */
    if (*head != NULL || place >= sizeof wheel->slots) {
        return;
    }
    size_t index = place / sizeof wheel->slots[0][0];
    wheel->occupied[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << (index % WHEEL_SLOTS));
}

/* Finds the occupied slot that now reaches first; false when there is none. */
static bool wheel_first_slot(const struct wheel *wheel, uint32_t *level, uint32_t *slot)
{
    for (uint32_t i = 0; i < WHEEL_LEVELS; i++) {
        /* Slot 0 sorts last: only the top level has it, for what lies beyond the span. */
        uint64_t within = wheel->occupied[i] & ~UINT64_C(1);
        if (wheel->occupied[i] != 0) {
            *level = i;
            *slot = within != 0 ? (uint32_t)__builtin_ctzll(within) : 0;
            return true;
        }
    }
    return false;
}

static uint64_t slot_tick(const struct wheel *wheel, uint32_t level, uint32_t slot)
{
    uint32_t shift = level * DIGIT_BITS;
    uint64_t above = wheel->now_tick >> (shift + DIGIT_BITS);
    if (slot == 0) {
        above++;
    }
    return above << (shift + DIGIT_BITS) | (uint64_t)slot << shift;
}

/* Empties a slot whose time has come: its timers fall due, or cascade to lower levels. */
static void wheel_open_slot(struct wheel *wheel, uint32_t level, uint32_t slot)
{
    struct wheel_timer *timer = wheel->slots[level][slot];
    wheel->slots[level][slot] = NULL;
    wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    while (timer != NULL) {
        struct wheel_timer *next = timer->next;
        wheel_place(wheel, timer);
        timer = next;
    }
}

/* Moves now to `tick`, but no further than to the first tick at which timers fall due. */
static void wheel_advance(struct wheel *wheel, uint64_t tick)
{
    while (wheel->due == NULL && wheel->now_tick < tick) {
        uint32_t level;
        uint32_t slot;
        if (!wheel_first_slot(wheel, &level, &slot) || slot_tick(wheel, level, slot) > tick) {
            wheel->now_tick = tick;
            return;
        }
        wheel->now_tick = slot_tick(wheel, level, slot);
        wheel_open_slot(wheel, level, slot);
    }
}

void wheel_init(struct wheel *wheel, uint64_t now_ns, uint64_t tick_ns)
{
    ASSERT(tick_ns > 0);
    *wheel = (struct wheel){.tick_ns = tick_ns, .now_tick = now_ns / tick_ns};
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ns)
{
    ASSERT(deadline_ns != CLOCK_NEVER);
    wheel_disarm(wheel, timer);
    timer->deadline_ns = deadline_ns;
    wheel_place(wheel, timer);
    wheel->armed_count++;
}

void wheel_disarm(struct wheel *wheel, struct wheel_timer *timer)
{
    if (timer->link == NULL) {
        return;
    }
    list_remove(timer);
    wheel_note_removal(wheel, timer->link);
    timer->link = NULL;
    wheel->armed_count--;
}

struct wheel_timer *wheel_expire(struct wheel *wheel, uint64_t now_ns)
{
    wheel_advance(wheel, now_ns / wheel->tick_ns);
    struct wheel_timer *timer = wheel->due;
    if (timer != NULL) {
        wheel_disarm(wheel, timer);
    }
    return timer;
}

uint64_t wheel_next_ns(const struct wheel *wheel)
{
    uint32_t level;
    uint32_t slot;
    uint64_t tick;
    if (wheel->due != NULL) {
        tick = wheel->now_tick;
    } else if (wheel_first_slot(wheel, &level, &slot)) {
        tick = slot_tick(wheel, level, slot);
    } else {
        return CLOCK_NEVER;
    }
    /* Rounded up to a tick, a deadline near the end of time may not fit; it is still armed. */
    return tick < CLOCK_NEVER / wheel->tick_ns ? tick * wheel->tick_ns : CLOCK_NEVER - 1u;
}
