/* Rules of base/hist. */
#include "base/test.h"

#include <float.h>
#include <stdlib.h>

#include "base/hist.h"
#include "base/rng.h"

#define SAMPLES 20000u

/* Static in size, on the heap in life: a histogram is 38 KiB. */
static struct hist *hist_make(void)
{
    struct hist *hist = malloc(sizeof *hist);
    assert_non_null(hist);
    hist_init(hist);
    return hist;
}

/* Draws values whose logarithm is even over all octaves. */
static uint64_t draw_any_size(struct rng *rng)
{
    return rng_next(rng) >> rng_below(rng, 64);
}

static void test_small_values_have_a_bin_each(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 2u * HIST_SUB; value++) {
        assert_int_equal(hist_bin(value), value);
        assert_int_equal(hist_bin_low((uint32_t)value), value);
        assert_int_equal(hist_bin_high((uint32_t)value), value);
    }
}

static void test_bins_tile_all_values_without_gap(void **state)
{
    (void)state;
    assert_true(hist_bin_low(0) == 0);
    for (uint32_t bin = 0; bin < HIST_BINS; bin++) {
        uint64_t low = hist_bin_low(bin);
        uint64_t high = hist_bin_high(bin);
        assert_true(low <= high);
        assert_int_equal(hist_bin(low), bin);
        assert_int_equal(hist_bin(high), bin);
        if (bin + 1u < HIST_BINS) {
            assert_true(hist_bin_low(bin + 1u) == high + 1u);
            assert_int_equal(hist_bin(high + 1u), bin + 1u);
        }
    }
    assert_true(hist_bin_high(HIST_BINS - 1u) == UINT64_MAX);
}

static void test_octaves_begin_a_bin_of_their_own(void **state)
{
    (void)state;
    for (uint32_t bit = 1; bit < HIST_VALUE_BITS; bit++) {
        uint64_t border = UINT64_C(1) << bit;
        assert_true(hist_bin_low(hist_bin(border)) == border);
        assert_true(hist_bin_high(hist_bin(border - 1u)) == border - 1u);
        assert_int_equal(hist_bin(border - 1u) + 1u, hist_bin(border));
    }
}

static void test_bins_are_at_most_a_128th_of_their_value_wide(void **state)
{
    (void)state;
    for (uint32_t bin = 2u * HIST_SUB; bin + 1u < HIST_BINS; bin++) {
        uint64_t width = hist_bin_high(bin) - hist_bin_low(bin) + 1u;
        assert_true(width * 128u <= hist_bin_low(bin));
    }
}

static void test_values_too_large_count_in_the_last_bin_and_max_stays_exact(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        (UINT64_C(1) << HIST_VALUE_BITS) - 1u, UINT64_C(1) << HIST_VALUE_BITS,
        (UINT64_C(1) << HIST_VALUE_BITS) + 1u, UINT64_C(1) << 63, UINT64_MAX};
    struct hist *hist = hist_make();
    for (size_t i = 0; i < TABLE_COUNT(values); i++) {
        assert_int_equal(hist_bin(values[i]), HIST_BINS - 1u);
        hist_record(hist, values[i]);
        assert_true(hist->max == values[i]);
        assert_true(hist_percentile(hist, 100.0) == values[i]);
        uint64_t middle = hist_percentile(hist, 50.0);
        assert_true(middle >= hist->min && middle <= hist->max);
    }
    free(hist);
}

static void test_empty_histogram_gives_zeros(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    assert_true(hist->min == UINT64_MAX);
    assert_int_equal(hist_percentile(hist, 0.0), 0);
    assert_int_equal(hist_percentile(hist, 50.0), 0);
    assert_int_equal(hist_percentile(hist, 100.0), 0);
    assert_true(hist_mean(hist) == 0.0);
    free(hist);
}

static void test_single_value_is_every_percentile(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 255, 256, 257, 1000003, UINT64_C(1) << 50};
    static const double percents[] = {0.0, DBL_TRUE_MIN, 0.001, 50.0, 99.999, 100.0};
    for (size_t i = 0; i < TABLE_COUNT(values); i++) {
        struct hist *hist = hist_make();
        hist_record(hist, values[i]);
        for (size_t j = 0; j < TABLE_COUNT(percents); j++) {
            assert_true(hist_percentile(hist, percents[j]) == values[i]);
        }
        free(hist);
    }
}

struct rank_case {
    uint64_t count; /* values 1..count, each once */
    double percent;
    uint64_t value;
};

