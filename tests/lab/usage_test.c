/* What /proc says of the machine and the links, read from texts whose numbers are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/lab/measure.h"
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

static void a_machine_is_quiet_only_when_it_was_seen_to_be(void **state)
{
    (void)state;
    struct usage before = {.at_ns = 0, .busy_ns = 0, .cpus = 2};
    struct usage idle = {.at_ns = 100000000, .busy_ns = 20000000, .cpus = 2};
    struct usage busy = {.at_ns = 100000000, .busy_ns = 150000000, .cpus = 2};
    struct usage unread = {.at_ns = 100000000, .cpus = 0};
    assert_true(usage_calm(&before, &idle).quiet);
    assert_false(usage_calm(&before, &busy).quiet);
    assert_true(usage_calm(&before, &busy).known);
    assert_true(fabs(usage_calm(&before, &busy).busy_cpus - 1.5) < 1e-9);
    assert_false(usage_calm(&before, &unread).known);
    assert_false(usage_calm(&before, &unread).quiet);
    assert_true(isnan(usage_calm(&before, &unread).busy_cpus));
}

static void resident_memory_is_a_figure_or_unknown_and_never_a_false_zero(void **state)
{
    (void)state;
    uint64_t bytes = 5;
    assert_true(usage_parse_resident("Name:\tx\nRssAnon:\t    12 kB\nRssFile:\t 3 kB\n", &bytes));
    assert_int_equal(bytes, 12 * 1024);
    assert_false(usage_parse_resident("Name:\tx\nRssFile:\t 3 kB\n", &bytes));
    assert_false(usage_parse_resident("Name:\tx\nRssAnon:\n", &bytes));
    assert_true(usage_resident_bytes(getpid(), &bytes) && bytes > 0);
    assert_false(usage_resident_bytes(0, &bytes)); /* nobody has this number */
}

static void held_memory_is_unknown_when_a_part_of_it_is(void **state)
{
    (void)state;
    json_t *report = json_pack("{s:i, s:f}", "open_max", 10, "bytes_per_conn", 100.0);
    struct cell_spec spec = {.in_flight = 10};
    struct cell_result result = {.client = report,
                                 .held_slabs_known = true,
                                 .held_slab_bytes = 50000,
                                 .held_server_known = true,
                                 .held_server_bytes = 2000};
    assert_true(fabs(measure_held_bytes(&spec, &result) - 5300) < 1e-6);
    result.held_server_known = false;
    assert_true(isnan(measure_held_bytes(&spec, &result)));
    result.held_server_known = true;
    result.held_slabs_known = false;
    assert_true(isnan(measure_held_bytes(&spec, &result)));
    json_decref(report);
}

static void a_series_gives_what_was_completed_in_a_stretch_of_it(void **state)
{
    (void)state;
    json_t *report = json_loads("{\"series\": [[1, 0, 100], [2, 0, 200], [3.5, 0, 400]]}", 0, NULL);
    assert_true(fabs(measure_completed(report, 0, 3.5) - 900) < 1e-6);
    assert_true(fabs(measure_completed(report, 1.5, 2.5) - 300) < 1e-6);
    assert_true(fabs(measure_completed(report, 2, 4) - 800) <
                1e-6); /* what is missing as the rest */
    assert_true(isnan(measure_completed(report, 3, 5)));
    assert_true(isnan(measure_completed(NULL, 0, 1)));
    json_decref(report);
}

static void a_stack_tells_what_its_time_wait_takes_at_either_end(void **state)
{
    (void)state;
    json_t *stack =
        json_loads("{\"counters\": {\"stack_memory\": {\"time_wait_records\": 10000, "
                   "\"time_wait_memory_bytes\": 320000, \"index_memory_bytes\": 80000}}}",
                   0, NULL);
    struct cell_spec spec = {
        .client = LAB_STACK_PACKET, .server = LAB_STACK_PACKET, .closer = "client", .close = "fin"};
    struct cell_result result = {.client = stack};
    struct measures measures;
    measure_trial(&measures, &spec, &result);
    assert_true(fabs(measures.values[MEASURE_MEMORY_TIME_WAIT] - 40) < 1e-9);
    result = (struct cell_result){.server = stack};
    measure_trial(&measures, &spec, &result);
    assert_true(fabs(measures.values[MEASURE_MEMORY_TIME_WAIT] - 40) < 1e-9);
    result = (struct cell_result){.client = NULL};
    measure_trial(&measures, &spec, &result);
    assert_true(isnan(measures.values[MEASURE_MEMORY_TIME_WAIT]));
    json_decref(stack);
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
        cmocka_unit_test(a_machine_is_quiet_only_when_it_was_seen_to_be),
        cmocka_unit_test(resident_memory_is_a_figure_or_unknown_and_never_a_false_zero),
        cmocka_unit_test(held_memory_is_unknown_when_a_part_of_it_is),
        cmocka_unit_test(a_series_gives_what_was_completed_in_a_stretch_of_it),
        cmocka_unit_test(a_stack_tells_what_its_time_wait_takes_at_either_end),
        cmocka_unit_test(slabs_are_the_pages_of_live_objects),
        cmocka_unit_test(a_links_traffic_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
