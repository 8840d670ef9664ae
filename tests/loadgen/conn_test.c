/* The life of a connection, driven event by event on a transport that only takes notes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/stage.h"

static void close_by_fin_shuts_down_and_waits_for_the_peers_fin(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    expect_calls(&stage, "send");
    echo_one(&stage);
    expect_calls(&stage, "shutdown");
    expect_counts(&stage, 0, 0);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_calls(&stage, "close");
    expect_counts(&stage, 1, 0);
    assert_int_equal(conn_live_count(&stage.env), 1);
    deliver(&stage, TRANSPORT_CLOSED, 700);
    expect_counts(&stage, 1, 0);
    assert_int_equal(conn_live_count(&stage.env), 0);
    assert_int_equal(stage.env.planner.waiting_count, 1);
    stage_close(&stage);
}

static void closes_by_a_call_complete_when_it_returns(void **state)
{
    (void)state;
    static const struct {
        enum close_how how;
        const char *call;
    } cases[] = {
        {CLOSE_CLOSE, "close"}, {CLOSE_RST, "reset"}, {CLOSE_FIN_NO_TIMEWAIT, "close-no-timewait"}};
    for (size_t i = 0; i < 3; i++) {
        for (int both = 0; both < 2; both++) {
            struct stage stage;
            stage_open(&stage, both ? CLOSER_BOTH : CLOSER_CLIENT, cases[i].how, 1);
            open_one(&stage);
            expect_calls(&stage, "send recv");
            echo_one(&stage);
            expect_calls(&stage, cases[i].call);
            expect_counts(&stage, 0, 0);
            deliver(&stage, TRANSPORT_CLOSED, 700);
            expect_counts(&stage, 1, 0);
            stage_close(&stage);
        }
    }
}

static void half_a_close_sends_its_fin_with_the_last_request(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_HALF, 2);
    open_one(&stage);
    expect_calls(&stage, "send");
    echo_one(&stage);
    expect_calls(&stage, "send shutdown");
    echo_one(&stage);
    expect_calls(&stage, "");
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_calls(&stage, "close");
    expect_counts(&stage, 1, 0);
    stage_close(&stage);
}

static void without_echoes_the_close_follows_the_connect(void **state)
{
    (void)state;
    static const struct {
        enum close_how how;
        const char *call;
    } cases[] = {{CLOSE_FIN, "shutdown"}, {CLOSE_HALF, "shutdown"}, {CLOSE_RST, "reset"}};
    for (size_t i = 0; i < 3; i++) {
        struct stage stage;
        stage_open(&stage, CLOSER_CLIENT, cases[i].how, 0);
        open_one(&stage);
        expect_calls(&stage, cases[i].call);
        stage_close(&stage);
    }
}

static void a_server_that_closes_completes_the_connection_by_its_fin(void **state)
{
    (void)state;
    static const enum close_how hows[] = {CLOSE_FIN, CLOSE_CLOSE, CLOSE_FIN_NO_TIMEWAIT};
    for (size_t i = 0; i < 3; i++) {
        struct stage stage;
        stage_open(&stage, CLOSER_SERVER, hows[i], 1);
        open_one(&stage);
        echo_one(&stage);
        expect_calls(&stage, "send");
        deliver(&stage, TRANSPORT_PEER_FIN, 600);
        expect_calls(&stage, "close");
        expect_counts(&stage, 1, 0);
        assert_int_equal(stage.stats->close_not_as_asked, 0);
        stage_close(&stage);
    }
}

static void a_server_that_resets_completes_the_connection_by_its_reset(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_SERVER, CLOSE_RST, 1);
    open_one(&stage);
    echo_one(&stage);
    expect_calls(&stage, "send");
    deliver_failure(&stage, TRANSPORT_PHASE_RECV, ECONNRESET);
    expect_calls(&stage, "close");
    expect_counts(&stage, 1, 0);
    assert_int_equal(stage.stats->close_not_as_asked, 0);
    stage_close(&stage);
}

static void another_close_than_asked_for_is_counted_beside_the_completion(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_SERVER, CLOSE_RST, 1);
    open_one(&stage);
    echo_one(&stage);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_counts(&stage, 1, 0);
    assert_int_equal(stage.stats->close_not_as_asked, 1);
    stage_close(&stage);

    stage_open(&stage, CLOSER_SERVER, CLOSE_FIN, 1);
    open_one(&stage);
    echo_one(&stage);
    deliver_failure(&stage, TRANSPORT_PHASE_RECV, ECONNRESET);
    expect_counts(&stage, 1, 0);
    assert_int_equal(stage.stats->close_not_as_asked, 1);
    stage_close(&stage);
}

static void after_a_servers_half_close_the_client_sends_once_more(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_SERVER, CLOSE_HALF, 1);
    open_one(&stage);
    echo_one(&stage);
    expect_calls(&stage, "send");
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_calls(&stage, "send");
    expect_counts(&stage, 1, 0);
    deliver(&stage, TRANSPORT_SENT, 650);
    expect_calls(&stage, "close");
    deliver(&stage, TRANSPORT_CLOSED, 700);
    expect_counts(&stage, 1, 0);
    stage_close(&stage);
}

static void a_reset_in_answer_to_that_means_it_was_no_half_close(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_SERVER, CLOSE_HALF, 1);
    open_one(&stage);
    echo_one(&stage);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    deliver_failure(&stage, TRANSPORT_PHASE_SEND, ECONNRESET);
    assert_int_equal(stage.stats->close_not_as_asked, 1);
    expect_counts(&stage, 1, 0);
    stage_close(&stage);
}

static void what_is_beyond_the_limit_of_all_workers_is_shed(void **state)
{
    (void)state;
    struct stage stage;
    struct transport_quota quota;
    transport_quota_init(&quota, 2);
    stage_open(&stage, CLOSER_CLIENT, CLOSE_CLOSE, 1);
    stage.env.quota = &quota;
    assert_true(quota_try(&quota)); /* another worker's connections */
    assert_true(quota_try(&quota));
    assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_SHED);
    assert_int_equal(stats_read(&stage.stats->live.shed), 1);
    assert_int_equal(stats_read(&stage.stats->live.attempted), 0);
    expect_calls(&stage, "");
    quota_give(&quota, 1);
    open_one(&stage);
    assert_int_equal(quota_room(&quota), 0);
    echo_one(&stage);
    deliver(&stage, TRANSPORT_CLOSED, 700);
    expect_counts(&stage, 1, 0);
    assert_int_equal(quota_room(&quota), 1);
    stage_close(&stage);
}

