/* The result's tables, derived values, accounting and verdict. */
#include "report/result.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int make(void **state)
{
    static struct result result;
    *state = &result;
    return result_init(&result, "finwait-test");
}

static int destroy(void **state)
{
    result_destroy(*state);
    return 0;
}

static void a_number_is_unknown_until_set_and_when_not_finite(void **state)
{
    struct result *result = *state;
    assert_false(result_is_known(result->completed));
    assert_false(result_is_known(result->cpu.own_ns_per_conn));
    assert_false(result_is_known(result_real((double)NAN)));
    assert_false(result_is_known(result_real((double)INFINITY)));
    assert_true(result_is_known(result_count(0)));
    assert_true(result_is_known(result_real(0)));
    assert_string_equal(result->version, FINWAIT_VERSION);
    assert_null(result->engine);
}

static void tables_keep_every_entry_while_they_grow(void **state)
{
    struct result *result = *state;
    static struct hist hist;
    static const char *const column = "completed";
    assert_int_equal(result_series_columns(result, &column, 1), 0);
    for (int i = 0; i < 200; i++) {
        char name[16];
        struct result_number cell = result_count((uint64_t)i);
        snprintf(name, sizeof(name), "n%d", i);
        struct result_census census = {.cost_wall_ns = (uint64_t)i};
        struct result_check check = {.name = name};
        assert_int_equal(result_add_option(result, name, name), 0);
        assert_int_equal(result_add_error(result, name, i + 1, 1), 0);
        assert_int_equal(result_add_hist(result, name, RESULT_PLAIN, &hist), 0);
        assert_int_equal(result_add_counter(result, "group", name, cell), 0);
        assert_int_equal(result_series_add_row(result, &cell), 0);
        assert_int_equal(result_add_census(result, &census), 0);
        assert_int_equal(result_add_feature(result, name, "used", NULL), 0);
        assert_int_equal(result_add_check(result, &check), 0);
        assert_int_equal(result_add_limit(result, RESULT_NOTE, name, "Sentence %d.", i), 0);
    }
    for (uint32_t i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i);
        assert_string_equal(result->options[i].value, name);
        assert_string_equal(result->errors[i].phase, name);
        assert_string_equal(result->hists[i].name, name);
        assert_string_equal(result->counters[i].name, name);
        assert_int_equal(result->series.cells[i].count, i);
        assert_int_equal(result->censuses[i].cost_wall_ns, i);
        assert_string_equal(result->features[i].name, name);
        assert_string_equal(result->checks[i].name, name);
        assert_string_equal(result->limits[i].code, name);
    }
    assert_int_equal(result->series.row_count, 200);
    assert_string_equal(result->limits[199].text, "Sentence 199.");
}

static void an_option_given_again_replaces_its_value(void **state)
{
    struct result *result = *state;
    assert_int_equal(result_add_option(result, "rate", "10k"), 0);
    assert_int_equal(result_add_option(result, "rate", NULL), 0);
    assert_int_equal(result->option_count, 1);
    assert_null(result->options[0].value);
    assert_int_equal(result_add_option(result, "rate", "20k"), 0);
    assert_string_equal(result->options[0].value, "20k");
}

static void errors_add_up_by_phase_and_errno(void **state)
{
    struct result *result = *state;
    assert_int_equal(result_add_error(result, "connect", ECONNREFUSED, 2), 0);
    assert_int_equal(result_add_error(result, "echo", ECONNREFUSED, 3), 0);
    assert_int_equal(result_add_error(result, "connect", ETIMEDOUT, 4), 0);
    assert_int_equal(result_add_error(result, "connect", ECONNREFUSED, 5), 0);
    assert_int_equal(result_add_error(result, "close", EIO, 0), 0);
    assert_int_equal(result->error_count, 3);
    assert_int_equal(result->errors[0].count, 7);
    assert_int_equal(result_error_total(result), 14);
}

static void a_command_line_is_quoted_for_a_shell(void **state)
{
    struct result *result = *state;
    char program[] = "finwait-loadgen", flag[] = "--fail-if", gate[] = "connect.p99>5ms",
         quote[] = "it's", empty[] = "";
    char *const argv[] = {program, flag, gate, quote, empty};
    assert_int_equal(result_set_command_line(result, 5, argv), 0);
    assert_string_equal(result->command_line,
                        "finwait-loadgen --fail-if 'connect.p99>5ms' 'it'\\''s' ''");
}

struct options {
    uint64_t count;
    bool flag;
};

static void every_option_of_a_table_is_echoed(void **state)
{
    struct result *result = *state;
    static const struct cli_option table[] = {
        {.name = "count", .type = CLI_COUNT, .offset = offsetof(struct options, count)},
        {.name = "quick", .type = CLI_ON_OFF, .offset = offsetof(struct options, flag)},
    };
    static const struct cli_program program = {
        .name = "t", .options = table, .option_count = 2, .struct_bytes = sizeof(struct options)};
    const struct options options = {.count = 1234567, .flag = true};
    assert_int_equal(result_add_options(result, &program, &options), 0);
    assert_int_equal(result->option_count, 2);
    assert_string_equal(result->options[0].name, "count");
    assert_string_equal(result->options[0].value, "1234567");
    assert_string_equal(result->options[1].value, "on");
}

