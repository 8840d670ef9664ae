/* When arrivals are due: exact, without drift, and the same however the run is split. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loadgen/schedule.h"

#define START UINT64_C(1000000000000)

static struct schedule schedule_of(uint64_t events, uint64_t per_ns, uint64_t duration_ns)
{
    struct schedule schedule;
    schedule_init(&schedule, &(struct schedule_config){
                                 .rate = {.events = events, .per_ns = per_ns},
                                 .start_ns = START,
                                 .duration_ns = duration_ns,
                                 .arrivals_max = SCHEDULE_NO_LIMIT,
                                 .shares = 1,
                             });
    return schedule;
}

static void arrivals_are_due_at_exact_multiples_of_the_period(void **state)
{
    (void)state;
    struct schedule schedule = schedule_of(3, NS_PER_SEC, 0);
    assert_int_equal(schedule_time_ns(&schedule, 0), START);
    assert_int_equal(schedule_time_ns(&schedule, 1), START + 333333333);
    assert_int_equal(schedule_time_ns(&schedule, 2), START + 666666666);
    assert_int_equal(schedule_time_ns(&schedule, 3), START + NS_PER_SEC);
}

static void the_schedule_does_not_drift_within_a_year(void **state)
{
    (void)state;
    struct schedule schedule = schedule_of(99991, NS_PER_SEC, 0);
    uint64_t year_sec = UINT64_C(365) * 86400;
    assert_int_equal(schedule_time_ns(&schedule, 99991 * year_sec), START + year_sec * NS_PER_SEC);
}

static void an_arrival_is_handed_out_from_its_time_on_and_once(void **state)
{
    (void)state;
    struct schedule schedule = schedule_of(10, NS_PER_SEC, 0);
    uint64_t index, due_ns;
    assert_false(schedule_due(&schedule, START - 1, &index, &due_ns));
    assert_true(schedule_due(&schedule, START, &index, &due_ns));
    assert_int_equal(index, 0);
    assert_int_equal(due_ns, START);
    assert_false(schedule_due(&schedule, START, &index, &due_ns));
    assert_int_equal(schedule_next_ns(&schedule), START + NS_PER_SEC / 10);
    /* Late: what was missed is handed out one by one, with the times at which it was due. */
    assert_true(schedule_due(&schedule, START + NS_PER_SEC, &index, &due_ns));
    assert_int_equal(due_ns, START + NS_PER_SEC / 10);
}

static void arrivals_due_at_the_end_or_later_are_not_made(void **state)
{
    (void)state;
    struct schedule schedule = schedule_of(10, NS_PER_SEC, NS_PER_SEC);
    uint64_t index, due_ns, count = 0;
    while (schedule_due(&schedule, START + 5 * NS_PER_SEC, &index, &due_ns)) {
        assert_true(due_ns < START + NS_PER_SEC);
        count++;
    }
    assert_int_equal(count, 10);
    assert_int_equal(schedule_next_ns(&schedule), CLOCK_NEVER);
}

static void a_count_ends_the_schedule_before_its_duration(void **state)
{
    (void)state;
    struct schedule schedule;
    schedule_init(&schedule, &(struct schedule_config){.rate = {1000, NS_PER_SEC},
                                                       .start_ns = START,
                                                       .duration_ns = NS_PER_SEC,
                                                       .arrivals_max = 7,
                                                       .shares = 1});
    assert_int_equal(schedule_offered(&schedule, CLOCK_NEVER), 7);
    assert_int_equal(schedule.end_index, 7);
}

static void shares_together_are_the_whole_and_nothing_twice(void **state)
{
    (void)state;
    enum { SHARES = 5, ARRIVALS = 103 };
    int seen[ARRIVALS] = {0};
    uint64_t offered = 0;
    struct schedule whole = schedule_of(700, NS_PER_SEC, 0);
    for (uint32_t share = 0; share < SHARES; share++) {
        struct schedule schedule;
        uint64_t index, due_ns;
        schedule_init(&schedule, &(struct schedule_config){.rate = {700, NS_PER_SEC},
                                                           .start_ns = START,
                                                           .arrivals_max = ARRIVALS,
                                                           .share = share,
                                                           .shares = SHARES});
        offered += schedule_offered(&schedule, CLOCK_NEVER);
        while (schedule_due(&schedule, CLOCK_NEVER - 1, &index, &due_ns)) {
            assert_int_equal(index % SHARES, share);
            assert_int_equal(due_ns, schedule_time_ns(&whole, index));
            seen[index]++;
        }
    }
    for (int i = 0; i < ARRIVALS; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_int_equal(offered, ARRIVALS);
}

static void offered_counts_what_is_due_before_a_time(void **state)
{
    (void)state;
    struct schedule schedule = schedule_of(3, NS_PER_SEC, 2 * NS_PER_SEC);
    assert_int_equal(schedule_offered(&schedule, START), 0);
    assert_int_equal(schedule_offered(&schedule, START + 1), 1);
    assert_int_equal(schedule_offered(&schedule, START + 333333333), 1);
    assert_int_equal(schedule_offered(&schedule, START + 333333334), 2);
    assert_int_equal(schedule_offered(&schedule, START + NS_PER_SEC), 3);
    assert_int_equal(schedule_offered(&schedule, CLOCK_NEVER), 6);
}

static void share_count_adds_up(void **state)
{
    (void)state;
    for (uint64_t end = 0; end < 40; end++) {
        for (uint32_t shares = 1; shares < 9; shares++) {
            uint64_t sum = 0;
            for (uint32_t share = 0; share < shares; share++) {
                sum += schedule_share_count(end, share, shares);
            }
            assert_int_equal(sum, end);
        }
    }
    assert_true(schedule_share_count(UINT64_MAX, 1, 2) == UINT64_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrivals_are_due_at_exact_multiples_of_the_period),
        cmocka_unit_test(the_schedule_does_not_drift_within_a_year),
        cmocka_unit_test(an_arrival_is_handed_out_from_its_time_on_and_once),
        cmocka_unit_test(arrivals_due_at_the_end_or_later_are_not_made),
        cmocka_unit_test(a_count_ends_the_schedule_before_its_duration),
        cmocka_unit_test(shares_together_are_the_whole_and_nothing_twice),
        cmocka_unit_test(offered_counts_what_is_due_before_a_time),
        cmocka_unit_test(share_count_adds_up),
    };
    return cmocka_run_group_tests_name("loadgen/schedule", tests, NULL, NULL);
}
