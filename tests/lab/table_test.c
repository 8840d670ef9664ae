/* The demo's table: what is expected of TIME_WAIT, and how reports become rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/lab/table.h"

struct expectation {
    const char *closer;
    const char *close;
    double client;
    double server;
};

static const struct expectation expectations[] = {
    {"client", "fin", 100, 0},   {"client", "close", 100, 0},
    {"client", "half", 100, 0},  {"client", "rst", 0, 0},
    {"server", "fin", 0, 100},   {"server", "rst", 0, 0},
    {"both", "rst", 0, 0},       {"both", "fin-no-timewait", 0, 0},
    {"server", "close", 0, 100}, {"client", "fin-no-timewait", 0, 0},
};

static void time_wait_is_expected_at_the_closer_and_nowhere_after_a_reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        const struct expectation *expectation = &expectations[i];
        struct cell_spec spec = {.closer = expectation->closer, .close = expectation->close};
        struct table_expected expected = table_expect(&spec, 100);
        assert_true(expected.client == expectation->client);
        assert_true(expected.server == expectation->server);
        assert_true(expected.both_min == expected.client + expected.server);
        assert_true(expected.both_max == expected.both_min);
    }
}

static void both_closing_leave_one_or_two_a_connection_at_either_end(void **state)
{
    (void)state;
    static const struct {
        uint64_t client, server;
        bool as_expected;
    } cases[] = {{0, 100, true},   {100, 0, true},  {40, 61, true},
                 {100, 100, true}, {40, 59, false}, {101, 100, false}};
    struct cell_spec spec = {.closer = "both", .close = "fin"};
    const struct table_expected expected = table_expect(&spec, 100);
    assert_true(isnan(expected.client) && isnan(expected.server));
    struct cell_result result = {.counted = true, .client = json_pack("{s:i}", "completed", 100)};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        result.client_time_wait = cases[i].client;
        result.server_time_wait = cases[i].server;
        assert_int_equal(table_as_expected(&spec, &result), cases[i].as_expected);
    }
    json_decref(result.client);
    spec.client = LAB_NULL_PACKET;
    assert_true(table_expect(&spec, 100).both_max == 0);
}

static void one_time_wait_on_the_wrong_side_is_not_as_expected(void **state)
{
    (void)state;
    struct cell_spec spec = {.closer = "client", .close = "fin"};
    struct cell_result result = {.counted = true, .client_time_wait = 100};
    result.client = json_pack("{s:i}", "completed", 100);
    assert_true(table_as_expected(&spec, &result));
    result.server_time_wait = 1;
    assert_false(table_as_expected(&spec, &result));
    result.server_time_wait = 0;
    result.client_time_wait = 99;
    assert_false(table_as_expected(&spec, &result));
    result.client_time_wait = 100;
    result.counted = false;
    assert_false(table_as_expected(&spec, &result));
    json_decref(result.client);
}

static void a_stack_s_time_wait_are_those_of_its_report(void **state)
{
    (void)state;
    struct cell_spec spec = {
        .client = LAB_STACK_PACKET, .server = LAB_STACK_PACKET, .closer = "server", .close = "fin"};
    /* The kernel's count is of a namespace whose kernel has no part in it. */
    struct cell_result result = {.counted = true, .client_time_wait = 1, .server_time_wait = 1};
    result.client = json_pack("{s:i, s:{s:i}}", "completed", 100, "time_wait", "measured", 0);
    result.server = json_pack("{s:{s:n}, s:{s:{s:i}}}", "time_wait", "measured", "counters",
                              "stack_run", "time_wait_abandoned", 100);
    assert_true(table_as_expected(&spec, &result));
    assert_true(table_time_wait(&spec, &result, false) == 100);
    json_decref(result.server);
    result.server = NULL;
    assert_false(table_as_expected(&spec, &result));
    assert_true(isnan(table_time_wait(&spec, &result, false)));
    json_decref(result.client);
}

