/* What /proc says of the machine and the links, read from texts whose numbers are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/lab/observer.h"
#include "bench/lab/usage.h"

#define TICK_NS 10000000

static void busy_time_has_no_idle_no_waiting_and_no_steal(void **state)
{
    (void)state;
    struct usage usage;
    assert_true(usage_parse(
        &usage, "cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 0 0\ncpu1 0 0\nintr 5\n", TICK_NS));
    assert_int_equal(usage.busy_ns, 31 * TICK_NS);
    assert_int_equal(usage.softirq_ns, 16 * TICK_NS);
    assert_int_equal(usage.steal_ns, 32 * TICK_NS);
    assert_int_equal(usage.cpus, 2);
    assert_false(usage_parse(&usage, "intr 5\n", TICK_NS));
}

static void a_counter_that_steps_back_counts_as_nothing(void **state)
{
    (void)state;
    struct usage before = {.at_ns = 5, .busy_ns = 100, .softirq_ns = 50, .cpus = 2};
    struct usage after = {.at_ns = 9, .busy_ns = 130, .softirq_ns = 49, .cpus = 2};
    struct usage between = usage_between(&before, &after);
    assert_int_equal(between.at_ns, 4);
    assert_int_equal(between.busy_ns, 30);
    assert_int_equal(between.softirq_ns, 0);
}

/* 2 s of two CPUs are 1000 samples of 4 ms; half of them busy: an error of sqrt(1000 / 4). */
static void the_error_is_that_of_so_many_samples(void **state)
{
    (void)state;
    struct usage difference = {.at_ns = UINT64_C(2000000000), .cpus = 2};
    double error_ns = usage_error_ns(&difference, UINT64_C(2000000000));
    assert_true(fabs(error_ns - sqrt(250.0) * 4e6) < 1);
    assert_true(usage_error_ns(&difference, UINT64_C(4000000000)) == 0);
}

static void slabs_are_the_pages_of_live_objects(void **state)
{
    (void)state;
    struct slabs slabs;
    slabs_parse(&slabs, "slabinfo - version: 2.1\n"
                        "# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"
                        "tw_sock_TCP 80 160 256 16 1 : tunables 0 0 0\n"
                        "TCP 26 117 2368 13 8 : tunables 0 0 0\n");
    assert_true(slabs.known);
    assert_int_equal(slabs.bytes, (80 / 16 + 26 * 8 / 13) * sysconf(_SC_PAGESIZE));
    slabs_parse(&slabs, "");
    assert_false(slabs.known);
}

static void a_links_traffic_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const char text[] = "Inter-|   Receive\n face |bytes packets\n"
                               "  xlab0: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
                               "  lab0: 1000 10 1 2 3 4 5 6 2000 20 1 2 3 4 5 6\n";
    struct observer_traffic traffic;
    assert_int_equal(observer_parse_traffic(text, "lab0", &traffic), 0);
    assert_int_equal(traffic.received_bytes, 1000);
    assert_int_equal(traffic.received_packets, 10);
    assert_int_equal(traffic.sent_bytes, 2000);
    assert_int_equal(traffic.sent_packets, 20);
    assert_true(observer_parse_traffic(text, "lab1", &traffic) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_time_has_no_idle_no_waiting_and_no_steal),
        cmocka_unit_test(a_counter_that_steps_back_counts_as_nothing),
        cmocka_unit_test(the_error_is_that_of_so_many_samples),
        cmocka_unit_test(slabs_are_the_pages_of_live_objects),
        cmocka_unit_test(a_links_traffic_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
