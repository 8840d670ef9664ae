/* Rules of base/clock. */
#include "base/test.h"

#include "base/clock.h"

static void test_monotonic_clock_counts_nanoseconds_and_never_goes_back(void **state)
{
    (void)state;
    struct timespec before;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint64_t first = clock_now_ns();
    uint64_t second = clock_now_ns();
    assert_true(first >= (uint64_t)before.tv_sec * NS_PER_SEC + (uint64_t)before.tv_nsec);
    assert_true(second >= first);
    assert_true(second < CLOCK_NEVER);
}

static void test_thread_cpu_time_grows_with_work(void **state)
{
    (void)state;
    uint64_t first = clock_thread_cpu_ns();
    uint64_t reads = 0;
    while (clock_thread_cpu_ns() == first && reads < UINT64_C(1000000000)) {
        reads++;
    }
    assert_true(clock_thread_cpu_ns() > first);
}

static void test_units_are_decimal_multiples(void **state)
{
    (void)state;
    assert_int_equal(NS_PER_MS, 1000 * NS_PER_US);
    assert_int_equal(NS_PER_SEC, 1000 * NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_clock_counts_nanoseconds_and_never_goes_back),
        cmocka_unit_test(test_thread_cpu_time_grows_with_work),
        cmocka_unit_test(test_units_are_decimal_multiples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
