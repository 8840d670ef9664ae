/* A census that is carried on by exact transitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stat/present.h"

struct fixture {
    struct present_base base;
    struct present_reading now;
};

/* A census of 100 ESTABLISHED, 7 in TIME_WAIT, with nothing moving around it. */
static void fill(struct fixture *fixture)
{
    *fixture = (struct fixture){.base = {.follows_time_wait = true}};
    fixture->base.counted.n[TCP_STATE_ESTABLISHED] = 100;
    fixture->base.counted.n[TCP_STATE_TIME_WAIT] = 7;
    fixture->base.counted.n[TCP_STATE_SYN_RECEIVED] = 3; /* request sockets */
    fixture->base.begin.matrix.n[TCP_STATE_SYN_SENT][TCP_STATE_ESTABLISHED] = 1000;
    fixture->base.begin.time_wait_live = 9; /* two orphaned FIN_WAIT_2 among them */
    fixture->base.end = fixture->base.begin;
    fixture->now = fixture->base.end;
}

static void test_what_entered_and_left_since_is_added(void **state)
{
    (void)state;
    struct fixture fixture;
    struct tcp_state_counts counts;
    fill(&fixture);
    fixture.now.matrix.n[TCP_STATE_SYN_SENT][TCP_STATE_ESTABLISHED] += 50;
    fixture.now.matrix.n[TCP_STATE_ESTABLISHED][TCP_STATE_CLOSE_WAIT] += 20;
    fixture.now.time_wait_live += 5;
    present_follow(&fixture.base, &fixture.now, &counts);
    assert_int_equal(counts.n[TCP_STATE_ESTABLISHED], 130);
    assert_int_equal(counts.n[TCP_STATE_CLOSE_WAIT], 20);
    assert_int_equal(counts.n[TCP_STATE_TIME_WAIT], 12);
    assert_int_equal(counts.n[TCP_STATE_SYN_RECEIVED], 3);
}

static void test_a_census_is_dated_by_the_middle_of_its_walk(void **state)
{
    (void)state;
    struct fixture fixture;
    struct tcp_state_counts counts;
    fill(&fixture);
    fixture.base.end.matrix.n[TCP_STATE_SYN_SENT][TCP_STATE_ESTABLISHED] += 40;
    fixture.base.end.time_wait_live += 10;
    fixture.now = fixture.base.end;
    present_follow(&fixture.base, &fixture.now, &counts);
    assert_int_equal(counts.n[TCP_STATE_ESTABLISHED], 120);
    assert_int_equal(counts.n[TCP_STATE_TIME_WAIT], 12);
}

static void test_no_count_falls_below_nothing_and_ends_are_no_state(void **state)
{
    (void)state;
    struct fixture fixture;
    struct tcp_state_counts counts;
    fill(&fixture);
    fixture.now.matrix.n[TCP_STATE_ESTABLISHED][TCP_STATE_CLOSED] = 101;
    present_follow(&fixture.base, &fixture.now, &counts);
    assert_int_equal(counts.n[TCP_STATE_ESTABLISHED], 0);
    assert_int_equal(counts.n[TCP_STATE_CLOSED], 0);
}

static void test_a_filter_s_limits_are_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    struct tcp_state_counts counts;
    fill(&fixture);
    fixture.base.states = UINT32_C(1) << TCP_STATE_ESTABLISHED | UINT32_C(1) << TCP_STATE_TIME_WAIT;
    fixture.base.follows_time_wait = false; /* sockstat has other sockets' too */
    fixture.now.matrix.n[TCP_STATE_ESTABLISHED][TCP_STATE_CLOSE_WAIT] = 1;
    fixture.now.time_wait_live += 5;
    present_follow(&fixture.base, &fixture.now, &counts);
    assert_int_equal(counts.n[TCP_STATE_ESTABLISHED], 99);
    assert_int_equal(counts.n[TCP_STATE_CLOSE_WAIT], 0);
    assert_int_equal(counts.n[TCP_STATE_TIME_WAIT], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_entered_and_left_since_is_added),
        cmocka_unit_test(test_a_census_is_dated_by_the_middle_of_its_walk),
        cmocka_unit_test(test_no_count_falls_below_nothing_and_ends_are_no_state),
        cmocka_unit_test(test_a_filter_s_limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
