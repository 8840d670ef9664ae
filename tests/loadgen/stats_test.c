/* Workers add up to the run. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "loadgen/stats.h"

static void merging_adds_counts_errors_and_histograms(void **state)
{
    (void)state;
    struct stats *a = malloc(sizeof(*a));
    struct stats *b = malloc(sizeof(*b));
    stats_init(a);
    stats_init(b);
    stats_bump(&a->live.attempted);
    stats_bump(&b->live.attempted);
    stats_bump(&b->live.failed);
    stats_count_error(a, CONN_PHASE_ECHO, ECONNRESET);
    stats_count_error(b, CONN_PHASE_ECHO, ECONNRESET);
    hist_record(&a->latency[STATS_ECHO][STATS_FROM_DUE], 5);
    hist_record(&b->latency[STATS_ECHO][STATS_FROM_DUE], 9);
    a->last_ns = 7;
    b->last_ns = 3;
    a->offered = 2;
    b->offered = 40;
    stats_merge(a, b);
    assert_int_equal(stats_read(&a->live.attempted), 2);
    assert_int_equal(stats_read(&a->live.failed), 1);
    assert_int_equal(a->errors[CONN_PHASE_ECHO][ECONNRESET], 2);
    assert_int_equal(a->latency[STATS_ECHO][STATS_FROM_DUE].count, 2);
    assert_int_equal(a->latency[STATS_ECHO][STATS_FROM_DUE].max, 9);
    assert_int_equal(a->latency[STATS_ECHO][STATS_FROM_START].count, 0);
    assert_int_equal(a->last_ns, 7);
    assert_int_equal(a->offered, 42);
    free(a);
    free(b);
}

static void an_errno_out_of_range_counts_as_eio(void **state)
{
    (void)state;
    static const int strange[] = {0, -5, STATS_ERRNO_COUNT, 1 << 20};
    struct stats *stats = malloc(sizeof(*stats));
    stats_init(stats);
    for (size_t i = 0; i < 4; i++) {
        stats_count_error(stats, CONN_PHASE_CLOSE, strange[i]);
    }
    assert_int_equal(stats->errors[CONN_PHASE_CLOSE][EIO], 4);
    free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_adds_counts_errors_and_histograms),
        cmocka_unit_test(an_errno_out_of_range_counts_as_eio),
    };
    return cmocka_run_group_tests_name("loadgen/stats", tests, NULL, NULL);
}