static void a_worker_without_records_takes_nothing_of_the_limit(void **state)
{
    (void)state;
    struct stage stage;
    struct transport_quota quota;
    transport_quota_init(&quota, 20);
    stage_open(&stage, CLOSER_CLIENT, CLOSE_CLOSE, 1);
    stage.env.quota = &quota;
    stage.plan.ports_by_kernel = true; /* eight records, and only two 4-tuples */
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(conn_start(&stage.env, i, 100, 110), CONN_STARTED);
    }
    assert_int_equal(conn_start(&stage.env, 8, 100, 110), CONN_SHED);
    assert_int_equal(quota_room(&quota), 12);
    stage_close(&stage);
}

static void the_connection_that_comes_next_is_announced(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_CLOSE, 1);
    assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_STARTED);
    const struct flow announced = stage.transport.announced;
    assert_int_equal(announced.target.port, 7000);
    assert_int_equal(conn_start(&stage.env, 1, 100, 110), CONN_STARTED);
    assert_true(endpoint_equal(&announced.source, &stage.transport.flow.source));
    assert_true(endpoint_equal(&announced.target, &stage.transport.flow.target));
    stage_close(&stage);

    /* Nobody knows what the kernel will choose. */
    stage_open(&stage, CLOSER_CLIENT, CLOSE_CLOSE, 1);
    stage.plan.ports_by_kernel = true;
    assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_STARTED);
    assert_int_equal(stage.transport.announced.target.port, 0);
    stage_close(&stage);
}

static void when_the_kernel_chooses_ports_each_worker_meets_all_targets(void **state)
{
    (void)state;
    static const uint64_t shares = 2;
    for (uint64_t share = 0; share < shares; share++) {
        struct stage stage;
        uint32_t met[2] = {0};
        stage_open(&stage, CLOSER_CLIENT, CLOSE_CLOSE, 1);
        stage.plan.ports_by_kernel = true;
        stage.plan.target_count = 2;
        assert_int_equal(endpoint_parse(&stage.plan.targets[1], "127.0.0.1:7001", NULL), 0);
        stage.env.shares = shares;
        for (uint64_t i = 0; i < 6; i++) {
            assert_int_equal(conn_start(&stage.env, share + i * shares, 100, 110), CONN_STARTED);
            met[stage.transport.flow.target.port - 7000]++;
        }
        assert_int_equal(met[0], 3);
        assert_int_equal(met[1], 3);
        stage_close(&stage);
    }
}

