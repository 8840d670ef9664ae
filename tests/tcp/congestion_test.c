/* Rules of tcp/congestion and its NewReno (RFC 5681, 6928). */
#include "tcp/test.h"

#include "tcp/congestion.h"

enum { MSS = 1000 };

static const struct congestion_ops *const both[] = {&congestion_newreno, &congestion_cubic};

static void ack(const struct congestion_ops *ops, struct congestion *congestion,
                struct congestion_extra *extra, uint32_t bytes, bool cwnd_limited)
{
    ops->on_ack(congestion, extra,
                &(struct congestion_ack){.now_us = 1000000,
                                         .acked_bytes = bytes,
                                         .mss = MSS,
                                         .srtt_us = 10000,
                                         .cwnd_limited = cwnd_limited});
}

static void test_initial_window_is_ten_segments_within_14600_bytes(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {{536, 5360},   {1460, 14600}, {1461, 14600},
                                        {4000, 14600}, {8960, 17920}, {64, 640}};
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        assert_int_equal(congestion_initial_window(cases[i][0], 10, false), cases[i][1]);
        assert_int_equal(congestion_initial_window(cases[i][0], 10, true), cases[i][0]);
    }
}

static void test_restart_takes_the_smaller_of_the_windows(void **state)
{
    (void)state;
    struct congestion congestion = {.cwnd = 50000, .ssthresh = 40000};
    congestion_restart(&congestion, 10000);
    assert_int_equal(congestion.cwnd, 10000);
    congestion.cwnd = 3000;
    congestion_restart(&congestion, 10000);
    assert_int_equal(congestion.cwnd, 3000);
    assert_int_equal(congestion.ssthresh, 40000);
}

static void test_slow_start_grows_by_what_was_acknowledged_up_to_a_segment(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(both); i++) {
        struct congestion congestion = {.cwnd = 10000, .ssthresh = CONGESTION_SSTHRESH_NONE};
        ack(both[i], &congestion, NULL, MSS, true);
        assert_int_equal(congestion.cwnd, 11000);
        ack(both[i], &congestion, NULL, 2 * MSS, true);
        assert_int_equal(congestion.cwnd, 12000);
        ack(both[i], &congestion, NULL, 7, true);
        assert_int_equal(congestion.cwnd, 12007);
    }
}

static void test_window_that_is_not_used_does_not_grow(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(both); i++) {
        struct congestion_extra extra = {0};
        struct congestion slow = {.cwnd = 10000, .ssthresh = CONGESTION_SSTHRESH_NONE};
        struct congestion avoiding = {.cwnd = 10000, .ssthresh = 5000};
        ack(both[i], &slow, NULL, MSS, false);
        ack(both[i], &avoiding, &extra, 10000, false);
        ack(both[i], &avoiding, NULL, 10000, false);
        assert_int_equal(slow.cwnd, 10000);
        assert_int_equal(avoiding.cwnd, 10000);
    }
}

static void test_window_stops_at_a_gibibyte(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(both); i++) {
        struct congestion congestion = {.cwnd = (1u << 30) - 5u,
                                        .ssthresh = CONGESTION_SSTHRESH_NONE};
        ack(both[i], &congestion, NULL, MSS, true);
        ack(both[i], &congestion, NULL, MSS, true);
        assert_int_equal(congestion.cwnd, 1u << 30);
    }
}

static void test_newreno_avoidance_grows_a_segment_a_window(void **state)
{
    (void)state;
    struct congestion congestion = {.cwnd = 10000, .ssthresh = 10000};
    struct congestion_extra extra = {0};
    for (int i = 0; i < 9; i++) {
        ack(&congestion_newreno, &congestion, &extra, MSS, true);
        assert_int_equal(congestion.cwnd, 10000);
    }
    ack(&congestion_newreno, &congestion, &extra, MSS, true);
    assert_int_equal(congestion.cwnd, 11000);
}

static void test_avoidance_without_an_extra_record_follows_equation_3(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(both); i++) {
        struct congestion congestion = {.cwnd = 10000, .ssthresh = 10000};
        ack(both[i], &congestion, NULL, MSS, true);
        assert_int_equal(congestion.cwnd, 10100);
        congestion.cwnd = 5000000;
        ack(both[i], &congestion, NULL, MSS, true);
        assert_int_equal(congestion.cwnd, 5000001);
    }
}

static void test_newreno_loss_halves_the_flight_and_not_below_two_segments(void **state)
{
    (void)state;
    struct congestion congestion = {.cwnd = 20000, .ssthresh = CONGESTION_SSTHRESH_NONE};
    struct congestion_extra extra = {.bytes_acked = 500};
    congestion_newreno.on_loss(&congestion, &extra, 16000, MSS, 1);
    assert_int_equal(congestion.ssthresh, 8000);
    assert_int_equal(congestion.cwnd, 8000);
    assert_int_equal(extra.bytes_acked, 0);
    congestion_newreno.on_loss(&congestion, NULL, 1500, MSS, 1);
    assert_int_equal(congestion.ssthresh, 2000);
    assert_int_equal(congestion.cwnd, 2000);
}

static void test_time_out_leaves_a_segment_and_lowers_ssthresh_once(void **state)
{
    (void)state;
    static const uint32_t expected[] = {8000, 11200}; /* a half; 0.7 */
    for (size_t i = 0; i < TABLE_COUNT(both); i++) {
        struct congestion congestion = {.cwnd = 20000, .ssthresh = CONGESTION_SSTHRESH_NONE};
        struct congestion_extra extra = {0};
        both[i]->on_timeout(&congestion, &extra, 16000, MSS, true);
        assert_int_equal(congestion.ssthresh, expected[i]);
        assert_int_equal(congestion.cwnd, MSS);
        both[i]->on_timeout(&congestion, &extra, 1000, MSS, false);
        assert_int_equal(congestion.ssthresh, expected[i]);
        assert_int_equal(congestion.cwnd, MSS);
        both[i]->on_timeout(&congestion, NULL, 1000, MSS, true);
        assert_int_equal(congestion.ssthresh, 2 * MSS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_window_is_ten_segments_within_14600_bytes),
        cmocka_unit_test(test_restart_takes_the_smaller_of_the_windows),
        cmocka_unit_test(test_slow_start_grows_by_what_was_acknowledged_up_to_a_segment),
        cmocka_unit_test(test_window_that_is_not_used_does_not_grow),
        cmocka_unit_test(test_window_stops_at_a_gibibyte),
        cmocka_unit_test(test_newreno_avoidance_grows_a_segment_a_window),
        cmocka_unit_test(test_avoidance_without_an_extra_record_follows_equation_3),
        cmocka_unit_test(test_newreno_loss_halves_the_flight_and_not_below_two_segments),
        cmocka_unit_test(test_time_out_leaves_a_segment_and_lowers_ssthresh_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
