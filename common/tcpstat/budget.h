/* A budget of CPU time for watching: what was spent, what was earned, and when the next census may
 * begin. Pure arithmetic; clocks come in as arguments.
 *
 * Layer: tcpstat (L1), private. Credit is earned at the budget's rate and taken by everything that
 * was spent, ticks and censuses alike. A census begins when its expected cost was earned; the first
 * is an advance, since nobody knows its cost. Unused credit is kept for BUDGET_KEPT_NS of earning
 * only, or for one census where that is more: a quiet hour must not pay for a burst. What was spent
 * before there was anything to watch by is owed, and paid back over BUDGET_HELD_NS, so that a start
 * does not silence what it started. */
#ifndef FINWAIT_TCPSTAT_BUDGET_H
#define FINWAIT_TCPSTAT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* The budget is to hold over half a minute; credit is kept for a tenth of it. */
#define BUDGET_HELD_NS (30 * NS_PER_SEC)
#define BUDGET_KEPT_NS (3 * NS_PER_SEC)

struct budget {
    uint32_t permille;   /* of one core */
    uint64_t at_ns;      /* when it was last brought up to date */
    uint64_t spent_ns;   /* in all, as of then */
    int64_t credit_ns;   /* negative: an advance to earn back */
    uint64_t charged_ns; /* since the start */
    uint64_t owed_ns;    /* not charged yet */
    uint64_t pays_ns_per_sec;
};

/* Begins at a time and with what was spent until then, which is not charged. */
void budget_start(struct budget *budget, uint32_t permille, uint64_t now_ns, uint64_t spent_ns);

/* Adds a debt, to be charged little by little: within BUDGET_HELD_NS, or as long as it takes by
 * half of what is earned. */
void budget_owe(struct budget *budget, uint64_t debt_ns);

/* Brings the credit up to date. `spent_ns` is all that was spent so far, `cost_ns` what the next
 * census is expected to cost. */
void budget_update(struct budget *budget, uint64_t now_ns, uint64_t spent_ns, uint64_t cost_ns);

/* Tells how long until a cost is earned, if nothing else is spent: 0: now; CLOCK_NEVER / 2 without
 * a budget. */
uint64_t budget_wait_ns(const struct budget *budget, uint64_t cost_ns);

/* Tells whether a cost is so small that it may be spent at any one time. */
bool budget_is_small(const struct budget *budget, uint64_t cost_ns);

#endif
