/* The checks of a churn: at every lifetime that may be asked for they look before any TIME_WAIT has
 * ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/lab/churn.h"

#define RATE 1000u

/* A churn whose every TIME_WAIT lasts as long, sampled once a second. */
static void fill(struct churn *churn, uint32_t lifetime_sec)
{
    memset(churn, 0, sizeof(*churn));
    churn->who = "test";
    churn->rate_per_sec = RATE;
    churn->config.lifetime_assumed_ns = lifetime_sec * NS_PER_SEC;
    for (uint64_t second = 0; second <= CHURN_SEC; second++) {
        const uint64_t waiting = second < lifetime_sec ? second : lifetime_sec;
        churn_add(churn, &(struct timewait_sample){.at_ns = second * NS_PER_SEC,
                                                   .made = second * RATE,
                                                   .live = waiting * RATE});
    }
    churn->churn_count = churn->count;
}

static void pile_up_and_forecast_hold_at_every_lifetime(void **state)
{
    (void)state;
    for (uint32_t lifetime_sec = 10; lifetime_sec <= 65; lifetime_sec++) {
        struct timewait timewait = {.shown = 0};
        struct churn churn;
        fill(&churn, lifetime_sec);
        churn_check_pile_up(&timewait, &churn);
        churn_check_plateau(&timewait, &churn);
        assert_int_equal(timewait.shown, 3);
        assert_int_equal(timewait.not_shown, 0);
    }
}

static void a_pile_up_that_lost_some_is_not_shown(void **state)
{
    (void)state;
    struct timewait timewait = {.shown = 0};
    struct churn churn;
    fill(&churn, 60);
    churn.samples[30].live -= RATE;
    churn_check_pile_up(&timewait, &churn);
    assert_int_equal(timewait.not_shown, 1);
}

static void nothing_is_checked_after_a_signal(void **state)
{
    (void)state;
    struct timewait timewait = {.stopped = true};
    timewait_check(&timewait, true, "cut short");
    timewait_check(&timewait, false, "cut short");
    assert_int_equal(timewait.shown + timewait.not_shown, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pile_up_and_forecast_hold_at_every_lifetime),
        cmocka_unit_test(a_pile_up_that_lost_some_is_not_shown),
        cmocka_unit_test(nothing_is_checked_after_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
