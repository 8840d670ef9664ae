/* Statistics of a comparison; see stats.h. Layer: bench/lab. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/assert.h"

#define RESAMPLES 10000u
#define TAIL 0.025 /* of 1 on either side: 95% are between */

static int compare_doubles(const void *a, const void *b)
{
    double left, right;
    left = *(const double *)a;
    right = *(const double *)b;
    return (left > right) - (left < right);
}

static void sort(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
}

/* Finds a quantile of sorted values, between neighbours by proportion. */
static double quantile(const double *sorted, size_t count, double fraction)
{
    double position = fraction * (double)(count - 1);
    size_t low = (size_t)position;
    size_t high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (sorted[high] - sorted[low]) * (position - (double)low);
}

/* Copies the values that are numbers; returns how many there are. */
static size_t copy_known(double *into, const double *values, size_t count)
{
    size_t known = 0;
    ASSERT(count <= STATS_VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i])) {
            into[known++] = values[i];
        }
    }
    return known;
}

static double median_of(double *values, size_t count)
{
    sort(values, count);
    return quantile(values, count, 0.5);
}

double stats_median(const double *values, size_t count)
{
    double known[STATS_VALUES_MAX];
    size_t known_count = copy_known(known, values, count);
    return known_count == 0 ? (double)NAN : median_of(known, known_count);
}

struct stats_interval stats_bootstrap(const double *values, size_t count, struct rng *rng)
{
    double known[STATS_VALUES_MAX], sample[STATS_VALUES_MAX];
    static const struct stats_interval nothing = {(double)NAN, (double)NAN, (double)NAN};
    size_t known_count = copy_known(known, values, count);
    double *medians = known_count == 0 ? NULL : calloc(RESAMPLES, sizeof(*medians));
    if (medians == NULL) {
        return nothing;
    }
    for (size_t i = 0; i < RESAMPLES; i++) {
        for (size_t k = 0; k < known_count; k++) {
            sample[k] = known[rng_below(rng, known_count)];
        }
        medians[i] = median_of(sample, known_count);
    }
    sort(medians, RESAMPLES);
    struct stats_interval interval = {
        .median = median_of(known, known_count),
        .low = quantile(medians, RESAMPLES, TAIL),
        .high = quantile(medians, RESAMPLES, 1 - TAIL),
    };
    free(medians);
    return interval;
}

void stats_order_round(uint32_t *order, uint32_t count, uint32_t round, struct rng *rng)
{
    if (round % 2 == 1) {
        for (uint32_t i = 0; i < count / 2; i++) {
            uint32_t swapped = order[i];
            order[i] = order[count - 1 - i];
            order[count - 1 - i] = swapped;
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = (uint32_t)rng_below(rng, i + 1);
        order[i] = order[other];
        order[other] = i;
    }
}