static void test_percentile_is_the_value_at_the_ceiled_rank(void **state)
{
    (void)state;
    static const struct rank_case cases[] = {
        {200, 50.0, 100}, {200, 50.1, 101}, {200, 99.0, 198}, {200, 99.5, 199}, {200, 99.6, 200},
        {200, 0.5, 1},    {200, 0.51, 2},   {200, 0.0001, 1}, {100, 7.0, 7},    {100, 29.0, 29},
        {100, 57.0, 57},  {100, 58.0, 58},  {100, 99.0, 99},  {100, 99.9, 100}, {250, 99.6, 249},
        {10, 10.0, 1},    {10, 10.1, 2},    {3, 33.3, 1},     {3, 33.4, 2},     {1, 50.0, 1},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct hist *hist = hist_make();
        for (uint64_t value = 1; value <= cases[i].count; value++) {
            hist_record(hist, value);
        }
        assert_int_equal(hist_percentile(hist, cases[i].percent), cases[i].value);
        free(hist);
    }
}

static void test_percents_with_decimals_do_not_gain_a_rank_by_rounding(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    for (uint32_t i = 0; i < 100000; i++) {
        hist_record(hist, i < 99990 ? 1 : 2);
    }
    assert_int_equal(hist_percentile(hist, 99.99), 1);
    assert_int_equal(hist_percentile(hist, 99.991), 2);
    free(hist);
    /* In binary, 64.4% of 250 is a little more than 161. */
    hist = hist_make();
    for (uint64_t value = 1; value <= 250; value++) {
        hist_record(hist, value);
    }
    assert_int_equal(hist_percentile(hist, 64.4), 161);
    free(hist);
}

static int compare_values(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_percentiles_of(uint64_t *values, const struct hist *hist, uint64_t seed)
{
    static const double percents[] = {0.0,  0.1,  1.0,  25.0,  50.0, 75.0,
                                      90.0, 99.0, 99.9, 99.99, 100.0};
    qsort(values, SAMPLES, sizeof *values, compare_values);
    for (size_t i = 0; i < TABLE_COUNT(percents); i++) {
        double exact_rank = percents[i] * SAMPLES / 100.0;
        uint64_t rank = (uint64_t)(exact_rank + 0.999999);
        uint64_t exact = values[rank == 0 ? 0 : rank - 1u];
        uint64_t got = hist_percentile(hist, percents[i]);
        uint64_t off = got > exact ? got - exact : exact - got;
        if (off * 250u > exact || got < values[0] || got > values[SAMPLES - 1u]) {
            fail_msg("seed %lu: p%g is %lu, not %lu", (unsigned long)seed, percents[i],
                     (unsigned long)got, (unsigned long)exact);
        }
    }
}

static void test_percentiles_are_within_two_fifths_of_a_percent(void **state)
{
    (void)state;
    uint64_t *values = malloc(SAMPLES * sizeof *values);
    assert_non_null(values);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct hist *hist = hist_make();
        struct rng rng;
        rng_seed(&rng, seed);
        for (uint32_t i = 0; i < SAMPLES; i++) {
            /* Odd seeds: all octaves; even ones: a narrow band, as latencies are. */
            uint64_t value = seed % 2u ? draw_any_size(&rng) >> 20 : 30000 + rng_below(&rng, 5000);
            values[i] = value;
            hist_record(hist, value);
        }
        check_percentiles_of(values, hist, seed);
        free(hist);
    }
    free(values);
}

static void test_merge_is_associative_and_commutative_and_equals_recording(void **state)
{
    (void)state;
    struct hist *parts[3];
    struct hist *all = hist_make();
    struct rng rng;
    rng_seed(&rng, 42);
    for (int i = 0; i < 3; i++) {
        parts[i] = hist_make();
        for (int j = 0; j < 5000; j++) {
            uint64_t value = draw_any_size(&rng); /* sums saturate on the way */
            hist_record(parts[i], value);
            hist_record(all, value);
        }
    }
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < TABLE_COUNT(orders); i++) {
        struct hist *left = hist_make();  /* (a + b) + c */
        struct hist *right = hist_make(); /* a + (b + c) */
        hist_merge(left, parts[orders[i][0]]);
        hist_merge(left, parts[orders[i][1]]);
        hist_merge(left, parts[orders[i][2]]);
        hist_merge(right, parts[orders[i][1]]);
        hist_merge(right, parts[orders[i][2]]);
        hist_merge(right, parts[orders[i][0]]);
        assert_memory_equal(left, all, sizeof *all);
        assert_memory_equal(right, all, sizeof *all);
        free(left);
        free(right);
    }
    for (int i = 0; i < 3; i++) {
        free(parts[i]);
    }
    free(all);
}