static void a_check_is_decided_by_its_tolerance_and_unknown_sides(void **state)
{
    struct result *result = *state;
    char name[] = "check";
    const struct {
        struct result_number expected, measured;
        double tolerance;
        enum result_check_outcome outcome;
    } cases[] = {
        {result_count(5), result_count(5), 0, RESULT_CHECK_OK},
        {result_count(5), result_count(6), 0, RESULT_CHECK_FAILED},
        {result_count(6), result_count(5), 1, RESULT_CHECK_OK},
        {result_real(1.5), result_count(2), 0.5, RESULT_CHECK_OK},
        {result_real(1.5), result_real(2.1), 0.5, RESULT_CHECK_FAILED},
        {result_unknown(), result_count(0), 0, RESULT_CHECK_UNKNOWN},
        {result_count(0), result_real((double)NAN), 0, RESULT_CHECK_UNKNOWN},
        /* One apart, where a double cannot tell. */
        {result_count(UINT64_MAX), result_count(UINT64_MAX - 1), 0, RESULT_CHECK_FAILED},
    };
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result_check check = {.name = name,
                                     .expected = cases[i].expected,
                                     .measured = cases[i].measured,
                                     .tolerance = cases[i].tolerance};
        assert_int_equal(result_add_check(result, &check), 0);
        assert_int_equal(result->checks[i].outcome, cases[i].outcome);
    }
}

static void set_counts(struct result *result, const uint64_t counts[4])
{
    result->attempted = result_count(counts[0]);
    result->completed = result_count(counts[1]);
    result->failed = result_count(counts[2]);
    result->open_at_end = result_count(counts[3]);
}

static void accounts_that_add_up_leave_the_run_valid(void **state)
{
    struct result *result = *state;
    set_counts(result, (const uint64_t[4]){10, 7, 2, 1});
    assert_int_equal(result_add_error(result, "connect", EPIPE, 2), 0);
    assert_int_equal(result_check_accounting(result), 0);
    assert_int_equal(result->limit_count, 0);
    assert_true(result_is_valid(result));
}

static void accounts_that_do_not_add_up_make_the_run_invalid(void **state)
{
    struct result *result = *state;
    set_counts(result, (const uint64_t[4]){10, 7, 2, 2});
    assert_int_equal(result_add_error(result, "connect", EPIPE, 2), 0);
    assert_int_equal(result_check_accounting(result), 0);
    assert_int_equal(result->limit_count, 1);
    assert_string_equal(result->limits[0].code, "accounting");
    assert_non_null(strstr(result->limits[0].text, "10 connections were attempted"));
    assert_false(result_is_valid(result));
    assert_int_equal(result_exit_code(result), 3);
}

static void failures_without_an_errno_make_the_run_invalid(void **state)
{
    struct result *result = *state;
    set_counts(result, (const uint64_t[4]){10, 7, 2, 1});
    assert_int_equal(result_add_error(result, "connect", EPIPE, 1), 0);
    assert_int_equal(result_check_accounting(result), 0);
    assert_int_equal(result->limit_count, 1);
    assert_string_equal(result->limits[0].code, "accounting");
    assert_false(result_is_valid(result));
}

static void a_term_that_is_unknown_cannot_be_accounted_for(void **state)
{
    struct result *result = *state;
    assert_int_equal(result_check_accounting(result), 0);
    assert_true(result_is_valid(result));
    result->attempted = result_count(0);
    assert_int_equal(result_check_accounting(result), 0);
    assert_false(result_is_valid(result));
}

static void the_exit_code_follows_the_heaviest_limit(void **state)
{
    struct result *result = *state;
    assert_int_equal(result_exit_code(result), 0);
    assert_int_equal(result_add_limit(result, RESULT_NOTE, "note", "Told."), 0);
    assert_int_equal(result_exit_code(result), 0);
    assert_int_equal(result_add_limit(result, RESULT_TARGET_FAILED, "target", "Gone."), 0);
    assert_int_equal(result_exit_code(result), 4);
    assert_true(result_is_valid(result));
    assert_int_equal(result_add_limit(result, RESULT_INVALID, "schedule", "Late."), 0);
    assert_int_equal(result_exit_code(result), 3);
}

static void what_follows_is_derived_and_what_does_not_stays_unknown(void **state)
{
    struct result *result = *state;
    result->completed = result_count(100);
    result->duration_ns = result_count(UINT64_C(4000000000));
    result->cpu.user_ns = result_count(1000);
    result->cpu.system_ns = result_count(3000);
    result_derive(result);
    assert_true(fabs(result_as_double(result->completed_per_sec) - 25) < 1e-9);
    assert_true(fabs(result_as_double(result->cpu.own_ns_per_conn) - 40) < 1e-9);
    assert_false(result_is_known(result->cpu.machine_ns_per_conn));
}

static void a_run_without_completions_has_no_cost_per_connection(void **state)
{
    struct result *result = *state;
    result->completed = result_count(0);
    result->duration_ns = result_count(0);
    result->cpu.user_ns = result_count(1000);
    result->cpu.system_ns = result_count(3000);
    result_derive(result);
    assert_false(result_is_known(result->cpu.own_ns_per_conn));
    assert_false(result_is_known(result->completed_per_sec));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make, destroy)
    const struct CMUnitTest tests[] = {
        CASE(a_number_is_unknown_until_set_and_when_not_finite),
        CASE(tables_keep_every_entry_while_they_grow),
        CASE(an_option_given_again_replaces_its_value),
        CASE(errors_add_up_by_phase_and_errno),
        CASE(a_command_line_is_quoted_for_a_shell),
        CASE(every_option_of_a_table_is_echoed),
        CASE(a_check_is_decided_by_its_tolerance_and_unknown_sides),
        CASE(accounts_that_add_up_leave_the_run_valid),
        CASE(accounts_that_do_not_add_up_make_the_run_invalid),
        CASE(failures_without_an_errno_make_the_run_invalid),
        CASE(a_term_that_is_unknown_cannot_be_accounted_for),
        CASE(the_exit_code_follows_the_heaviest_limit),
        CASE(what_follows_is_derived_and_what_does_not_stays_unknown),
        CASE(a_run_without_completions_has_no_cost_per_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
