/* Histogram: the operations that run once per report or per second; recording is inline.
 *
 * Layer: base. Plain data, no allocation. */
#include "base/hist.h"

#include <string.h>

#include "base/assert.h"

void hist_init(struct hist *hist)
{
    memset(hist, 0, sizeof *hist);
    hist->min = UINT64_MAX;
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (uint32_t i = 0; i < HIST_BINS; i++) {
        into->bins[i] += from->bins[i];
    }
    into->count += from->count;
    into->sum = add_saturating(into->sum, from->sum);
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
}

void hist_subtract(struct hist *hist, const struct hist *earlier)
{
    uint64_t min = UINT64_MAX;
    uint64_t max = 0;
    for (uint32_t i = 0; i < HIST_BINS; i++) {
        ASSERT(hist->bins[i] >= earlier->bins[i]);
        hist->bins[i] -= earlier->bins[i];
        if (hist->bins[i] != 0) {
            min = min == UINT64_MAX ? hist_bin_low(i) : min;
            max = hist_bin_high(i);
        }
    }
    hist->count -= earlier->count;
    if (hist->sum != UINT64_MAX) { /* a saturated sum stays one */
        hist->sum -= earlier->sum;
    }
    if (hist->count == 0) {
        hist_init(hist);
        return;
    }
    /* What is left cannot lie outside of what the whole had. */
    hist->min = min > hist->min ? min : hist->min;
    hist->max = max < hist->max ? max : hist->max;
}

void hist_add_bin(struct hist *hist, uint32_t bin, uint64_t times)
{
    ASSERT(bin < HIST_BINS);
    const uint64_t low = hist_bin_low(bin);
    const uint64_t high = hist_bin_high(bin);
    const uint64_t middle = low + (high - low) / 2u;
    uint64_t sum;
    hist->bins[bin] += times;
    hist->count += times;
    if (__builtin_mul_overflow(middle, times, &sum)) {
        sum = UINT64_MAX;
    }
    hist->sum = add_saturating(hist->sum, sum);
    hist->min = low < hist->min ? low : hist->min;
    hist->max = high > hist->max ? high : hist->max;
}

/* How many counts lie at or below the percentile: ceil(percent * count / 100), at least 1. The
 * quotient's rounding error (64.4% of 250 is a little over 161 in binary) must not cost a whole
 * rank. */
static uint64_t percentile_rank(uint64_t count, double percent)
{
    double exact = percent * (double)count / 100.0;
    double wanted = exact - exact * 1e-14;
    uint64_t rank = (uint64_t)wanted;
    if ((double)rank < wanted || rank == 0) {
        rank++;
    }
    return rank < count ? rank : count;
}

uint64_t hist_percentile(const struct hist *hist, double percent)
{
    ASSERT(percent >= 0.0 && percent <= 100.0);
    if (hist->count == 0) {
        return 0;
    }
    if (percent <= 0.0) {
        return hist->min;
    }
    if (percent >= 100.0) {
        return hist->max;
    }
    uint64_t rank = percentile_rank(hist->count, percent);
    uint32_t bin = 0;
    for (uint64_t seen = hist->bins[0]; seen < rank; seen += hist->bins[bin]) {
        bin++;
        ASSERT(bin < HIST_BINS);
    }
    uint64_t low = hist_bin_low(bin);
    uint64_t high = hist_bin_high(bin);
    low = low > hist->min ? low : hist->min;
    high = high < hist->max ? high : hist->max;
    return low + (high - low) / 2u;
}

double hist_mean(const struct hist *hist)
{
    return hist->count == 0 ? 0.0 : (double)hist->sum / (double)hist->count;
}

uint64_t hist_bin_low(uint32_t bin)
{
    ASSERT(bin < HIST_BINS);
    if (bin < 2u * HIST_SUB) {
        return bin;
    }
    uint32_t shift = bin / HIST_SUB - 1u;
    return (uint64_t)(bin % HIST_SUB + HIST_SUB) << shift;
}

uint64_t hist_bin_high(uint32_t bin)
{
    ASSERT(bin < HIST_BINS);
    return bin == HIST_BINS - 1u ? UINT64_MAX : hist_bin_low(bin + 1u) - 1u;
}