static void test_merging_an_empty_histogram_changes_nothing(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    struct hist *empty = hist_make();
    struct hist *copy = hist_make();
    hist_record(hist, 77);
    hist_merge(hist, empty);
    hist_merge(copy, hist);
    assert_memory_equal(copy, hist, sizeof *hist);
    assert_int_equal(hist->min, 77);
    assert_int_equal(hist->max, 77);
    free(hist);
    free(empty);
    free(copy);
}

static void test_sum_saturates_and_mean_is_exact_below(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    hist_record(hist, 10);
    hist_record(hist, 20);
    hist_record(hist, 1000003);
    assert_int_equal(hist->sum, 1000033);
    assert_true(hist_mean(hist) > 333344.33 && hist_mean(hist) < 333344.34);
    hist_record(hist, UINT64_MAX);
    assert_true(hist->sum == UINT64_MAX);
    hist_record(hist, 5);
    assert_true(hist->sum == UINT64_MAX);
    free(hist);
}

static void test_subtract_leaves_what_came_since(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    struct hist *earlier = hist_make();
    struct hist *since = hist_make();
    struct rng rng;
    rng_seed(&rng, 9);
    for (int i = 0; i < 3000; i++) {
        hist_record(hist, rng_below(&rng, UINT64_C(1) << 30));
    }
    hist_merge(earlier, hist);
    for (int i = 0; i < 3000; i++) {
        uint64_t value = 5000 + rng_below(&rng, 100000);
        hist_record(hist, value);
        hist_record(since, value);
    }
    hist_subtract(hist, earlier);
    assert_memory_equal(hist->bins, since->bins, sizeof hist->bins);
    assert_true(hist->count == since->count);
    assert_true(hist->sum == since->sum);
    assert_int_equal(hist_bin(hist->min), hist_bin(since->min));
    assert_int_equal(hist_bin(hist->max), hist_bin(since->max));
    free(hist);
    free(earlier);
    free(since);
}

static void test_subtracting_itself_leaves_an_empty_histogram(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    struct hist *copy = hist_make();
    struct hist *empty = hist_make();
    hist_record(hist, 123456);
    hist_merge(copy, hist);
    hist_subtract(hist, copy);
    assert_memory_equal(hist, empty, sizeof *hist);
    free(hist);
    free(copy);
    free(empty);
}

static void test_values_known_by_their_bin_only_count_like_others(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    struct hist *exact = hist_make();
    for (uint64_t value = 1; value < UINT64_C(1) << 40; value = value * 3 + 1) {
        hist_record(exact, value);
        hist_add_bin(hist, hist_bin(value), 1);
    }
    assert_memory_equal(hist->bins, exact->bins, sizeof hist->bins);
    assert_true(hist->count == exact->count);
    assert_int_equal(hist_bin(hist->min), hist_bin(exact->min));
    assert_int_equal(hist_bin(hist->max), hist_bin(exact->max));
    assert_true(hist_mean(hist) > 0.99 * hist_mean(exact));
    assert_true(hist_mean(hist) < 1.01 * hist_mean(exact));
    hist_add_bin(hist, HIST_BINS - 1, UINT64_MAX / 2);
    assert_true(hist->sum == UINT64_MAX);
    free(hist);
    free(exact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_values_have_a_bin_each),
        cmocka_unit_test(test_bins_tile_all_values_without_gap),
        cmocka_unit_test(test_octaves_begin_a_bin_of_their_own),
        cmocka_unit_test(test_bins_are_at_most_a_128th_of_their_value_wide),
        cmocka_unit_test(test_values_too_large_count_in_the_last_bin_and_max_stays_exact),
        cmocka_unit_test(test_empty_histogram_gives_zeros),
        cmocka_unit_test(test_single_value_is_every_percentile),
        cmocka_unit_test(test_percentile_is_the_value_at_the_ceiled_rank),
        cmocka_unit_test(test_percents_with_decimals_do_not_gain_a_rank_by_rounding),
        cmocka_unit_test(test_percentiles_are_within_two_fifths_of_a_percent),
        cmocka_unit_test(test_merge_is_associative_and_commutative_and_equals_recording),
        cmocka_unit_test(test_merging_an_empty_histogram_changes_nothing),
        cmocka_unit_test(test_sum_saturates_and_mean_is_exact_below),
        cmocka_unit_test(test_subtract_leaves_what_came_since),
        cmocka_unit_test(test_subtracting_itself_leaves_an_empty_histogram),
        cmocka_unit_test(test_values_known_by_their_bin_only_count_like_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
