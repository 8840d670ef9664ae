/* CPU figures from the text of /proc/stat and between two readings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loadgen/machine.h"

static void busy_is_all_but_idle_iowait_and_steal(void **state)
{
    (void)state;
    struct machine_usage usage = {0};
    assert_true(machine_parse(&usage,
                              "cpu  1 2 4 1000 2000 8 16 32 64 128\n"
                              "cpu0 1 2 4 1000 2000 8 16 32 64 128\n"
                              "cpu1 0 0 0 0 0 0 0 0 0 0\nintr 5\n",
                              10 * NS_PER_MS));
    /* guest and guest_nice are inside user and nice already. */
    assert_int_equal(usage.busy_ns, (1 + 2 + 4 + 8 + 16) * 10 * NS_PER_MS);
    assert_int_equal(usage.steal_ns, 320 * NS_PER_MS);
    assert_int_equal(usage.cpus, 2);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    struct machine_usage usage = {0};
    assert_false(machine_parse(&usage, "", 1));
    assert_false(machine_parse(&usage, "intr 1 2 3 4 5 6 7 8\n", 1));
    assert_false(machine_parse(&usage, "cpu 1 2 3\n", 1));
    assert_false(machine_parse(&usage, "cpu 1 2 3 4 5 6 7 8\n", 1)); /* no CPU has a line */
}

static void a_difference_gives_busy_steal_total_and_error(void **state)
{
    (void)state;
    struct machine_usage before = {.at_ns = 5, .machine_known = true, .cpus = 2};
    struct machine_usage after = {.at_ns = 5 + 2 * NS_PER_SEC,
                                  .machine_known = true,
                                  .cpus = 2,
                                  .busy_ns = 2 * NS_PER_SEC,
                                  .steal_ns = 7,
                                  .user_ns = 11,
                                  .system_ns = 13};
    struct result_cpu cpu = {0};
    machine_difference(&before, &after, &cpu);
    assert_int_equal(cpu.user_ns.count, 11);
    assert_int_equal(cpu.system_ns.count, 13);
    assert_int_equal(cpu.machine_busy_ns.count, 2 * NS_PER_SEC);
    assert_int_equal(cpu.machine_total_ns.count, 4 * NS_PER_SEC);
    assert_int_equal(cpu.machine_steal_ns.count, 7);
    /* 1000 samples at one half: sqrt(250) of them, 4 ms each. */
    assert_true(cpu.machine_error_ns.real > 63e6 && cpu.machine_error_ns.real < 64e6);
}

static void a_machine_less_busy_than_this_process_is_unknown(void **state)
{
    (void)state;
    struct machine_usage before = {.at_ns = 5, .machine_known = true, .cpus = 2};
    struct machine_usage after = {.at_ns = 5 + 3 * NS_PER_SEC,
                                  .machine_known = true,
                                  .cpus = 2,
                                  .busy_ns = NS_PER_SEC / 10,
                                  .user_ns = NS_PER_SEC,
                                  .system_ns = NS_PER_SEC};
    struct result_cpu cpu = {0};
    machine_difference(&before, &after, &cpu);
    assert_false(result_is_known(cpu.machine_busy_ns));
    assert_false(result_is_known(cpu.machine_error_ns));
    assert_true(result_is_known(cpu.machine_total_ns));
    /* Within the error of sampling it stands. */
    struct result_cpu close = {0};
    after.busy_ns = 2 * NS_PER_SEC - 100 * NS_PER_MS;
    machine_difference(&before, &after, &close);
    assert_true(result_is_known(close.machine_busy_ns));
}

static void an_unknown_machine_stays_unknown(void **state)
{
    (void)state;
    struct machine_usage before = {.at_ns = 5};
    struct machine_usage after = {.at_ns = 9, .machine_known = true};
    struct result_cpu cpu = {0};
    machine_difference(&before, &after, &cpu);
    assert_true(result_is_known(cpu.user_ns));
    assert_false(result_is_known(cpu.machine_busy_ns));
    assert_false(result_is_known(cpu.machine_error_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_is_all_but_idle_iowait_and_steal),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(a_difference_gives_busy_steal_total_and_error),
        cmocka_unit_test(a_machine_less_busy_than_this_process_is_unknown),
        cmocka_unit_test(an_unknown_machine_stays_unknown),
    };
    return cmocka_run_group_tests_name("loadgen/machine", tests, NULL, NULL);
}
