/* Schedule: when each arrival of an open loop is due, as a pure function of its global index.
 *
 * Layer: loadgen (L5). Plain data, one thread, no clock of its own. Arrival k of the whole run, over all
 * workers and machines, is due at start + offset(k); share s of n takes the indexes k = s (mod n). So a
 * run can be split any way, and its parts add up to the same arrivals.
 *
 * The rate is constant. Other shapes (Poisson, ramp, step, burst) come as further functions of k behind
 * schedule_time_ns; nothing else knows how the times are made. */
#ifndef FINWAIT_LOADGEN_SCHEDULE_H
#define FINWAIT_LOADGEN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cli.h"

#define SCHEDULE_NO_LIMIT UINT64_MAX

struct schedule_config {
    struct cli_rate rate;  /* of the whole run; events > 0 and per_ns > 0 */
    uint64_t start_ns;     /* arrival 0 is due here */
    uint64_t duration_ns;  /* arrivals due at or after start + duration are not made; 0: no end */
    uint64_t arrivals_max; /* SCHEDULE_NO_LIMIT: none */
    uint32_t share;        /* which of `shares` this one is */
    uint32_t shares;       /* > 0 */
};

struct schedule {
    struct schedule_config config;
    uint64_t next_index; /* of our share, not yet handed out */
    uint64_t end_index;  /* of the whole run: the first index that is not made */
};

/* Prepares a schedule that has handed nothing out. */
void schedule_init(struct schedule *schedule, const struct schedule_config *config);

/* Tells when arrival `index` is due, exactly (rounded down to a ns). */
uint64_t schedule_time_ns(const struct schedule *schedule, uint64_t index);

/* Hands out our next arrival if it is due at `now_ns`: stores its global index and when it was due. */
bool schedule_due(struct schedule *schedule, uint64_t now_ns, uint64_t *index, uint64_t *due_ns);

/* Tells when our next arrival is due; CLOCK_NEVER when there is none. */
uint64_t schedule_next_ns(const struct schedule *schedule);

/* Counts the arrivals of our share that are due before `until_ns`, handed out or not. */
uint64_t schedule_offered(const struct schedule *schedule, uint64_t until_ns);

/* Counts the indexes below `end` that share s of n has. Requires s < n. */
uint64_t schedule_share_count(uint64_t end, uint32_t share, uint32_t shares);

#endif
