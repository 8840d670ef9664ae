/* Lifetime: with first in, first out, the x-th record to end is the x-th that was made, so its
 * lifetime is the horizontal distance of the two cumulative curves at height x. The mean weighs
 * each stretch of the curve with the records that ended in it; stretches in which none ended, as
 * between two runs of the kernel's timer, weigh nothing. */
#include "tcpstat/timewait.h"

#include "base/assert.h"

/* The rate counts as steady while no slice of this length differs by more than the tolerance from
 * the rate of all later ones together. */
#define SLICE_NS (UINT64_C(5) * NS_PER_SEC)
#define STEADY_TOLERANCE 0.05

/* A walk along the curve of what was made since the first sample, record by record. */
struct made_curve {
    const struct timewait_sample *samples;
    size_t count;
    size_t at;          /* the segment from samples[at] to samples[at + 1] */
    double height;      /* records passed */
    double first_sec;   /* when the first of them was made, from the first sample on */
    double reached_sec; /* when the last of them was made */
};

static double made_since_first(const struct timewait_sample *samples, size_t i)
{
    return (double)(samples[i].made - samples[0].made);
}

/* Counts what ended since the first sample. The two counters are read a moment apart, so that a few
 * may seem to end before they began. */
static double ended_since_first(const struct timewait_sample *samples, size_t i)
{
    return made_since_first(samples, i) + (double)samples[0].live - (double)samples[i].live;
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return ((double)to_ns - (double)from_ns) / (double)NS_PER_SEC;
}

/* Passes the records up to a height and sums the times at which they were made. Segments in which
 * none was made are stepped over, so that a pause between two records belongs to neither. */
static double curve_sum_times(struct made_curve *curve, double to)
{
    const struct timewait_sample *samples = curve->samples;
    double sum = 0;
    while (curve->height < to && curve->at + 1 < curve->count) {
        const double low = made_since_first(samples, curve->at);
        const double high = made_since_first(samples, curve->at + 1);
        if (high <= curve->height) {
            curve->at++;
            continue;
        }
        const double upto = to < high ? to : high;
        const double begin = seconds_between(samples[0].at_ns, samples[curve->at].at_ns);
        const double sec_per_record =
            seconds_between(samples[curve->at].at_ns, samples[curve->at + 1].at_ns) / (high - low);
        const double middle = (curve->height + upto) / 2;
        sum += (upto - curve->height) * (begin + sec_per_record * (middle - low));
        if (curve->height <= 0) {
            curve->first_sec = begin;
        }
        curve->reached_sec = begin + sec_per_record * (upto - low);
        curve->height = upto;
    }
    return sum;
}

/* Sums over the records that were followed from begin to end. */
struct lifetime_sum {
    double records;
    double lifetimes_sec;
    double span_sec; /* from the first one's begin to the last one's */
};

static struct lifetime_sum sum_lifetimes(const struct timewait_sample *samples, size_t count)
{
    struct made_curve curve = {.samples = samples, .count = count};
    struct lifetime_sum sum = {0};
    const double made_all = made_since_first(samples, count - 1);
    for (size_t i = 1; i < count; i++) {
        /* Records that were there at the first sample end first; their begin is not known. */
        double ended = ended_since_first(samples, i) - (double)samples[0].live;
        ended = ended > made_all ? made_all : ended;
        const double records = ended - curve.height;
        if (records <= 0) {
            continue;
        }
        /* They ended somewhere between two samples: in the middle, on average. */
        const double end_sec = (seconds_between(samples[0].at_ns, samples[i - 1].at_ns) +
                                seconds_between(samples[0].at_ns, samples[i].at_ns)) /
                               2;
        sum.lifetimes_sec += records * end_sec - curve_sum_times(&curve, ended);
        sum.records += records;
    }
    sum.span_sec = curve.reached_sec - curve.first_sec;
    return sum;
}

