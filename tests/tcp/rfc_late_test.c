/* Segments that come late, twice or wrapped: sequence numbers across their wrap, handshakes whose
 * last ACK was lost, ghosts of earlier connections.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define MSS 1460u

static const uint8_t zeros[4000];

static void a_syn_ack_that_comes_again_is_acknowledged_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* the last ACK of the handshake was lost */
    established(&f);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = MSS);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void a_lost_last_ack_of_the_handshake_is_made_good_by_data(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void a_syn_sent_again_without_its_options_is_answered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* as some stacks do after several tries */
    syn_received(&f);
    SEND(&f, .flags = SYN | NO_TIMESTAMP, .mss = MSS);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, SYN | ACK);
    fixture_end(&f);
}

static void our_sequence_numbers_may_wrap_within_a_flight(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    uint32_t iss = f.iss;
    fixture_end(&f);
    fixture_init(&f);
    f.config.iss_offset = 0xfffff000u - iss;
    established_without_timestamps(&f);
    assert_int_equal(f.iss, 0xfffff000u);
    fixture_write(&f, 8u * MSS);
    for (uint32_t i = 0; i < 8; i++) {
        RECV(&f, .flags = ACK, .seq = 1u + i * MSS, .ack = 1, .bytes = MSS);
    }
    for (uint32_t i = 5; i < 8; i++) { /* the segment on the wrap is lost */
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 2u * MSS, .sack_count = 1,
             .sack = {{1u + 3u * MSS, 1u + (i + 1u) * MSS}});
    }
    RECV(&f, .flags = ACK, .seq = 1u + 2u * MSS, .ack = 1, .bytes = MSS);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 8u * MSS);
    assert_int_equal(fixture_info(&f).send_queued, 0);
    assert_true(fixture_wait(&f, 100u * SEC) == UINT64_MAX);
    fixture_end(&f);
}

static void the_peers_sequence_numbers_may_wrap_within_a_gap(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* PEER_ISS + 256 is 0 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 250, .ack = 1, .data = zeros, .bytes = 20);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.sack[0].left, 250);
    assert_int_equal(f.last.sack[0].right, 270);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 249);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 270);
    assert_int_equal(fixture_read_all(&f), 269);
    fixture_end(&f);
}

static void a_window_counts_when_its_ack_is_the_highest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.8.6: act on windows of the highest acknowledgment */
    established_without_timestamps(&f);
    fixture_write(&f, 20u * MSS);
    assert_int_equal(fixture_drain(&f), 10);
    SEND(&f, .flags = ACK, .seq = 50, .ack = 1, .data = "a", .bytes = 1); /* SND.WL1 = 50 */
    fixture_drain(&f);
    f.window = 1000;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 10u * MSS); /* older, but acknowledges more */
    assert_int_equal(fixture_info(&f).snd_wnd, 1000);
    while (fixture_fetch(&f)) {
        assert_true(f.last.seq + f.last.bytes <= 1u + 10u * MSS + 1000u);
    }
    fixture_end(&f);
}

static void a_ghost_of_an_earlier_connection_is_not_told_by_dsack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 2883 section 4: only what this connection received */
    established(&f);
    SEND(&f, .flags = ACK, .seq = (uint32_t)-5000, .ack = 1, .data = zeros, .bytes = 100,
         .has_timestamp = true, .ts_val = f.clock - 5000u, .ts_ecr = f.ts_recent);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.sack_count, 0);
    fixture_end(&f);
}

static void a_reset_of_ours_carries_a_timestamp(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 3.2, SHOULD */
    established(&f);
    assert_int_equal(fws_abort(f.host, f.conn), 0);
    assert_true(fixture_fetch(&f));
    assert_true((f.last.flags & RST) != 0);
    assert_true(f.last.has_timestamp);
    fixture_end(&f);
}

static void a_syn_received_of_both_sides_is_sent_again_and_given_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_ack_retries = 2;
    syn_received_simultaneous(&f);
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_wait(&f, 60u * SEC) != UINT64_MAX);
        RECV(&f, .flags = SYN | ACK, .ack = 1);
    }
    for (int i = 0; i < 300; i++) {
        fixture_pass(&f, SEC);
        fixture_drain(&f);
    }
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    fixture_end(&f);
}

static void a_zero_window_in_time_wait_or_closing_does_not_matter(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fin_wait_1(&f);
    SEND(&f, .flags = FIN | ACK | ZERO_WINDOW, .seq = 1, .ack = 2);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void a_fin_waits_for_no_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* it must get through in the end, as a probe at the latest */
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    if (!fixture_fetch(&f)) {
        assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
        assert_true(fixture_fetch(&f));
    }
    assert_int_equal(f.last.flags, FIN | ACK);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 2);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    fixture_end(&f);
}

