/* The text that Prometheus reads, to the byte. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/openmetrics.h"

static void expect(struct openmetrics *out, const char *text)
{
    assert_int_equal(openmetrics_finish(out), 0);
    assert_string_equal(out->text, text);
    openmetrics_free(out);
}

static const struct openmetrics_family closes = {"closes", OPENMETRICS_COUNTER, "", "a \"b\"\\\n"};
static const struct openmetrics_family age = {"age_seconds", OPENMETRICS_GAUGE, "seconds", "old"};

static void write_both(struct openmetrics *out)
{
    const struct openmetrics_label labels[] = {{"how", "fin"}, {"who", "\"a\\b\nc"}};
    openmetrics_begin(out, &closes);
    openmetrics_count(out, &closes, (struct openmetrics_labels){labels, 2}, UINT64_MAX);
    openmetrics_one(out, &age, 1.5);
}

static void test_both_formats_differ_where_they_must(void **state)
{
    (void)state;
    struct openmetrics out;
    openmetrics_init(&out, OPENMETRICS_1_0);
    write_both(&out);
    expect(&out, "# HELP closes a \\\"b\\\"\\\\\\n\n"
                 "# TYPE closes counter\n"
                 "closes_total{how=\"fin\",who=\"\\\"a\\\\b\\nc\"} 18446744073709551615\n"
                 "# HELP age_seconds old\n"
                 "# TYPE age_seconds gauge\n"
                 "# UNIT age_seconds seconds\n"
                 "age_seconds 1.5\n"
                 "# EOF\n");
    openmetrics_init(&out, OPENMETRICS_TEXT_0_0_4);
    write_both(&out);
    expect(&out, "# HELP closes_total a \"b\"\\\\\\n\n"
                 "# TYPE closes_total counter\n"
                 "closes_total{how=\"fin\",who=\"\\\"a\\\\b\\nc\"} 18446744073709551615\n"
                 "# HELP age_seconds old\n"
                 "# TYPE age_seconds gauge\n"
                 "age_seconds 1.5\n");
}

static void test_what_is_not_finite_has_no_sample(void **state)
{
    (void)state;
    struct openmetrics out;
    openmetrics_init(&out, OPENMETRICS_TEXT_0_0_4);
    openmetrics_one(&out, &age, NAN);
    expect(&out, "# HELP age_seconds old\n# TYPE age_seconds gauge\n");
}

static void test_every_state_has_a_sample_in_either_family(void **state)
{
    (void)state;
    struct tcp_state_counts v4 = {0};
    struct tcp_state_counts v6 = {0};
    v4.n[TCP_STATE_TIME_WAIT] = 5;
    v6.n[TCP_STATE_LISTEN] = 2;
    struct openmetrics out;
    openmetrics_init(&out, OPENMETRICS_1_0);
    openmetrics_states(&out, &v4, &v6);
    assert_int_equal(openmetrics_finish(&out), 0);
    assert_non_null(
        strstr(out.text, "\nfinwait_tcp_connections{state=\"time_wait\",family=\"ipv4\"} 5\n"));
    assert_non_null(
        strstr(out.text, "\nfinwait_tcp_connections{state=\"listen\",family=\"ipv6\"} 2\n"));
    uint32_t samples = 0;
    for (const char *at = out.text; (at = strstr(at, "\nfinwait")) != NULL; at++) {
        samples++;
    }
    assert_int_equal(samples, 22);
    openmetrics_free(&out);
}

/* Finds a bucket's count by its bound. */
static uint64_t bucket(const char *text, const char *bound)
{
    char name[128];
    snprintf(name, sizeof(name), "\nturn_seconds_bucket{worker=\"1\",le=\"%s\"} ", bound);
    const char *at = strstr(text, name);
    if (at == NULL) {
        fail_msg("no bucket %s in %s", bound, text);
        return 0;
    }
    return strtoull(at + strlen(name), NULL, 10);
}

