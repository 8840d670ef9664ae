/* A report read back: summaries for tables, histograms for merging. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/report.h"
#include "report/sample.h"

struct fixture {
    struct sample sample;
    char directory[SAMPLE_PATH_MAX];
    char path[SAMPLE_PATH_MAX];
};

static int make(void **state)
{
    static struct fixture fixture;
    sample_make(&fixture.sample);
    sample_directory(fixture.directory);
    sample_path(fixture.path, fixture.directory, "report.json");
    *state = &fixture;
    return 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    sample_remove_directory(fixture->directory);
    sample_free(&fixture->sample);
    return 0;
}

static void write_report(struct fixture *fixture)
{
    struct failure failure;
    assert_int_equal(result_write_json(&fixture->sample.result, fixture->path, &failure), 0);
}

static void a_summary_has_what_the_result_had(void **state)
{
    struct fixture *fixture = *state;
    struct result_summary summary;
    struct failure failure;
    write_report(fixture);
    assert_int_equal(result_summary_read(&summary, fixture->path, &failure), 0);
    assert_string_equal(summary.program, "finwait-loadgen");
    assert_string_equal(summary.engine, "uring");
    assert_string_equal(summary.close_how, "fin");
    assert_true(summary.is_valid);
    assert_int_equal(summary.completed.count, 1000);
    assert_true(fabs(result_as_double(summary.completed_per_sec) - 500) < 1e-9);
    assert_true(fabs(result_as_double(summary.offered_per_sec) - 501.5) < 1e-9);
    assert_int_equal(summary.connect.from_scheduled.max_ns.count, 1000000);
    assert_int_equal(summary.connect.from_scheduled.p50_ns.count,
                     hist_percentile(fixture->sample.connect, 50));
    assert_int_equal(summary.connect.from_start.p99_ns.count, 100);
    assert_true(fabs(result_as_double(summary.cpu_own_ns_per_conn) - 40000) < 1e-6);
    assert_int_equal(summary.time_wait_measured.count, 990);
    assert_int_equal(summary.checks_failed, 1);
    assert_int_equal(summary.error_count, 2);
    assert_string_equal(summary.errors[0].key, "connect/ECONNREFUSED");
    assert_int_equal(summary.errors[0].count, 2);
}

static void what_the_report_does_not_know_stays_unknown(void **state)
{
    struct fixture *fixture = *state;
    struct result_summary summary;
    struct failure failure;
    write_report(fixture);
    assert_int_equal(result_summary_read(&summary, fixture->path, &failure), 0);
    assert_false(result_is_known(summary.segments_per_conn));
    assert_false(result_is_known(summary.cpu_machine_ns_per_conn));
    assert_false(result_is_known(summary.time_wait_peak));
    assert_false(result_is_known(summary.echo.from_scheduled.count));
    assert_false(result_is_known(summary.echo.from_start.max_ns));
}

static void limits_come_back_with_their_weight_and_their_number(void **state)
{
    struct fixture *fixture = *state;
    struct result_summary summary;
    struct failure failure;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            result_add_limit(&fixture->sample.result, RESULT_INVALID, "schedule", "Late by %d.", i),
            0);
    }
    write_report(fixture);
    assert_int_equal(result_summary_read(&summary, fixture->path, &failure), 0);
    assert_false(summary.is_valid);
    assert_int_equal(summary.exit_code, 3);
    assert_int_equal(summary.limit_total, 21);
    assert_int_equal(summary.limit_count, SUMMARY_LIMITS_MAX);
    assert_int_equal(summary.limits[0].weight, RESULT_NOTE);
    assert_int_equal(summary.limits[1].weight, RESULT_INVALID);
    assert_string_equal(summary.limits[1].text, "Late by 0.");
}

static void what_is_no_report_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "no JSON, line 1"},
        {"{\"schema\": \"finwait.result/1\"", "no JSON"},
        {"{}", "schema is \"\""},
        {"[]", "schema is \"\""},
        {"{\"schema\": \"finwait.result/2\"}", "schema is \"finwait.result/2\""},
    };
    struct result_summary summary;
    struct failure failure;
    assert_int_equal(result_summary_read(&summary, fixture->path, &failure), -ENOENT);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sample_write(fixture->path, cases[i].text);
        assert_int_equal(result_summary_read(&summary, fixture->path, &failure), -EINVAL);
        assert_non_null(strstr(failure.text, cases[i].part));
    }
    sample_write(fixture->path, "{\"schema\": \"finwait.result/1\"}");
    assert_int_equal(result_summary_read(&summary, fixture->path, &failure), 0);
    assert_false(summary.is_valid);
    assert_false(result_is_known(summary.completed));
}

static void histograms_of_two_reports_add_up_as_if_recorded_together(void **state)
{
    struct fixture *fixture = *state;
    struct failure failure;
    struct hist *both = malloc(2 * sizeof(*both));
    assert_non_null(both);
    hist_init(&both[0]);
    hist_init(&both[1]);
    for (int i = 0; i < 2; i++) {
        write_report(fixture);
        assert_int_equal(
            result_hist_read(&both[0], fixture->path, "connect", RESULT_FROM_SCHEDULED, &failure),
            0);
        hist_merge(&both[1], fixture->sample.connect);
        hist_record(fixture->sample.connect, UINT64_C(1) << 45);
    }
    assert_int_equal(both[0].count, 2001);
    assert_memory_equal(&both[0], &both[1], sizeof(both[0]));
    assert_int_equal(result_hist_read(&both[0], fixture->path, "turn", RESULT_PLAIN, &failure), 0);
    assert_memory_equal(&both[0], &both[1], sizeof(both[0]));
    free(both);
}

static void a_damaged_or_missing_histogram_adds_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct failure failure;
    static const char *const damaged[] = {
        "{\"count\":1,\"sum\":5,\"p0\":5,\"p100\":5,\"bins\":[[5,2]]}",
        "{\"count\":1,\"sum\":5,\"p0\":5,\"p100\":5,\"bins\":[[5]]}",
        "{\"count\":1,\"sum\":5,\"p0\":5,\"p100\":5,\"bins\":[5]}",
        "{\"count\":1,\"sum\":5,\"p0\":5,\"p100\":5,\"bins\":[[-5,1]]}",
        "{\"count\":1,\"sum\":5,\"p0\":5,\"p100\":5,\"bins\":[[1001,1]]}",
        "{\"count\":1,\"sum\":5,\"p0\":null,\"p100\":5,\"bins\":[[5,1]]}",
        "{\"sum\":5,\"p0\":5,\"p100\":5,\"bins\":[[5,1]]}",
        "{}",
    };
    struct hist *into = malloc(sizeof(*into));
    assert_non_null(into);
    hist_init(into);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"schema\":\"finwait.result/1\",\"histograms\":{\"turn\":%s}}", damaged[i]);
        sample_write(fixture->path, text);
        assert_int_equal(result_hist_read(into, fixture->path, "turn", RESULT_PLAIN, &failure),
                         -EINVAL);
        assert_int_equal(result_hist_read(into, fixture->path, "echo", RESULT_FROM_START, &failure),
                         -ENOENT);
    }
    assert_int_equal(into->count, 0);
    free(into);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make, destroy)
    const struct CMUnitTest tests[] = {
        CASE(a_summary_has_what_the_result_had),
        CASE(what_the_report_does_not_know_stays_unknown),
        CASE(limits_come_back_with_their_weight_and_their_number),
        CASE(what_is_no_report_is_refused),
        CASE(histograms_of_two_reports_add_up_as_if_recorded_together),
        CASE(a_damaged_or_missing_histogram_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
