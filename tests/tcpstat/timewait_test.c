/* The TIME_WAIT model against a simulated kernel: records of 60 s that a timer ends every 2.048 s.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tcpstat/timewait.h"

#define SECONDS_MAX 400
#define MS_MAX (SECONDS_MAX * 1000)

/* Records made in each millisecond, and the samples that a reader at 1 s would have got. */
struct simulation {
    uint32_t made_in_ms[MS_MAX];
    uint64_t live_before; /* at the start, made evenly over the 60 s before */
    uint64_t granule_ms;
    uint64_t seconds;
    uint64_t buckets_max; /* 0: none */
    uint32_t ends_in_ms[MS_MAX + 100000];
    struct timewait_sample samples[SECONDS_MAX];
};

/* When a record that begins at `ms` ends: at the first tick of the timer 60 s later. */
static uint64_t end_of(const struct simulation *simulation, int64_t ms)
{
    const int64_t granule = (int64_t)simulation->granule_ms;
    return (uint64_t)((ms + 60000 + granule - 1) / granule * granule);
}

/* Runs the kernel and samples it. */
static size_t simulate(struct simulation *simulation)
{
    uint32_t *ends_in_ms = simulation->ends_in_ms;
    for (uint64_t i = 0; i < simulation->live_before; i++) {
        ends_in_ms[end_of(simulation, -60000 + (int64_t)(i * 60000 / simulation->live_before))]++;
    }
    uint64_t live = simulation->live_before;
    uint64_t made = simulation->live_before;
    size_t count = 0;
    for (uint64_t ms = 0; ms < simulation->seconds * 1000; ms++) {
        live -= ends_in_ms[ms];
        for (uint32_t i = 0; i < simulation->made_in_ms[ms]; i++) {
            if (simulation->buckets_max != 0 && live == simulation->buckets_max) {
                continue;
            }
            live++;
            made++;
            ends_in_ms[end_of(simulation, (int64_t)ms)]++;
        }
        if (ms % 1000 == 337) {
            simulation->samples[count++] =
                (struct timewait_sample){.at_ns = ms * NS_PER_MS, .made = made, .live = live};
        }
    }
    return count;
}

static void make_steady(struct simulation *sim, uint32_t per_ms, uint64_t from_sec, uint64_t to_sec)
{
    for (uint64_t ms = from_sec * 1000; ms < to_sec * 1000; ms++) {
        sim->made_in_ms[ms] = per_ms;
    }
}

static void reset_simulation(struct simulation *sim)
{
    memset(sim, 0, sizeof(*sim));
    sim->granule_ms = 2048;
    sim->seconds = 150;
}

static void assert_within(double value, double expected, double share)
{
    if (fabs(value - expected) > fabs(expected) * share) {
        fail_msg("%f is not within %f of %f", value, share, expected);
    }
}

static double lifetime_sec(const struct timewait_estimate *estimate)
{
    return (double)estimate->lifetime_ns / (double)NS_PER_SEC;
}

static void test_the_lifetime_is_assumed_until_records_ended(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    sim->seconds = 55;
    make_steady(sim, 10, 0, 55);
    const size_t count = simulate(sim);
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, count, &(struct timewait_config){0}, &estimate);
    assert_false(estimate.lifetime_is_measured);
    assert_int_equal(estimate.lifetime_ns, TIMEWAIT_LIFETIME_ASSUMED_NS);
    assert_within(estimate.made_per_sec, 10000, 0.001);
    assert_false(estimate.at_plateau);
    /* The forecast, 20 s after the start and 40 s before the plateau. */
    timewait_estimate(sim->samples, 20, &(struct timewait_config){0}, &estimate);
    assert_within((double)estimate.plateau, 610240, 0.001);
}

static void test_a_lifetime_that_was_told_is_none_that_is_assumed(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    make_steady(sim, 10, 0, 150);
    simulate(sim);
    const struct timewait_config config = {.lifetime_told_ns = 90 * NS_PER_SEC,
                                           .lifetime_assumed_ns = 30 * NS_PER_SEC};
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, 20, &config, &estimate);
    assert_true(estimate.lifetime_is_told);
    assert_false(estimate.lifetime_is_measured);
    assert_int_equal(estimate.lifetime_ns, 90 * NS_PER_SEC);
    timewait_estimate(sim->samples, 20, &(struct timewait_config){0}, &estimate);
    assert_false(estimate.lifetime_is_told);
}

