/* Histogram: log-linear bins at fixed places, so that any two of them add up.
 *
 * Layer: base. Plain data, one writer. Values are unit-free 64-bit numbers (ns in the reports). Up
 * to 2 * HIST_SUB values are counted exactly; above, each octave has HIST_SUB bins, so that a bin
 * is at most 1/128 of its value wide and a percentile, given as the bin's middle, is off by at most
 * 0.4%. */
#ifndef FINWAIT_BASE_HIST_H
#define FINWAIT_BASE_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 7
#define HIST_SUB (1u << HIST_SUB_BITS)
#define HIST_VALUE_BITS 44 /* 2^44 ns = 4.9 hours; what is larger goes to the last bin */
#define HIST_BINS (HIST_SUB * (HIST_VALUE_BITS - HIST_SUB_BITS + 1u))

struct hist {
    uint64_t count;
    uint64_t sum; /* saturates at UINT64_MAX */
    uint64_t min; /* UINT64_MAX while empty */
    uint64_t max;
    uint64_t bins[HIST_BINS];
};

/* Empties a histogram. A zeroed struct is not an empty one: min must be set. */
void hist_init(struct hist *hist);

/* Finds a value's bin. */
static inline uint32_t hist_bin(uint64_t value)
{
    if (value < 2u * HIST_SUB) {
        return (uint32_t)value;
    }
    if (value >> HIST_VALUE_BITS) {
        return HIST_BINS - 1u;
    }
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HIST_SUB_BITS;
    return shift * HIST_SUB + (uint32_t)(value >> shift);
}

/* Counts a value once. */
static inline void hist_record(struct hist *hist, uint64_t value)
{
    hist->bins[hist_bin(value)]++;
    hist->count++;
    hist->sum = hist->sum + value < hist->sum ? UINT64_MAX : hist->sum + value;
    hist->min = value < hist->min ? value : hist->min;
    hist->max = value > hist->max ? value : hist->max;
}

/* Adds every count of `from` to `into`. Merging is associative and commutative, exactly. */
void hist_merge(struct hist *into, const struct hist *from);

/* Subtracts an earlier copy of the same histogram, which leaves what came since. min and max become
 * those of the bins that are left, to the bins' precision. Requires earlier <= hist, bin by bin. */
void hist_subtract(struct hist *hist, const struct hist *earlier);

/* Counts `times` values of which only the bin is known: they have its middle in the sum, and its
 * bounds in min and max. Requires bin < HIST_BINS. */
void hist_add_bin(struct hist *hist, uint32_t bin, uint64_t times);

/* Finds the value at or below which `percent` (0..100) of the counts lie, within [min, max]; 0 when
 * empty. 100 gives the exact max, 0 the exact min. */
uint64_t hist_percentile(const struct hist *hist, double percent);

/* Averages all values; 0 when empty. */
double hist_mean(const struct hist *hist);

/* Smallest and largest value that fall into a bin. Require bin < HIST_BINS. */
uint64_t hist_bin_low(uint32_t bin);
uint64_t hist_bin_high(uint32_t bin);

#endif