static void test_buckets_are_exact_at_their_bounds(void **state)
{
    (void)state;
    static const struct openmetrics_family family = {"turn_seconds", OPENMETRICS_HISTOGRAM,
                                                     "seconds", "t"};
    static const uint64_t values[] = {0,
                                      1023,
                                      1024,
                                      1025,
                                      1048575,
                                      1048576,
                                      UINT64_C(17179869183),
                                      UINT64_C(17179869184),
                                      UINT64_C(1) << 50};
    const struct openmetrics_label label = {"worker", "1"};
    struct hist *hist = malloc(sizeof(*hist));
    struct openmetrics out;
    hist_init(hist);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        hist_record(hist, values[i]);
    }
    openmetrics_init(&out, OPENMETRICS_1_0);
    openmetrics_begin(&out, &family);
    openmetrics_hist(&out, &family, (struct openmetrics_labels){&label, 1}, hist);
    assert_int_equal(openmetrics_finish(&out), 0);
    assert_int_equal(bucket(out.text, "1.023e-06"), 2);
    assert_int_equal(bucket(out.text, "2.047e-06"), 4);
    assert_int_equal(bucket(out.text, "0.001048575"), 5);
    assert_int_equal(bucket(out.text, "17.179869183"), 7);
    assert_int_equal(bucket(out.text, "+Inf"), 9);
    assert_non_null(strstr(out.text, "\nturn_seconds_count{worker=\"1\"} 9\n"));
    assert_non_null(strstr(out.text, "\nturn_seconds_sum{worker=\"1\"} 11259"));
    openmetrics_free(&out);
    free(hist);
}

/* The fine histogram and one counted by powers of two say the same where both have a bucket. */
static void test_powers_of_two_have_the_same_buckets(void **state)
{
    (void)state;
    static const struct openmetrics_family family = {"t_seconds", OPENMETRICS_HISTOGRAM, "seconds",
                                                     "t"};
    uint64_t counts[13] = {[0] = 1, [10] = 2, [11] = 3, [12] = 4};
    const struct openmetrics_powers powers = {counts, 13, 5000000000};
    const struct openmetrics_label label = {"state", "x"};
    struct openmetrics out;
    openmetrics_init(&out, OPENMETRICS_1_0);
    openmetrics_powers(&out, &family, (struct openmetrics_labels){&label, 1}, &powers);
    expect(&out, "t_seconds_bucket{state=\"x\",le=\"1.023e-06\"} 3\n"
                 "t_seconds_bucket{state=\"x\",le=\"2.047e-06\"} 6\n"
                 "t_seconds_bucket{state=\"x\",le=\"+Inf\"} 10\n"
                 "t_seconds_count{state=\"x\"} 10\n"
                 "t_seconds_sum{state=\"x\"} 5\n"
                 "# EOF\n");
}

static void test_a_view_s_counters_are_families_of_their_own(void **state)
{
    (void)state;
    static const struct counter_info infos[] = {
        {"a", "first"}, {"b", "second"}, {"idle_ns", "third"}};
    static const uint64_t values[] = {1, 2, 1500000000};
    const struct counter_view view = {infos, values, 3};
    struct openmetrics out;
    openmetrics_init(&out, OPENMETRICS_1_0);
    openmetrics_counters(&out, "x_", &view);
    expect(&out, "# HELP x_a first\n# TYPE x_a counter\nx_a_total 1\n"
                 "# HELP x_b second\n# TYPE x_b counter\nx_b_total 2\n"
                 "# HELP x_idle_seconds third\n# TYPE x_idle_seconds counter\n"
                 "# UNIT x_idle_seconds seconds\nx_idle_seconds_total 1.5\n# EOF\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_formats_differ_where_they_must),
        cmocka_unit_test(test_what_is_not_finite_has_no_sample),
        cmocka_unit_test(test_every_state_has_a_sample_in_either_family),
        cmocka_unit_test(test_buckets_are_exact_at_their_bounds),
        cmocka_unit_test(test_powers_of_two_have_the_same_buckets),
        cmocka_unit_test(test_a_view_s_counters_are_families_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