static void test_the_lifetime_is_measured_to_the_granules_mean(void **state)
{
    struct simulation *sim = *state;
    static const uint64_t granules_ms[] = {1, 512, 2048, 4096};
    for (size_t i = 0; i < sizeof(granules_ms) / sizeof(granules_ms[0]); i++) {
        reset_simulation(sim);
        sim->granule_ms = granules_ms[i];
        make_steady(sim, 10, 0, 150);
        const size_t count = simulate(sim);
        struct timewait_estimate estimate;
        timewait_estimate(sim->samples, count, &(struct timewait_config){0}, &estimate);
        assert_true(estimate.lifetime_is_measured);
        assert_within(lifetime_sec(&estimate), 60 + (double)granules_ms[i] / 2000, 0.005);
    }
}

static void test_the_forecast_meets_the_plateau(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    make_steady(sim, 10, 0, 150);
    const size_t count = simulate(sim);
    struct timewait_estimate early;
    timewait_estimate(sim->samples, 30, &(struct timewait_config){0}, &early);
    struct timewait_estimate late;
    timewait_estimate(sim->samples, count, &(struct timewait_config){0}, &late);
    assert_true(late.at_plateau);
    assert_within(late.plateau_measured, (double)early.plateau, 0.01);
    assert_within(late.plateau_measured, (double)late.plateau, 0.01);
    assert_true(fabs(late.plateau_error) < 0.01);
    assert_within(late.ended_per_sec, 10000 * 85. / 150, 0.1);
}

static void test_a_cap_limits_the_forecast(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    sim->buckets_max = 100000;
    make_steady(sim, 10, 0, 150);
    simulate(sim);
    const struct timewait_config config = {.buckets_max = 100000};
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, 8, &config, &estimate);
    assert_true(estimate.plateau_is_capped);
    assert_int_equal(estimate.plateau, 100000);
    const struct timewait_config none = {0};
    timewait_estimate(sim->samples, 8, &none, &estimate);
    assert_false(estimate.plateau_is_capped);
    assert_within((double)estimate.plateau, 610240, 0.001);
}

static void test_records_of_before_do_not_bend_the_lifetime(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    sim->live_before = 300000;
    make_steady(sim, 10, 0, 150);
    const size_t count = simulate(sim);
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, count, &(struct timewait_config){0}, &estimate);
    assert_true(estimate.lifetime_is_measured);
    assert_within(lifetime_sec(&estimate), 61.024, 0.01);
}

static void test_bursts_and_pauses_do_not_bend_the_lifetime(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    sim->seconds = 300;
    make_steady(sim, 10, 3, 20);
    make_steady(sim, 40, 60, 62);
    make_steady(sim, 3, 100, 180);
    const size_t count = simulate(sim);
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, count, &(struct timewait_config){0}, &estimate);
    assert_true(estimate.lifetime_is_measured);
    assert_within(lifetime_sec(&estimate), 61.024, 0.015);
    assert_int_equal(estimate.live, 0);
}

static void test_the_rate_is_that_of_the_last_steady_stretch(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    make_steady(sim, 2, 0, 100);
    make_steady(sim, 10, 100, 150);
    const size_t count = simulate(sim);
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, count, &(struct timewait_config){0}, &estimate);
    assert_within(estimate.made_per_sec, 10000, 0.001);
    assert_within((double)estimate.steady_since_ns / (double)NS_PER_SEC, 100, 0.06);
    assert_false(estimate.at_plateau);
}

static void test_a_rate_that_is_known_goes_before_the_measured(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    make_steady(sim, 10, 0, 150);
    simulate(sim);
    const struct timewait_config config = {.close_rate_per_sec = 500,
                                           .lifetime_assumed_ns = 60 * NS_PER_SEC};
    struct timewait_estimate estimate;
    timewait_estimate(sim->samples, 3, &config, &estimate);
    assert_int_equal(estimate.plateau, 30000);
}

static void test_records_that_were_taken_over_are_told(void **state)
{
    (void)state;
    const struct timewait_sample taken[] = {
        {.at_ns = 0, .made = 1000, .live = 500, .recycled = 100},
        {.at_ns = 10 * NS_PER_SEC, .made = 3000, .live = 500, .recycled = 1100},
    };
    struct timewait_estimate estimate;
    timewait_estimate(taken, 2, &(struct timewait_config){0}, &estimate);
    assert_within(estimate.recycled_share, 0.5, 1e-9);
}

static void test_few_or_odd_samples_give_no_nonsense(void **state)
{
    (void)state;
    const struct timewait_sample odd[] = {
        {.at_ns = 5, .made = 7, .live = 7},
        {.at_ns = 5, .made = 7, .live = 9}, /* read a moment apart */
        {.at_ns = 6, .made = 7, .live = 0},
    };
    for (size_t count = 1; count <= 3; count++) {
        struct timewait_estimate estimate;
        timewait_estimate(odd, count, &(struct timewait_config){0}, &estimate);
        assert_int_equal(estimate.live, odd[count - 1].live);
        assert_false(estimate.lifetime_is_measured);
        assert_true(estimate.made_per_sec == 0);
        assert_int_equal(estimate.plateau, 0);
    }
}