static void an_echo_that_comes_before_its_request_was_reported_sent_counts(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_SERVER, CLOSE_FIN, 1);
    open_one(&stage);
    deliver_bytes(&stage, stage.transport.sent, 64);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_counts(&stage, 1, 0);
    stage_close(&stage);

    /* Between echoes it is waited for: only one send may be pending. */
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 2);
    open_one(&stage);
    expect_calls(&stage, "send");
    deliver_bytes(&stage, stage.transport.sent, 64);
    expect_calls(&stage, "");
    deliver(&stage, TRANSPORT_SENT, 520);
    expect_calls(&stage, "send");
    stage_close(&stage);
}

static void an_echo_in_pieces_is_asked_for_piece_by_piece(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_CLOSE, 1);
    open_one(&stage);
    deliver(&stage, TRANSPORT_SENT, 400);
    expect_calls(&stage, "send recv");
    const uint8_t *sent = stage.transport.sent;
    for (uint32_t i = 0; i < 63; i++) {
        deliver_bytes(&stage, sent + i, 1);
        expect_calls(&stage, "recv");
    }
    deliver_bytes(&stage, sent + 63, 1);
    expect_calls(&stage, "close");
    assert_int_equal(stage.stats->latency[STATS_FIRST_BYTE][STATS_FROM_DUE].count, 1);
    assert_int_equal(stage.stats->latency[STATS_ECHO][STATS_FROM_DUE].count, 1);
    stage_close(&stage);
}

static void wrong_and_surplus_bytes_fail_the_connection(void **state)
{
    (void)state;
    struct stage stage;
    uint8_t wrong[65];
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    memcpy(wrong, stage.transport.sent, 64);
    wrong[63] ^= 1;
    deliver_bytes(&stage, wrong, 64);
    expect_calls(&stage, "send reset");
    expect_counts(&stage, 0, 1);
    assert_int_equal(stage.stats->errors[CONN_PHASE_ECHO][EBADMSG], 1);
    stage_close(&stage);

    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    memcpy(wrong, stage.transport.sent, 64);
    deliver_bytes(&stage, wrong, 65);
    assert_int_equal(stage.stats->errors[CONN_PHASE_ECHO][EOVERFLOW], 1);
    stage_close(&stage);

    /* One byte more after the echo, in the close phase. */
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    echo_one(&stage);
    deliver_bytes(&stage, wrong, 1);
    assert_int_equal(stage.stats->errors[CONN_PHASE_CLOSE][EOVERFLOW], 1);
    expect_counts(&stage, 0, 1);
    stage_close(&stage);
}

static void a_fin_before_the_echo_is_complete_fails_as_no_data(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    deliver_bytes(&stage, stage.transport.sent, 63);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    assert_int_equal(stage.stats->errors[CONN_PHASE_ECHO][ENODATA], 1);
    expect_calls(&stage, "send reset");
    stage_close(&stage);
}

static void each_phase_has_its_own_time_out(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_STARTED);
    assert_int_equal(stage.transport.timer_ns, 110 + 5000 * MS);
    deliver(&stage, TRANSPORT_CONNECTING, 120);
    assert_int_equal(stage.transport.timer_ns, 120 + 5000 * MS);
    deliver(&stage, TRANSPORT_TIMER, 6000 * MS);
    assert_int_equal(stage.stats->errors[CONN_PHASE_CONNECT][ETIMEDOUT], 1);
    stage_close(&stage);

    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    deliver(&stage, TRANSPORT_TIMER, 6000 * MS);
    assert_int_equal(stage.stats->errors[CONN_PHASE_ECHO][ETIMEDOUT], 1);
    stage_close(&stage);

    stage_open(&stage, CLOSER_SERVER, CLOSE_FIN, 1);
    open_one(&stage);
    echo_one(&stage);
    deliver(&stage, TRANSPORT_TIMER, 6000 * MS);
    assert_int_equal(stage.stats->errors[CONN_PHASE_CLOSE][ETIMEDOUT], 1);
    expect_counts(&stage, 0, 1);
    stage_close(&stage);
}

