/* TIME_WAIT live: rates between two samples, a forecast of what will be alive, and its error. */
#include "base/assert.h"
#include "tcpstat/timewait.h"

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return ((double)to_ns - (double)from_ns) / (double)NS_PER_SEC;
}

void timewait_flow(const struct timewait_sample *earlier, const struct timewait_sample *later,
                   struct timewait_flow *flow)
{
    *flow = (struct timewait_flow){0};
    const double seconds = seconds_between(earlier->at_ns, later->at_ns);
    if (seconds <= 0) {
        return;
    }
    const double made = (double)(later->made - earlier->made);
    /* The counters are read a moment apart, so that a few may seem to end before they began. */
    const double ended = made + (double)earlier->live - (double)later->live;
    flow->made_per_sec = made / seconds;
    flow->ended_per_sec = ended > 0 ? ended / seconds : 0;
    flow->recycled_per_sec = (double)(later->recycled - earlier->recycled) / seconds;
    flow->overflows_per_sec = (double)(later->overflows - earlier->overflows) / seconds;
}

/* Counts what was made up to a time, between two samples in proportion. */
static double made_until(const struct timewait_sample *samples, size_t count, double at_ns)
{
    size_t after = 0;
    while (after < count && (double)samples[after].at_ns <= at_ns) {
        after++;
    }
    if (after == 0) {
        return (double)samples[0].made;
    }
    if (after == count) {
        return (double)samples[count - 1].made;
    }
    const struct timewait_sample *low = &samples[after - 1];
    const struct timewait_sample *high = &samples[after];
    const double share = (at_ns - (double)low->at_ns) / ((double)high->at_ns - (double)low->at_ns);
    return (double)low->made + share * (double)(high->made - low->made);
}

/* Counts those alive at the first sample that will still be at a time: it is not known when they
 * began, so they are taken to end evenly over one lifetime. */
static double left_of_first(const struct timewait_sample *samples, double at_ns, double lifetime_ns)
{
    const double passed = (at_ns - (double)samples[0].at_ns) / lifetime_ns;
    return passed >= 1 ? 0 : (double)samples[0].live * (1 - passed);
}

struct timewait_forecast timewait_forecast_live(const struct timewait_sample *samples, size_t count,
                                                const struct timewait_config *config,
                                                uint64_t ahead_ns)
{
    ASSERT(count >= 1);
    struct timewait_estimate estimate;
    timewait_estimate(samples, count, config, &estimate);
    const double rate =
        config->close_rate_per_sec > 0 ? config->close_rate_per_sec : estimate.made_per_sec;
    const struct timewait_sample *last = &samples[count - 1];
    const double lifetime_ns = (double)estimate.lifetime_ns;
    const double for_ns = (double)last->at_ns + (double)ahead_ns;
    const double oldest_ns = for_ns - lifetime_ns; /* what began before has ended */
    const double new_ns = (double)ahead_ns < lifetime_ns ? (double)ahead_ns : lifetime_ns;
    double live = rate * new_ns / (double)NS_PER_SEC;
    if (oldest_ns < (double)last->at_ns) {
        live += (double)last->made - made_until(samples, count, oldest_ns);
        live += left_of_first(samples, for_ns, lifetime_ns);
    }
    if (config->buckets_max != 0 && live > (double)config->buckets_max) {
        live = (double)config->buckets_max;
    }
    return (struct timewait_forecast){
        .made_at_ns = last->at_ns, .for_ns = last->at_ns + ahead_ns, .live = live};
}

bool timewait_forecast_error(const struct timewait_forecast *forecast,
                             const struct timewait_sample *samples, size_t count, double *error)
{
    for (size_t i = 1; i < count; i++) {
        if (samples[i].at_ns < forecast->for_ns || samples[i - 1].at_ns > forecast->for_ns) {
            continue;
        }
        const double span = seconds_between(samples[i - 1].at_ns, samples[i].at_ns);
        const double share =
            span > 0 ? seconds_between(samples[i - 1].at_ns, forecast->for_ns) / span : 0;
        const double live = (double)samples[i - 1].live +
                            share * ((double)samples[i].live - (double)samples[i - 1].live);
        if (live <= 0) {
            return false;
        }
        *error = forecast->live / live - 1;
        return true;
    }
    return false;
}
