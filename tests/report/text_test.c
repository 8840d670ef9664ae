/* The summary for people: what is known is there, what is not is called unknown. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/report.h"
#include "report/sample.h"

static char *render(const struct result *result)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(result_write_text(result, out), 0);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_error("missing: \"%s\" in:\n%s", part, text);
        fail();
    }
}

static void assert_lines_fit(const char *text)
{
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 80) {
            print_error("over 80 columns: %.*s\n", (int)strcspn(line, "\n"), line);
            fail();
        }
    }
}

static void the_rate_and_the_verdict_come_first(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    char *text = render(&sample.result);
    assert_int_equal(strncmp(text, "500 connections/s over 2.00s: VALID\n", 36), 0);
    free(text);
    assert_int_equal(result_add_limit(&sample.result, RESULT_TARGET_FAILED, "gone", "Gone."), 0);
    text = render(&sample.result);
    assert_int_equal(strncmp(text, "500 connections/s over 2.00s: TARGET FAILED (gone)\n", 51), 0);
    free(text);
    assert_int_equal(result_add_limit(&sample.result, RESULT_INVALID, "schedule", "Late."), 0);
    assert_int_equal(result_add_limit(&sample.result, RESULT_INVALID, "sched", "Too many."), 0);
    assert_int_equal(result_add_limit(&sample.result, RESULT_INVALID, "schedule", "Twice."), 0);
    text = render(&sample.result);
    assert_int_equal(strncmp(text, "500 connections/s over 2.00s: INVALID (schedule, sched)\n", 56),
                     0);
    assert_has(text, "schedule (run invalid): Late.");
    free(text);
    sample_free(&sample);
}

static void what_was_measured_is_in_the_summary(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    char *text = render(&sample.result);
    assert_lines_fit(text);
    assert_has(text, "engine uring, closer client, close fin");
    assert_has(text, "attempted 1,003, completed 1,000, failed 3, open at end 0, shed 0");
    assert_has(text, "since scheduled       p50      p90      p99    p99.9      max");
    assert_has(text, "1.00ms          1,000\n");
    assert_has(text, "  turn            no samples\n");
    assert_has(text, "  connect   2 refused (ECONNREFUSED)");
    assert_has(text, "  echo      1 reset (ECONNRESET)");
    assert_has(text, "TIME_WAIT   990 measured, 1,000 expected (-1.00%)\n");
    assert_has(text, "this process 40.0us, machine unknown\n");
    assert_has(text, "1 agree, 1 disagree, 1 unknown");
    assert_has(text, "MISMATCH  out_rsts: 1 expected, 4 measured; the kernel's figure");
    assert_has(text, "server_cpu: It was busy.");
    free(text);
    sample_free(&sample);
}

static void an_unknown_run_shows_no_digit_but_the_version(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(result_init(&result, "finwait-server"), 0);
    assert_int_equal(result_set(&result.version, "x"), 0);
    char *text = render(&result);
    for (const char *at = text; *at != '\0'; at++) {
        assert_false(isdigit((unsigned char)*at));
    }
    assert_has(text, "unknown connections/s over unknown");
    assert_has(text, "failures    unknown");
    assert_null(strstr(text, "none"));
    free(text);
    result_destroy(&result);
}

static void what_a_run_of_its_kind_lacks_is_left_out(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(result_init(&result, "finwait-server"), 0);
    result.attempted = result.open_at_end = result_count(1);
    result.completed = result.failed = result_count(0);
    char *text = render(&result);
    assert_int_equal(strncmp(text, "no connection was completed: VALID\n", 35), 0);
    assert_has(text, "failed 0, open at end 1\n");
    assert_null(strstr(text, "shed"));
    assert_null(strstr(text, "TIME_WAIT"));
    assert_null(strstr(text, "CPU"));
    free(text);
    result_destroy(&result);
}

static void no_failure_is_claimed_only_when_none_was_counted(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(result_init(&result, "finwait-server"), 0);
    result.failed = result_count(0);
    char *text = render(&result);
    assert_has(text, "failures    none");
    free(text);
    result_destroy(&result);
}

static void every_known_cost_is_in_the_summary(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    struct result *result = &sample.result;
    result->cpu.machine_busy_ns = result_count(90000000);
    result->cpu.machine_error_ns = result_count(500000);
    result->cpu.machine_steal_ns = result_count(3000000);
    result->time_wait.peak = result_count(995);
    result->time_wait.lifetime_ns = result_count(UINT64_C(61030000000));
    result->segments_per_conn = result_real(10.01);
    result->bytes_per_conn = result_count(512);
    result->tuple_reuses = result_count(7);
    result_derive(result);
    char *text = render(result);
    assert_has(text, "this process 40.0us, machine 90.0us +- 500ns, steal");
    assert_has(text, " 3.00us\n");
    assert_has(text, "peak 995; lifetime 61.0s");
    assert_has(text, "segments    10.01 per connection\n");
    assert_has(text, "memory      512 bytes per connection, kernel apart\n");
    assert_has(text, "4-tuples    7 used again early\n");
    free(text);
    sample_free(&sample);
}

static void huge_values_and_long_sentences_stay_within_80_columns(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    struct result *result = &sample.result;
    result->attempted = result->completed = result->failed = result_count(UINT64_MAX);
    result->open_at_end = result->shed = result_count(UINT64_MAX);
    result->time_wait.measured = result->time_wait.peak = result_count(UINT64_MAX);
    hist_record(sample.start, UINT64_C(3000000000000));
    assert_int_equal(
        result_add_limit(
            result, RESULT_INVALID, "descriptors",
            "The limit of %d descriptors was reached, so that arrivals were shed; raise "
            "it with ulimit -n, or ask for fewer connections with --conns-max.",
            20000),
        0);
    char *text = render(result);
    assert_lines_fit(text);
    free(text);
    sample_free(&sample);
}

static void a_stream_that_fails_is_an_error(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(result_write_text(&sample.result, full), -EIO);
    fclose(full);
    sample_free(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_and_the_verdict_come_first),
        cmocka_unit_test(what_was_measured_is_in_the_summary),
        cmocka_unit_test(an_unknown_run_shows_no_digit_but_the_version),
        cmocka_unit_test(what_a_run_of_its_kind_lacks_is_left_out),
        cmocka_unit_test(no_failure_is_claimed_only_when_none_was_counted),
        cmocka_unit_test(every_known_cost_is_in_the_summary),
        cmocka_unit_test(huge_values_and_long_sentences_stay_within_80_columns),
        cmocka_unit_test(a_stream_that_fails_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