static void a_hold_lasts_its_time_and_then_closes(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    stage.plan.options.hold_ns = 20 * MS;
    open_one(&stage);
    echo_one(&stage);
    expect_calls(&stage, "send");
    assert_int_equal(stage.transport.timer_ns, 500 + 20 * MS);
    deliver(&stage, TRANSPORT_TIMER, 500 + 20 * MS);
    expect_calls(&stage, "shutdown");
    stage_close(&stage);
}

static void a_peer_that_leaves_a_held_connection_fails_the_hold(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    stage.plan.options.hold_ns = 20 * MS;
    open_one(&stage);
    echo_one(&stage);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    assert_int_equal(stage.stats->errors[CONN_PHASE_HOLD][ENODATA], 1);
    stage_close(&stage);

    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    stage.plan.options.hold_ns = 20 * MS;
    open_one(&stage);
    echo_one(&stage);
    deliver_failure(&stage, TRANSPORT_PHASE_RECV, ECONNRESET);
    assert_int_equal(stage.stats->errors[CONN_PHASE_HOLD][ECONNRESET], 1);
    stage_close(&stage);
}

static void failures_before_the_syn_are_told_from_those_after(void **state)
{
    (void)state;
    static const struct {
        enum transport_phase phase;
        int error;
        uint64_t before_syn;
    } cases[] = {
        {TRANSPORT_PHASE_SETUP, EADDRINUSE, 1},      {TRANSPORT_PHASE_SETUP, EMFILE, 1},
        {TRANSPORT_PHASE_CONNECT, EADDRNOTAVAIL, 1}, {TRANSPORT_PHASE_CONNECT, ENETUNREACH, 1},
        {TRANSPORT_PHASE_CONNECT, ECONNREFUSED, 0},  {TRANSPORT_PHASE_CONNECT, ETIMEDOUT, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
        assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_STARTED);
        deliver_failure(&stage, cases[i].phase, cases[i].error);
        expect_calls(&stage, "connect close");
        expect_counts(&stage, 0, 1);
        assert_int_equal(stage.stats->failed_before_syn, cases[i].before_syn);
        deliver(&stage, TRANSPORT_CLOSED, 950);
        expect_counts(&stage, 0, 1);
        assert_int_equal(conn_live_count(&stage.env), 0);
        stage_close(&stage);
    }
}

static void without_a_free_4_tuple_the_attempt_fails_by_name(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_STARTED);
    assert_int_equal(conn_start(&stage.env, 1, 100, 110), CONN_STARTED);
    assert_int_equal(conn_start(&stage.env, 2, 100, 110), CONN_FAILED_AT_ONCE);
    assert_int_equal(stats_read(&stage.stats->live.attempted), 3);
    assert_int_equal(stage.stats->errors[CONN_PHASE_SETUP][EADDRNOTAVAIL], 1);
    assert_int_equal(stage.stats->no_tuple, 1);
    assert_int_equal(conn_live_count(&stage.env), 2);
    stage_close(&stage);
}

static void beyond_the_limit_arrivals_are_shed_and_not_attempted(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    stage.transport.connect_error = -ENOBUFS;
    assert_int_equal(conn_start(&stage.env, 0, 100, 110), CONN_SHED);
    assert_int_equal(stats_read(&stage.stats->live.attempted), 0);
    assert_int_equal(stats_read(&stage.stats->live.shed), 1);
    assert_int_equal(conn_live_count(&stage.env), 0);
    stage_close(&stage);
}

static void latency_counts_from_the_schedule_and_from_the_start(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    echo_one(&stage);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    const struct stats *stats = stage.stats;
    assert_int_equal(stats->latency[STATS_CONNECT][STATS_FROM_DUE].max, 50);   /* 150 - 100 */
    assert_int_equal(stats->latency[STATS_CONNECT][STATS_FROM_START].max, 30); /* 150 - 120 */
    assert_int_equal(stats->latency[STATS_ECHO][STATS_FROM_DUE].max, 400);     /* 500 - 100 */
    assert_int_equal(stats->latency[STATS_CLOSE][STATS_FROM_DUE].max, 100);    /* 600 - 500 */
    assert_int_equal(stats->latency[STATS_LIFETIME][STATS_FROM_DUE].max, 500);
    assert_int_equal(stats->latency[STATS_LIFETIME][STATS_FROM_START].max, 490);
    stage_close(&stage);
}