static void a_number_is_found_by_its_path_and_nan_when_unknown(void **state)
{
    (void)state;
    json_t *root =
        json_pack("{s:{s:{s:i, s:n}}, s:s}", "latency", "connect", "p50", 7, "p99", "text", "a");
    assert_true(table_number(root, "latency/connect/p50") == 7.0);
    assert_true(isnan(table_number(root, "latency/connect/p99")));
    assert_true(isnan(table_number(root, "latency/echo/p50")));
    assert_true(isnan(table_number(root, "text")));
    assert_true(isnan(table_number(NULL, "latency")));
    json_decref(root);
}

/* Prints a row and gives its words, separated by single spaces. */
static void print_words(const struct cell_result *result, char *words, size_t size)
{
    struct cell_spec spec = {.client = LAB_KERNEL_URING, .closer = "client", .close = "fin"};
    char *text = NULL;
    size_t length = 0, used = 0;
    FILE *out = open_memstream(&text, &length);
    table_print_row(out, &spec, result);
    fclose(out);
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        if (text[i] != ' ' || (i > 0 && text[i - 1] != ' ')) {
            words[used++] = text[i];
        }
    }
    words[used] = '\0';
    free(text);
}

static void a_row_shows_the_reports_numbers_in_microseconds(void **state)
{
    (void)state;
    char words[256];
    struct cell_result result = {.counted = true, .client_time_wait = 60000};
    result.client = json_pack(
        "{s:i, s:f, s:i, s:{s:{s:{s:i, s:i, s:i}}, s:{s:{s:i, s:i, s:i}}}, s:{s:f, s:f}}",
        "completed", 60000, "completed_per_sec", 19999.6, "failed", 0, "latency", "connect",
        "from_start", "p50", 812345, "p99", 1650000, "p100", 15000499, "echo", "from_start", "p50",
        40400, "p99", 40500, "p100", 41600, "cpu_ns_per_conn", "own", 41000.0, "machine", 99000.0);
    result.server = json_pack("{s:{s:f}}", "cpu_ns_per_conn", "own", 36200.0);
    assert_non_null(result.client);
    assert_non_null(result.server);
    print_words(&result, words, sizeof(words));
    assert_string_equal(words, "kernel-uring client/fin 20000 812/1650/15000 40/40/42 41/36/99 0 "
                               "60000+0 60000+0\n");
    json_decref(result.client);
    json_decref(result.server);
}

static void a_server_that_completed_nothing_costs_what_the_client_completed(void **state)
{
    (void)state;
    char words[256];
    struct cell_result result = {.counted = true};
    result.client = json_pack("{s:i}", "completed", 1000);
    result.server = json_pack("{s:{s:n}, s:{s:i, s:i}}", "cpu_ns_per_conn", "own", "cpu_ns", "user",
                              10000000, "system", 23000000);
    assert_non_null(result.server);
    print_words(&result, words, sizeof(words));
    assert_string_equal(words, "kernel-uring client/fin - -/-/- -/-/- -/33/- - 0+0 1000+0\n");
    json_decref(result.client);
    json_decref(result.server);
}

static void a_row_without_reports_shows_dashes(void **state)
{
    (void)state;
    char words[256];
    struct cell_result result = {.outcome = CELL_FAILED};
    print_words(&result, words, sizeof(words));
    assert_string_equal(words, "kernel-uring client/fin - -/-/- -/-/- -/-/- - - -\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_wait_is_expected_at_the_closer_and_nowhere_after_a_reset),
        cmocka_unit_test(both_closing_leave_one_or_two_a_connection_at_either_end),
        cmocka_unit_test(one_time_wait_on_the_wrong_side_is_not_as_expected),
        cmocka_unit_test(a_stack_s_time_wait_are_those_of_its_report),
        cmocka_unit_test(a_number_is_found_by_its_path_and_nan_when_unknown),
        cmocka_unit_test(a_row_shows_the_reports_numbers_in_microseconds),
        cmocka_unit_test(a_server_that_completed_nothing_costs_what_the_client_completed),
        cmocka_unit_test(a_row_without_reports_shows_dashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
