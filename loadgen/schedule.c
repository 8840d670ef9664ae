#include "loadgen/schedule.h"

#include "base/assert.h"
#include "base/clock.h"

/* Products of an index or a duration with a rate's parts do not fit 64 bits. */
__extension__ typedef unsigned __int128 wide;

/* Counts the arrivals that are due within `span_ns` from the start, its end left out: the smallest k with
 * floor(k * per_ns / events) >= span_ns, which is ceil(span_ns * events / per_ns). */
static uint64_t arrivals_within(const struct cli_rate *rate, uint64_t span_ns)
{
    wide count = ((wide)span_ns * rate->events + rate->per_ns - 1) / rate->per_ns;
    return count > SCHEDULE_NO_LIMIT ? SCHEDULE_NO_LIMIT : (uint64_t)count;
}

void schedule_init(struct schedule *schedule, const struct schedule_config *config)
{
    ASSERT(config->rate.events > 0);
    ASSERT(config->rate.per_ns > 0);
    ASSERT(config->share < config->shares);
    schedule->config = *config;
    schedule->next_index = config->share;
    schedule->end_index = config->arrivals_max;
    if (config->duration_ns != 0) {
        uint64_t fitting = arrivals_within(&config->rate, config->duration_ns);
        schedule->end_index = fitting < schedule->end_index ? fitting : schedule->end_index;
    }
}

uint64_t schedule_time_ns(const struct schedule *schedule, uint64_t index)
{
    const struct cli_rate *rate = &schedule->config.rate;
    return schedule->config.start_ns + (uint64_t)((wide)index * rate->per_ns / rate->events);
}

uint64_t schedule_next_ns(const struct schedule *schedule)
{
    if (schedule->next_index >= schedule->end_index) {
        return CLOCK_NEVER;
    }
    return schedule_time_ns(schedule, schedule->next_index);
}

bool schedule_due(struct schedule *schedule, uint64_t now_ns, uint64_t *index, uint64_t *due_ns)
{
    uint64_t next_ns = schedule_next_ns(schedule);
    if (next_ns == CLOCK_NEVER || next_ns > now_ns) {
        return false;
    }
    *index = schedule->next_index;
    *due_ns = next_ns;
    schedule->next_index += schedule->config.shares;
    return true;
}

uint64_t schedule_offered(const struct schedule *schedule, uint64_t until_ns)
{
    const struct schedule_config *config = &schedule->config;
    if (until_ns <= config->start_ns) {
        return 0;
    }
    uint64_t end = arrivals_within(&config->rate, until_ns - config->start_ns);
    end = end < schedule->end_index ? end : schedule->end_index;
    return schedule_share_count(end, config->share, config->shares);
}

uint64_t schedule_share_count(uint64_t end, uint32_t share, uint32_t shares)
{
    ASSERT(share < shares);
    if (end <= share) {
        return 0;
    }
    return (end - share - 1) / shares + 1;
}