static void estimate_lifetime(const struct timewait_sample *samples, size_t count,
                              const struct timewait_config *config,
                              struct timewait_estimate *estimate)
{
    estimate->lifetime_is_told = config->lifetime_told_ns != 0;
    estimate->lifetime_ns = config->lifetime_told_ns != 0      ? config->lifetime_told_ns
                            : config->lifetime_assumed_ns != 0 ? config->lifetime_assumed_ns
                                                               : TIMEWAIT_LIFETIME_ASSUMED_NS;
    if (count < 2) {
        return;
    }
    const struct lifetime_sum sum = sum_lifetimes(samples, count);
    estimate->lifetime_ended = (uint64_t)sum.records;
    if (sum.span_sec * (double)NS_PER_SEC < (double)TIMEWAIT_SPAN_MIN_NS ||
        sum.lifetimes_sec <= 0) {
        return;
    }
    estimate->lifetime_ns = (uint64_t)(sum.lifetimes_sec / sum.records * (double)NS_PER_SEC);
    estimate->lifetime_is_measured = true;
}

static double rate_between(const struct timewait_sample *samples, size_t from, size_t to)
{
    const double seconds = seconds_between(samples[from].at_ns, samples[to].at_ns);
    return seconds > 0 ? (double)(samples[to].made - samples[from].made) / seconds : 0;
}

/* Finds the sample from which on the rate is steady up to the end. */
static size_t find_steady(const struct timewait_sample *samples, size_t count)
{
    const size_t last = count - 1;
    size_t steady = last;
    for (size_t i = last; i-- > 0;) {
        if (samples[steady].at_ns - samples[i].at_ns < SLICE_NS) {
            continue;
        }
        const double slice = rate_between(samples, i, steady);
        const double later = steady == last ? slice : rate_between(samples, steady, last);
        const double difference = slice > later ? slice - later : later - slice;
        if (difference > later * STEADY_TOLERANCE) {
            return steady;
        }
        steady = i;
    }
    /* What is left before the first whole slice, or all of a series that is shorter than one. */
    return steady == last ? 0 : steady;
}

static void estimate_rates(const struct timewait_sample *samples, size_t count, size_t steady,
                           struct timewait_estimate *estimate)
{
    const size_t last = count - 1;
    estimate->live = samples[last].live;
    estimate->steady_since_ns = samples[steady].at_ns;
    estimate->made_per_sec = rate_between(samples, steady, last);
    const double seconds = seconds_between(samples[steady].at_ns, samples[last].at_ns);
    if (seconds > 0) {
        const double ended = ended_since_first(samples, last) - ended_since_first(samples, steady);
        estimate->ended_per_sec = ended / seconds;
    }
    const double made = made_since_first(samples, last);
    if (made > 0) {
        estimate->recycled_share = (double)(samples[last].recycled - samples[0].recycled) / made;
    }
}

static void forecast_plateau(const struct timewait_config *config,
                             struct timewait_estimate *estimate)
{
    const double rate =
        config->close_rate_per_sec > 0 ? config->close_rate_per_sec : estimate->made_per_sec;
    const double plateau = rate * (double)estimate->lifetime_ns / (double)NS_PER_SEC;
    estimate->plateau_is_capped = config->buckets_max != 0 && plateau > (double)config->buckets_max;
    estimate->plateau =
        estimate->plateau_is_capped ? config->buckets_max : (uint64_t)(plateau + 0.5);
}

/* Compares the forecast with the mean of all samples whose living records were all made at the
 * steady rate. */
static void measure_plateau(const struct timewait_sample *samples, size_t count,
                            struct timewait_estimate *estimate)
{
    double sum = 0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (samples[i].at_ns >= estimate->steady_since_ns + TIMEWAIT_LIFETIME_MAX_NS) {
            sum += (double)samples[i].live;
            used++;
        }
    }
    if (used == 0 || estimate->plateau == 0) {
        return;
    }
    estimate->at_plateau = true;
    estimate->plateau_measured = sum / (double)used;
    estimate->plateau_error = estimate->plateau_measured / (double)estimate->plateau - 1;
}

void timewait_estimate(const struct timewait_sample *samples, size_t count,
                       const struct timewait_config *config, struct timewait_estimate *estimate)
{
    ASSERT(count >= 1);
    *estimate = (struct timewait_estimate){0};
    estimate_lifetime(samples, count, config, estimate);
    estimate_rates(samples, count, find_steady(samples, count), estimate);
    forecast_plateau(config, estimate);
    measure_plateau(samples, count, estimate);
}
