/* The language of --fail-if and its verdicts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/report.h"
#include "report/sample.h"

static void bad_gates_are_refused_with_what_is_possible(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "no comparison"},
        {"connect.p99", "no comparison"},
        {"connect.p99!5ms", "no comparison"},
        {">5ms", "a metric and a value must stand around \">\""},
        {"connect.p99>", "a metric and a value must stand around \">\""},
        {"conect.p99>5ms", "unknown metric \"conect.p99\"; use HISTOGRAM.p99 (connect,"},
        {"speed>5", "checks_failed"},
        {"connect>5ms", "\"\" is no statistic of connect; use p0 to p100"},
        {"connect.>5ms", "is no statistic of connect"},
        {"connect.p101>5ms", "\"p101\" is no statistic of connect"},
        {"connect.p>5ms", "is no statistic"},
        {"connect.p9.9.9>5ms", "is no statistic"},
        {"connect.pinf>5ms", "is no statistic"},
        {"connect.p1e1>5ms", "is no statistic"},
        {"connect.median>5ms", "is no statistic"},
        {"connect.begin.p99>5ms", "after \"start.\" for the actual start"},
        {"turn.start.p99>5ms", "\"start.p99\" is no statistic of turn"},
        {"failed.p99>5", "unknown metric \"failed.p99\""},
        {"connect.p99>5", "--fail-if connect.p99>5"},
        {"connect.p99>5parsec", "parsec"},
        {"connect.count>5ms", "5ms"},
        {"failed>x", "--fail-if failed>x"},
        {"failed>-1", "-1"},
        {"completed_per_sec<10k/x", "10k/x"},
        {"failed_percent>0.1.1", "is no number"},
        {"failed_percent>nan", "is no number"},
        {"segments_per_conn=>7", "is no number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gate gate;
        struct failure failure = {.error = 0};
        if (gate_parse(&gate, cases[i].text, &failure) != -EINVAL ||
            strstr(failure.text, cases[i].part) == NULL || strchr(failure.text, '\n') != NULL) {
            print_error("%s: %s\n", cases[i].text, failure.text);
            fail();
        }
        assert_int_equal(failure.error, EINVAL);
    }
}

/* The sample: connect 1..1000 us from the schedule, 100 ns from the start; turn empty; no echo. */
static const struct {
    const char *text;
    bool fails;
    const char *reason; /* part of it */
} verdicts[] = {
    {"connect.p99>5ms", false, ""},
    {"connect.p99>900us", true, "connect.p99>900us: the run has 9"},
    {"connect.max>=1ms", true, "the run has 1.00ms"},
    {"connect.max>1ms", false, ""},
    {"connect.p100<=1ms", true, "1.00ms"},
    {"connect.scheduled.p50>100us", true, "us"},
    {"connect.start.p50>100us", false, ""},
    {"connect.start.p50==100ns", true, "100ns"},
    {"connect.start.max!=100ns", false, ""},
    {"connect.min<2us", true, "1.00us"},
    {"connect.mean > 500us", true, "us"},
    {"\tconnect.p0 = 1us ", true, "1.00us"},
    {"connect.count<2k", true, "1,000"},
    {"turn.count>0", false, ""},
    {"turn.p99>5ms", true, "turn has no samples"},
    {"echo.p99>5ms", true, "did not measure echo"},
    {"failed>0", true, "the run has 3"},
    {"failed>3", false, ""},
    {"failed_percent>0.3", false, ""},
    {"failed_percent>0.29", true, "0.30"},
    {"errors>=3", true, "3"},
    {"errors>3", false, ""},
    {"checks_failed>0", true, "1"},
    {"completed_per_sec<10k", true, "500"},
    {"completed_per_sec<30k/min", false, ""},
    {"completed_per_sec<30001/min", true, "500"},
    {"cpu_ns_per_conn>39us", true, "40.0us"},
    {"time_wait>1k", false, ""},
    {"segments_per_conn>7.5", true, "segments_per_conn is unknown"},
    {"segments_per_conn<=7.5", true, "segments_per_conn is unknown"},
    {"tuple_reuses>0", true, "is unknown in this run"},
};

static void gates_judge_the_sample_as_the_table_says(void **state)
{
    (void)state;
    struct sample sample;
    sample_make(&sample);
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        struct gate gate;
        struct failure failure = {.text = ""};
        char reason[GATE_REASON_MAX];
        bool parsed = gate_parse(&gate, verdicts[i].text, &failure) == 0;
        if (!parsed || gate_fails(&gate, &sample.result, reason) != verdicts[i].fails ||
            strstr(reason, verdicts[i].reason) == NULL ||
            (!verdicts[i].fails && reason[0] != '\0')) {
            print_error("%s: %s %s\n", verdicts[i].text, failure.text, parsed ? reason : "");
            fail();
        }
    }
    sample_free(&sample);
}

static void a_maximum_of_several_workers_is_unknown_and_says_why(void **state)
{
    (void)state;
    struct result result;
    struct gate gate;
    char reason[GATE_REASON_MAX];
    assert_int_equal(result_init(&result, "finwait-test"), 0);
    assert_int_equal(gate_parse(&gate, "open_max>10", NULL), 0);
    assert_true(gate_fails(&gate, &result, reason));
    assert_non_null(strstr(reason, "several workers"));
    assert_non_null(strstr(reason, "open_max_of_workers_added is only a bound"));
    result_destroy(&result);
}

static void a_result_that_counted_nothing_passes_no_gate(void **state)
{
    (void)state;
    static const char *const gates[] = {"failed>0",        "errors>0",         "checks_failed>0",
                                        "connect.count<1", "failed_percent>1", "shed>0"};
    struct result result;
    char reason[GATE_REASON_MAX];
    assert_int_equal(result_init(&result, "finwait-test"), 0);
    for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++) {
        struct gate gate;
        assert_int_equal(gate_parse(&gate, gates[i], NULL), 0);
        assert_true(gate_fails(&gate, &result, reason));
        assert_true(reason[0] != '\0');
    }
    result_destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_gates_are_refused_with_what_is_possible),
        cmocka_unit_test(gates_judge_the_sample_as_the_table_says),
        cmocka_unit_test(a_maximum_of_several_workers_is_unknown_and_says_why),
        cmocka_unit_test(a_result_that_counted_nothing_passes_no_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