static void completions_after_the_window_count_but_not_in_it(void **state)
{
    (void)state;
    for (uint64_t end = 600; end <= 601; end++) {
        struct stage stage;
        stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
        stage.env.window_end_ns = end;
        open_one(&stage);
        echo_one(&stage);
        deliver(&stage, TRANSPORT_PEER_FIN, 600);
        expect_counts(&stage, 1, 0);
        assert_int_equal(stage.stats->completed_in_window, end - 600);
        stage_close(&stage);
    }
}

static void what_the_end_cuts_off_is_neither_completed_nor_failed(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_CLIENT, CLOSE_FIN, 1);
    open_one(&stage);
    expect_calls(&stage, "send");
    conn_abort_all(&stage.env);
    expect_calls(&stage, "reset");
    deliver(&stage, TRANSPORT_CLOSED, 700);
    expect_counts(&stage, 0, 0);
    assert_int_equal(stats_read(&stage.stats->live.attempted), 1);
    stage_close(&stage);
}

static void an_answer_until_close_ends_with_the_servers_fin(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, CLOSER_SERVER, CLOSE_FIN, 1);
    stage.plan.expect = EXPECT_UNTIL_CLOSE;
    open_one(&stage);
    deliver(&stage, TRANSPORT_SENT, 400);
    deliver_bytes(&stage, "anything", 8);
    deliver_bytes(&stage, "at all", 6);
    expect_counts(&stage, 0, 0);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_counts(&stage, 1, 0);
    expect_calls(&stage, "send close");
    stage_close(&stage);

    /* Without a byte there was no answer. */
    stage_open(&stage, CLOSER_SERVER, CLOSE_FIN, 1);
    stage.plan.expect = EXPECT_UNTIL_CLOSE;
    open_one(&stage);
    deliver(&stage, TRANSPORT_PEER_FIN, 600);
    expect_counts(&stage, 0, 1);
    assert_int_equal(stage.stats->errors[CONN_PHASE_ECHO][ENODATA], 1);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_by_fin_shuts_down_and_waits_for_the_peers_fin),
        cmocka_unit_test(closes_by_a_call_complete_when_it_returns),
        cmocka_unit_test(half_a_close_sends_its_fin_with_the_last_request),
        cmocka_unit_test(without_echoes_the_close_follows_the_connect),
        cmocka_unit_test(a_server_that_closes_completes_the_connection_by_its_fin),
        cmocka_unit_test(a_server_that_resets_completes_the_connection_by_its_reset),
        cmocka_unit_test(another_close_than_asked_for_is_counted_beside_the_completion),
        cmocka_unit_test(after_a_servers_half_close_the_client_sends_once_more),
        cmocka_unit_test(a_reset_in_answer_to_that_means_it_was_no_half_close),
        cmocka_unit_test(what_is_beyond_the_limit_of_all_workers_is_shed),
        cmocka_unit_test(a_worker_without_records_takes_nothing_of_the_limit),
        cmocka_unit_test(the_connection_that_comes_next_is_announced),
        cmocka_unit_test(when_the_kernel_chooses_ports_each_worker_meets_all_targets),
        cmocka_unit_test(an_echo_that_comes_before_its_request_was_reported_sent_counts),
        cmocka_unit_test(an_echo_in_pieces_is_asked_for_piece_by_piece),
        cmocka_unit_test(wrong_and_surplus_bytes_fail_the_connection),
        cmocka_unit_test(a_fin_before_the_echo_is_complete_fails_as_no_data),
        cmocka_unit_test(each_phase_has_its_own_time_out),
        cmocka_unit_test(a_hold_lasts_its_time_and_then_closes),
        cmocka_unit_test(a_peer_that_leaves_a_held_connection_fails_the_hold),
        cmocka_unit_test(failures_before_the_syn_are_told_from_those_after),
        cmocka_unit_test(without_a_free_4_tuple_the_attempt_fails_by_name),
        cmocka_unit_test(beyond_the_limit_arrivals_are_shed_and_not_attempted),
        cmocka_unit_test(latency_counts_from_the_schedule_and_from_the_start),
        cmocka_unit_test(completions_after_the_window_count_but_not_in_it),
        cmocka_unit_test(what_the_end_cuts_off_is_neither_completed_nor_failed),
        cmocka_unit_test(an_answer_until_close_ends_with_the_servers_fin),
    };
    return cmocka_run_group_tests_name("loadgen/conn", tests, NULL, NULL);
}