static void test_the_flow_is_what_changed_by_the_second(void **state)
{
    (void)state;
    const struct timewait_sample earlier = {
        .at_ns = NS_PER_SEC, .made = 100, .live = 50, .recycled = 3, .overflows = 1};
    const struct timewait_sample later = {
        .at_ns = 3 * NS_PER_SEC, .made = 300, .live = 150, .recycled = 13, .overflows = 5};
    struct timewait_flow flow;
    timewait_flow(&earlier, &later, &flow);
    assert_within(flow.made_per_sec, 100, 1e-9);
    assert_within(flow.ended_per_sec, 50, 1e-9);
    assert_within(flow.recycled_per_sec, 5, 1e-9);
    assert_within(flow.overflows_per_sec, 2, 1e-9);
    timewait_flow(&later, &later, &flow);
    assert_true(flow.made_per_sec == 0 && flow.ended_per_sec == 0);
}

/* A forecast at each time of the run, ahead by less and by more than a lifetime. */
static void test_what_will_be_alive_is_forecast_within_two_percent(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    make_steady(sim, 10, 0, 150);
    const size_t count = simulate(sim);
    static const uint64_t ahead_sec[] = {5, 30, 60, 90};
    for (size_t made_at = 10; made_at < 60; made_at += 7) {
        for (size_t i = 0; i < sizeof(ahead_sec) / sizeof(ahead_sec[0]); i++) {
            const struct timewait_forecast forecast = timewait_forecast_live(
                sim->samples, made_at, &(struct timewait_config){0}, ahead_sec[i] * NS_PER_SEC);
            double error;
            assert_true(timewait_forecast_error(&forecast, sim->samples, count, &error));
            if (fabs(error) > 0.02) {
                fail_msg("made at %zu s, %llu s ahead: off by %.2f%%", made_at,
                         (unsigned long long)ahead_sec[i], 100 * error);
            }
        }
    }
}

static void test_a_forecast_has_no_error_before_its_time(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    make_steady(sim, 10, 0, 150);
    simulate(sim);
    const struct timewait_forecast forecast =
        timewait_forecast_live(sim->samples, 20, &(struct timewait_config){0}, 30 * NS_PER_SEC);
    double error;
    assert_false(timewait_forecast_error(&forecast, sim->samples, 40, &error));
    assert_true(timewait_forecast_error(&forecast, sim->samples, 60, &error));
}

static void test_a_forecast_stops_at_the_bucket_limit(void **state)
{
    struct simulation *sim = *state;
    reset_simulation(sim);
    sim->buckets_max = 100000;
    make_steady(sim, 10, 0, 150);
    const size_t count = simulate(sim);
    const struct timewait_config config = {.buckets_max = 100000};
    const struct timewait_forecast forecast =
        timewait_forecast_live(sim->samples, 8, &config, 30 * NS_PER_SEC);
    double error;
    assert_true(timewait_forecast_error(&forecast, sim->samples, count, &error));
    assert_within(forecast.live, 100000, 1e-9);
    assert_true(fabs(error) < 1e-9);
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct simulation));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lifetime_is_assumed_until_records_ended),
        cmocka_unit_test(test_a_lifetime_that_was_told_is_none_that_is_assumed),
        cmocka_unit_test(test_the_lifetime_is_measured_to_the_granules_mean),
        cmocka_unit_test(test_the_forecast_meets_the_plateau),
        cmocka_unit_test(test_a_cap_limits_the_forecast),
        cmocka_unit_test(test_records_of_before_do_not_bend_the_lifetime),
        cmocka_unit_test(test_bursts_and_pauses_do_not_bend_the_lifetime),
        cmocka_unit_test(test_the_rate_is_that_of_the_last_steady_stretch),
        cmocka_unit_test(test_a_rate_that_is_known_goes_before_the_measured),
        cmocka_unit_test(test_records_that_were_taken_over_are_told),
        cmocka_unit_test(test_the_flow_is_what_changed_by_the_second),
        cmocka_unit_test(test_what_will_be_alive_is_forecast_within_two_percent),
        cmocka_unit_test(test_a_forecast_has_no_error_before_its_time),
        cmocka_unit_test(test_a_forecast_stops_at_the_bucket_limit),
        cmocka_unit_test(test_few_or_odd_samples_give_no_nonsense),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
