/* The comparison's statistics against values that are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/lab/stats.h"

static void the_median_is_between_the_middle_two_and_leaves_out_what_is_not_known(void **state)
{
    (void)state;
    const double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2}, holed[] = {(double)NAN, 7, (double)NAN};
    assert_true(stats_median(odd, 3) == 3);
    assert_true(stats_median(even, 4) == 2.5);
    assert_true(stats_median(holed, 3) == 7);
    assert_true(isnan(stats_median(holed, 1)));
    assert_true(isnan(stats_median(odd, 0)));
}

/* Of seven values the resampled median is at most the k-th with the chance that at least four of
 * seven draws are among the k smallest: 0.0083 for the first, 0.1163 for the second. So the 2.5%
 * and 97.5% percentiles are the second and the sixth. */
static void the_interval_of_seven_values_is_from_the_second_to_the_sixth(void **state)
{
    (void)state;
    const double values[] = {1.7, 1.1, 1.2, 1.6, 1.3, 1.5, 1.4};
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct stats_interval interval = stats_bootstrap(values, 7, &rng);
        assert_true(interval.median == 1.4);
        assert_true(interval.low == 1.2);
        assert_true(interval.high == 1.6);
    }
}

static void one_value_is_its_own_interval_and_none_has_none(void **state)
{
    (void)state;
    const double one[] = {2.5};
    struct rng rng;
    rng_seed(&rng, 1);
    struct stats_interval interval = stats_bootstrap(one, 1, &rng);
    assert_true(interval.low == 2.5 && interval.median == 2.5 && interval.high == 2.5);
    assert_true(isnan(stats_bootstrap(one, 0, &rng).median));
}

static void a_round_has_every_contender_once_and_the_next_one_mirrors_it(void **state)
{
    (void)state;
    uint32_t order[5], before[5], first_of_two[2] = {0, 0};
    struct rng rng;
    rng_seed(&rng, 3);
    for (uint32_t round = 0; round < 200; round++) {
        bool seen[5] = {false};
        stats_order_round(order, 5, round, &rng);
        for (uint32_t i = 0; i < 5; i++) {
            assert_false(seen[order[i]]);
            seen[order[i]] = true;
            if (round % 2 == 1) {
                assert_int_equal(order[i], before[4 - i]);
            }
        }
        memcpy(before, order, sizeof(before));
    }
    for (uint32_t round = 0; round < 1000; round++) {
        stats_order_round(order, 2, round * 2, &rng);
        first_of_two[order[0]]++;
    }
    /* Even chances: 500 of 1000, and six standard deviations of 16 around. */
    assert_in_range(first_of_two[0], 405, 595);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_between_the_middle_two_and_leaves_out_what_is_not_known),
        cmocka_unit_test(the_interval_of_seven_values_is_from_the_second_to_the_sixth),
        cmocka_unit_test(one_value_is_its_own_interval_and_none_has_none),
        cmocka_unit_test(a_round_has_every_contender_once_and_the_next_one_mirrors_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
