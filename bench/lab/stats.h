/* Statistics of a comparison: medians, their bootstrap intervals, the order of trials.
 *
 * Layer: bench/lab. Pure functions; chance comes from the caller's generator, so that a seed gives
 * the same result again. bench/compare has the like in Python for the tools that it compares; a
 * test holds the two to the same answers. */
#ifndef FINWAIT_BENCH_LAB_STATS_H
#define FINWAIT_BENCH_LAB_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

#define STATS_VALUES_MAX 1000u

/* A median with its 95% interval; all NaN when there is no value. */
struct stats_interval {
    double median;
    double low;
    double high;
};

/* Finds the median; NaN of none. Values that are NaN are left out. Requires count <=
 * STATS_VALUES_MAX. */
double stats_median(const double *values, size_t count);

/* Finds the median and the bootstrap's 95% interval: percentiles of the medians of resampled
 * values. Values that are NaN are left out. Requires count <= STATS_VALUES_MAX. */
struct stats_interval stats_bootstrap(const double *values, size_t count, struct rng *rng);

/* Fills `order` with 0 .. count - 1 for one round of trials. Rounds come in twos: the first in
 * random order, the second mirrored, so that each of its contenders has the same mean place in
 * time: with two contenders these are the blocks A B B A and B A A B. Requires that `order` holds
 * the round before when `round` is odd. */
void stats_order_round(uint32_t *order, uint32_t count, uint32_t round, struct rng *rng);

#endif
