/* A closed loop pauses when all that it had in flight has failed, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loadgen/backoff.h"

static void fewer_failures_than_are_in_flight_do_not_pause(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    for (uint64_t failed = 0; failed < 32; failed++) {
        assert_int_equal(backoff_look(&backoff, 0, failed, 32), 0);
    }
    assert_int_equal(backoff_look(&backoff, 0, 32, 32), BACKOFF_FIRST_NS);
    assert_int_equal(backoff_look(&backoff, 0, 32, 32), 0);
    assert_int_equal(backoff_look(&backoff, 0, 63, 32), 0);
}

static void pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    static const uint64_t pauses_ms[] = {10, 20, 40, 80, 100, 100, 100};
    struct backoff backoff = {0};
    for (uint64_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
        assert_int_equal(backoff_look(&backoff, 0, i + 1, 1), pauses_ms[i] * NS_PER_MS);
    }
}

static void a_completion_begins_the_count_anew(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    assert_int_equal(backoff_look(&backoff, 0, 4, 4), BACKOFF_FIRST_NS);
    assert_int_equal(backoff_look(&backoff, 0, 8, 4), 2 * BACKOFF_FIRST_NS);
    assert_int_equal(backoff_look(&backoff, 1, 12, 4), 0);
    assert_int_equal(backoff_look(&backoff, 1, 15, 4), 0);
    assert_int_equal(backoff_look(&backoff, 1, 16, 4), BACKOFF_FIRST_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewer_failures_than_are_in_flight_do_not_pause),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(a_completion_begins_the_count_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
