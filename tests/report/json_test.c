/* The JSON report, parsed back by jansson. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "report/report.h"
#include "report/sample.h"

/* Writes a report and parses it; the caller drops the tree. */
static json_t *round_trip(const struct result *result)
{
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX];
    struct failure failure;
    json_error_t problem;
    sample_directory(directory);
    sample_path(path, directory, "report.json");
    assert_int_equal(result_write_json(result, path, &failure), 0);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    assert_non_null(root);
    assert_int_equal(sample_remove_directory(directory), 1);
    return root;
}

/* Follows keys to a value; fails the test when one is missing. */
static json_t *at(json_t *value, const char *first, ...)
{
    va_list keys;
    va_start(keys, first);
    for (const char *key = first; key != NULL; key = va_arg(keys, const char *)) {
        value = json_object_get(value, key);
        if (value == NULL) {
            print_error("no key \"%s\"\n", key);
            fail();
        }
    }
    va_end(keys);
    return value;
}

#define TEXT(...) json_string_value(at(root, __VA_ARGS__, NULL))
#define INTEGER(...) json_integer_value(at(root, __VA_ARGS__, NULL))
#define IS_NULL(...) json_is_null(at(root, __VA_ARGS__, NULL))

static void every_field_comes_back(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    json_t *root = round_trip(&sample.result);
    assert_string_equal(TEXT("schema"), "finwait.result/1");
    assert_string_equal(TEXT("program"), "finwait-loadgen");
    assert_string_equal(TEXT("start"), "2023-11-14T22:13:20.123Z");
    assert_string_equal(TEXT("engine"), "uring");
    assert_string_equal(TEXT("close"), "fin");
    assert_int_equal(INTEGER("attempted"), 1003);
    assert_true(fabs(json_real_value(at(root, "completed_per_sec", NULL)) - 500) < 1e-9);
    assert_int_equal(INTEGER("errors", "connect/ECONNREFUSED"), 2);
    assert_int_equal(json_object_size(at(root, "errors", NULL)), 2);
    assert_string_equal(TEXT("error_words", "echo/ECONNRESET"), "reset");
    assert_int_equal(INTEGER("cpu_ns", "system"), 30000000);
    assert_true(fabs(json_number_value(at(root, "cpu_ns_per_conn", "own", NULL)) - 40000) < 1e-6);
    assert_int_equal(INTEGER("time_wait", "expected"), 1000);
    assert_string_equal(TEXT("options", "rate"), "20k/s");
    assert_string_equal(TEXT("host", "kernel_release"), "6.18");
    assert_string_equal(TEXT("features", "multishot_recv", "state"), "used");
    assert_int_equal(INTEGER("counters", "kernel", "ActiveOpens"), 5);
    assert_true(json_is_true(at(root, "verdict", "valid", NULL)));
    json_decref(root);
    sample_free(&sample);
}

static void lists_come_back_in_order(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    json_t *root = round_trip(&sample.result);
    json_t *row = json_array_get(at(root, "series", NULL), 0);
    assert_string_equal(json_string_value(json_array_get(at(root, "series_columns", NULL), 2)),
                        "time_wait");
    assert_true(fabs(json_real_value(json_array_get(row, 0)) - 1.5) < 1e-9);
    assert_int_equal(json_integer_value(json_array_get(row, 1)), 20);
    assert_true(json_is_null(json_array_get(row, 2)));
    json_t *census = json_array_get(at(root, "states", NULL), 0);
    assert_int_equal(json_object_size(at(census, "states", NULL)), 11);
    assert_int_equal(json_integer_value(at(census, "states", "time_wait", NULL)), 12);
    assert_string_equal(json_string_value(at(census, "method", NULL)), "proc");
    json_t *checks = at(root, "checks", NULL);
    assert_true(json_is_true(at(json_array_get(checks, 0), "ok", NULL)));
    assert_true(json_is_false(at(json_array_get(checks, 1), "ok", NULL)));
    assert_true(json_is_null(at(json_array_get(checks, 2), "ok", NULL)));
    json_t *limit = json_array_get(at(root, "verdict", "limits", NULL), 0);
    assert_string_equal(json_string_value(at(limit, "code", NULL)), "server_cpu");
    assert_string_equal(json_string_value(at(limit, "weight", NULL)), "note");
    assert_string_equal(json_string_value(at(limit, "text", NULL)), "It was busy.");
    json_decref(root);
    sample_free(&sample);
}

static void histograms_have_percentiles_and_bins_that_add_up(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    json_t *root = round_trip(&sample.result);
    json_t *hist = at(root, "latency", "connect", "from_scheduled", NULL);
    assert_int_equal(json_integer_value(at(hist, "count", NULL)), 1000);
    assert_int_equal(json_integer_value(at(hist, "sum", NULL)), 500500000);
    assert_int_equal(json_integer_value(at(hist, "p0", NULL)), 1000);
    assert_int_equal(json_integer_value(at(hist, "p100", NULL)), 1000000);
    assert_true(fabs((double)json_integer_value(at(hist, "p99", NULL)) - 990000) < 9900);
    assert_true(fabs(json_real_value(at(hist, "mean", NULL)) - 500500) < 1e-6);
    json_int_t total = 0, last = -1;
    size_t i = 0;
    json_t *pair = NULL;
    json_array_foreach(at(hist, "bins", NULL), i, pair)
    {
        assert_true(json_integer_value(json_array_get(pair, 0)) > last);
        last = json_integer_value(json_array_get(pair, 0));
        total += json_integer_value(json_array_get(pair, 1));
    }
    assert_int_equal(total, 1000);
    assert_int_equal(INTEGER("latency", "connect", "from_start", "p50"), 100);
    json_decref(root);
    sample_free(&sample);
}

