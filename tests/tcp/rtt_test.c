/* Rules of tcp/rtt (RFC 6298). */
#include "tcp/test.h"

#include "tcp/rtt.h"

static const struct rtt_limits limits = {
    .initial_us = 1000000, .min_us = 200000, .max_us = 120000000, .granularity_us = 1000};

static void test_rto_is_the_initial_one_before_any_sample(void **state)
{
    (void)state;
    struct rtt rtt = {0};
    assert_int_equal(rtt_rto_us(&rtt, &limits), 1000000);
}

static void test_first_sample_sets_srtt_and_half_of_it_as_variance(void **state)
{
    (void)state;
    struct rtt rtt = {0};
    rtt_sample(&rtt, 300000, 1);
    assert_int_equal(rtt.srtt_us, 300000);
    assert_int_equal(rtt.rttvar_us, 150000);
    assert_int_equal(rtt_rto_us(&rtt, &limits), 900000);
}

static void test_later_samples_weigh_an_eighth_and_a_quarter_with_the_old_srtt(void **state)
{
    (void)state;
    struct rtt rtt = {.srtt_us = 100000, .rttvar_us = 20000};
    rtt_sample(&rtt, 180000, 1);
    assert_int_equal(rtt.rttvar_us, 20000 + (80000 - 20000) / 4);
    assert_int_equal(rtt.srtt_us, 100000 + 80000 / 8);
    rtt_sample(&rtt, 30000, 1);
    assert_int_equal(rtt.rttvar_us, 35000 + (80000 - 35000) / 4);
    assert_int_equal(rtt.srtt_us, 110000 - 80000 / 8);
}

static void test_weights_are_divided_by_the_samples_of_a_round_trip(void **state)
{
    (void)state;
    struct rtt rtt = {.srtt_us = 100000, .rttvar_us = 20000};
    rtt_sample(&rtt, 180000, 10);
    assert_int_equal(rtt.rttvar_us, 20000 + 60000 / 40);
    assert_int_equal(rtt.srtt_us, 100000 + 80000 / 80);
}

static void test_estimate_reaches_a_steady_value_whatever_the_weights(void **state)
{
    (void)state;
    static const uint32_t flights[] = {0, 1, 7, 1000};
    for (size_t i = 0; i < TABLE_COUNT(flights); i++) {
        struct rtt rtt = {0};
        rtt_sample(&rtt, 100000, flights[i]);
        for (int j = 0; j < 2000000 && rtt.rttvar_us > 0; j++) {
            rtt_sample(&rtt, 40000, flights[i]);
        }
        assert_int_equal(rtt.srtt_us, 40000);
        assert_int_equal(rtt.rttvar_us, 0);
        assert_int_equal(rtt_rto_us(&rtt, &limits), 200000); /* 40 ms + G, raised to the minimum */
    }
}

static void test_sample_of_nothing_counts_as_a_microsecond_and_a_huge_one_is_capped(void **state)
{
    (void)state;
    struct rtt rtt = {0};
    rtt_sample(&rtt, 0, 1);
    assert_int_equal(rtt.srtt_us, 1);
    rtt = (struct rtt){0};
    rtt_sample(&rtt, UINT32_MAX, 1);
    assert_int_equal(rtt.srtt_us, 1 << 30);
    assert_int_equal(rtt_rto_us(&rtt, &limits), limits.max_us);
}

static void test_granularity_is_the_least_variance(void **state)
{
    (void)state;
    struct rtt rtt = {.srtt_us = 500000, .rttvar_us = 10};
    assert_int_equal(rtt_rto_us(&rtt, &limits), 501000);
}

static void test_backoff_doubles_and_stops_at_the_maximum(void **state)
{
    (void)state;
    assert_int_equal(rtt_backoff_us(200000, 0, &limits), 200000);
    assert_int_equal(rtt_backoff_us(200000, 1, &limits), 400000);
    assert_int_equal(rtt_backoff_us(200000, 9, &limits), 102400000);
    assert_int_equal(rtt_backoff_us(200000, 10, &limits), 120000000);
    assert_int_equal(rtt_backoff_us(200000, 31, &limits), 120000000);
    assert_int_equal(rtt_backoff_us(200000, 32, &limits), 120000000);
    assert_int_equal(rtt_backoff_us(200000, 4000000000u, &limits), 120000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rto_is_the_initial_one_before_any_sample),
        cmocka_unit_test(test_first_sample_sets_srtt_and_half_of_it_as_variance),
        cmocka_unit_test(test_later_samples_weigh_an_eighth_and_a_quarter_with_the_old_srtt),
        cmocka_unit_test(test_weights_are_divided_by_the_samples_of_a_round_trip),
        cmocka_unit_test(test_estimate_reaches_a_steady_value_whatever_the_weights),
        cmocka_unit_test(test_sample_of_nothing_counts_as_a_microsecond_and_a_huge_one_is_capped),
        cmocka_unit_test(test_granularity_is_the_least_variance),
        cmocka_unit_test(test_backoff_doubles_and_stops_at_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