static void the_window_of_a_syn_ack_that_crosses_counts_bytes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 2.2 */
    f.peer_window_scaling = true;
    f.peer_window_scale = 7;
    syn_received_simultaneous(&f);
    f.window = 1000;
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = MSS, .has_window_scale = true, .window_scale = 7);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_int_equal(fixture_info(&f).snd_wnd, 1000);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).snd_wnd, 1000u << 7);
    fixture_end(&f);
}

/* Before the first ACK went out, Last.ACK.sent is what the SYN-ACK says: beyond a gap nothing is
 * echoed, in order it is. */
static void a_timestamp_beyond_a_gap_is_not_echoed_right_behind_the_syn_ack(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 2; half++) {
        struct fixture f;
        fixture_init(&f); /* RFC 7323 section 4.3 */
        f.config.iss_offset = half << 31;
        syn_sent(&f);
        SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = MSS, .has_timestamp = true, .ts_val = f.clock,
             .ts_ecr = f.ts_recent);
        SEND(&f, .flags = ACK, .seq = 500, .ack = 1, .data = zeros, .bytes = 10,
             .has_timestamp = true, .ts_val = f.clock + 5u, .ts_ecr = f.ts_recent);
        assert_true(fixture_fetch(&f));
        assert_int_equal(f.last.ts_ecr, f.clock);
        fixture_end(&f);
    }
}

static void a_reset_whose_data_alone_reaches_the_window_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.7.4 second: "the sequence number is outside": no challenge */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 100);
    fixture_wait(&f, 500u * MS);
    fixture_drain(&f);
    SEND(&f, .flags = RST, .seq = 51, .data = zeros, .bytes = 100);
    RECV_NOTHING(&f);
    SEND(&f, .flags = RST, .seq = 102, .data = zeros, .bytes = 100);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 101);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

/* A host that slept, as a suspended machine does: times in records have 32 bits of milliseconds. */
static void what_is_due_after_a_long_sleep_is_not_taken_for_the_future(void **state)
{
    (void)state;
    static const uint32_t days[] = {20, 26, 40, 60, 120};
    for (size_t i = 0; i < TABLE_COUNT(days); i++) {
        struct fixture f;
        fixture_init(&f);
        time_wait(&f);
        fixture_pass(&f, days[i] * 86400u * SEC);
        STATE(&f, FWS_STATE_NONE);
        fixture_end(&f);
        fixture_init(&f);
        syn_received(&f);
        fixture_pass(&f, days[i] * 86400u * SEC);
        fixture_drain(&f);
        for (uint32_t k = 0; k < 8; k++) {
            fixture_wait(&f, 200u * SEC);
            fixture_drain(&f);
        }
        STATE(&f, FWS_STATE_NONE);
        fixture_end(&f);
        fixture_init(&f);
        established(&f);
        fixture_write(&f, 10);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
        fixture_pass(&f, days[i] * 86400u * SEC); /* R2 counts retransmissions */
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
        fixture_end(&f);
    }
}

static void a_reset_without_ack_echoes_no_timestamp(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 3.2 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 10);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = RST, .seq = 1);
    assert_true(f.last.has_timestamp);
    assert_int_equal(f.last.ts_ecr, 0);
    SEND(&f, .flags = ACK, .seq = 11, .ack = 7);
    RECV(&f, .flags = RST, .seq = 7);
    assert_int_equal(f.last.ts_ecr, 0);
    SEND(&f, .flags = 0, .seq = 11);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, RST | ACK);
    assert_int_equal(f.last.ts_ecr, f.clock);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_syn_ack_that_comes_again_is_acknowledged_again),
        cmocka_unit_test(a_lost_last_ack_of_the_handshake_is_made_good_by_data),
        cmocka_unit_test(a_syn_sent_again_without_its_options_is_answered),
        cmocka_unit_test(our_sequence_numbers_may_wrap_within_a_flight),
        cmocka_unit_test(the_peers_sequence_numbers_may_wrap_within_a_gap),
        cmocka_unit_test(a_window_counts_when_its_ack_is_the_highest),
        cmocka_unit_test(a_ghost_of_an_earlier_connection_is_not_told_by_dsack),
        cmocka_unit_test(a_reset_of_ours_carries_a_timestamp),
        cmocka_unit_test(a_syn_received_of_both_sides_is_sent_again_and_given_up),
        cmocka_unit_test(a_zero_window_in_time_wait_or_closing_does_not_matter),
        cmocka_unit_test(a_fin_waits_for_no_window),
        cmocka_unit_test(the_window_of_a_syn_ack_that_crosses_counts_bytes),
        cmocka_unit_test(a_timestamp_beyond_a_gap_is_not_echoed_right_behind_the_syn_ack),
        cmocka_unit_test(a_reset_whose_data_alone_reaches_the_window_is_dropped),
        cmocka_unit_test(what_is_due_after_a_long_sleep_is_not_taken_for_the_future),
        cmocka_unit_test(a_reset_without_ack_echoes_no_timestamp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