static void an_empty_histogram_has_no_percentiles(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    json_t *root = round_trip(&sample.result);
    assert_int_equal(INTEGER("histograms", "turn", "count"), 0);
    assert_true(IS_NULL("histograms", "turn", "p50"));
    assert_true(IS_NULL("histograms", "turn", "p100"));
    assert_true(IS_NULL("histograms", "turn", "mean"));
    assert_int_equal(json_array_size(at(root, "histograms", "turn", "bins", NULL)), 0);
    json_decref(root);
    sample_free(&sample);
}

static void what_is_unknown_is_null_and_never_zero(void **state)
{
    (void)state;
    static const char *const scalars[] = {"command_line",
                                          "seed",
                                          "start",
                                          "start_wall_ns",
                                          "duration_ns",
                                          "engine",
                                          "closer",
                                          "close",
                                          "offered_per_sec",
                                          "completed_per_sec",
                                          "attempted",
                                          "completed",
                                          "failed",
                                          "open_at_end",
                                          "shed",
                                          "failed_before_syn",
                                          "open_max",
                                          "tuple_reuses",
                                          "segments_per_conn",
                                          "bytes_per_conn"};
    struct result result;
    assert_int_equal(result_init(&result, "finwait-server"), 0);
    result.bytes_per_conn = result_real((double)NAN);
    json_t *root = round_trip(&result);
    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        assert_true(IS_NULL(scalars[i]));
    }
    assert_true(IS_NULL("cpu_ns_per_conn", "own"));
    assert_true(IS_NULL("cpu_ns", "machine_steal"));
    assert_true(IS_NULL("time_wait", "measured"));
    assert_true(IS_NULL("time_wait", "basis"));
    json_decref(root);
    result_destroy(&result);
}

static void unknown_members_of_tables_are_null(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    json_t *root = round_trip(&sample.result);
    assert_true(IS_NULL("counters", "kernel", "TCPLost"));
    assert_true(IS_NULL("sysctls", "net.ipv4.tcp_tw_reuse"));
    assert_true(IS_NULL("features", "multishot_recv", "why"));
    json_decref(root);
    sample_free(&sample);
}

static void a_seed_of_64_bits_stays_exact(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    json_t *root = round_trip(&sample.result);
    assert_string_equal(TEXT("seed"), "18446744073709551615");
    json_decref(root);
    sample_free(&sample);
}

static void a_count_over_63_bits_is_null_rather_than_wrong(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    sample.result.open_max = result_count(UINT64_MAX);
    sample.result.shed = result_count(INT64_MAX);
    hist_record(sample.turn, UINT64_MAX);
    json_t *root = round_trip(&sample.result);
    assert_true(IS_NULL("open_max"));
    assert_true(INTEGER("shed") == INT64_MAX);
    assert_true(IS_NULL("histograms", "turn", "sum"));
    assert_true(IS_NULL("histograms", "turn", "mean"));
    json_decref(root);
    sample_free(&sample);
}

static void a_command_line_that_is_not_utf8_is_still_written(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(result_init(&result, "finwait-server"), 0);
    assert_int_equal(result_set(&result.command_line, "a \xff\xc3 \"quoted\"\n"), 0);
    json_t *root = round_trip(&result);
    assert_string_equal(TEXT("command_line"), "a ?? \"quoted\"\n");
    json_decref(root);
    result_destroy(&result);
}

static void a_failure_with_an_unnamed_errno_has_a_key_of_its_own(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(result_init(&result, "finwait-server"), 0);
    assert_int_equal(result_add_error(&result, "connect", 4094, 1), 0);
    assert_int_equal(result_add_error(&result, "connect", 4095, 2), 0);
    json_t *root = round_trip(&result);
    assert_int_equal(INTEGER("errors", "connect/errno 4094"), 1);
    assert_int_equal(INTEGER("errors", "connect/errno 4095"), 2);
    json_decref(root);
    result_destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(lists_come_back_in_order),
        cmocka_unit_test(histograms_have_percentiles_and_bins_that_add_up),
        cmocka_unit_test(an_empty_histogram_has_no_percentiles),
        cmocka_unit_test(what_is_unknown_is_null_and_never_zero),
        cmocka_unit_test(unknown_members_of_tables_are_null),
        cmocka_unit_test(a_seed_of_64_bits_stays_exact),
        cmocka_unit_test(a_count_over_63_bits_is_null_rather_than_wrong),
        cmocka_unit_test(a_command_line_that_is_not_utf8_is_still_written),
        cmocka_unit_test(a_failure_with_an_unnamed_errno_has_a_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
