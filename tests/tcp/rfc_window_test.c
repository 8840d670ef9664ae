/* Windows, when to send and when to acknowledge: RFC 9293 sections 3.7.4, 3.8.6 and 3.10.7.4;
 * window scaling, RFC 7323 section 2.
 *
 * Layer: tests. */
#include <errno.h>
#include <stdlib.h>

#include "tcp/host_fixture.h"

#define TICK (2u * MS) /* of the host's timers, which are never early */
#define MSS 1460u

static const uint8_t zeros[6000];

static void a_window_is_an_unsigned_number(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-1 */
    f.window = 0xffff;
    established_without_timestamps(&f);
    assert_int_equal(fixture_info(&f).snd_wnd, 65535);
    fixture_write(&f, 60000);
    assert_int_equal(fixture_drain(&f), 10); /* the initial window holds it back, not the sign */
    fixture_end(&f);
}

static void the_peers_window_is_scaled_but_in_its_syn(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 2.2 */
    f.peer_window_scale = 7;
    f.window = 1000;
    established(&f);
    assert_int_equal(fixture_info(&f).snd_wnd, 1000);
    assert_int_equal(fixture_info(&f).snd_wscale, 7);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).snd_wnd, 128000);
    fixture_end(&f);
}

static void a_scale_above_14_counts_as_14(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 2.3 */
    f.peer_window_scale = 15;
    f.window = 1;
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).snd_wnd, 1u << 14);
    fixture_end(&f);
}

static void without_the_peers_option_nothing_is_scaled(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 2.2 */
    f.config.receive_buffer_bytes = 1u << 20;
    f.peer_window_scaling = false;
    established(&f);
    assert_int_equal(fixture_info(&f).window_scaling, 0);
    assert_true(f.last.window > 60000);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).snd_wnd, 65535);
    fixture_end(&f);
}

static void a_syn_ack_offers_scaling_only_when_asked(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct fixture f;
        fixture_init(&f);
        f.peer_window_scaling = asked != 0;
        syn_received(&f);
        assert_int_equal(f.last.has_window_scale, asked != 0);
        fixture_end(&f);
    }
}

static void the_right_edge_never_moves_left(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-14 */
    f.config.features_off = FWS_DELAYED_ACK;
    f.config.receive_buffer_bytes = 100000;
    syn_sent(&f);
    uint32_t scale = f.last.window_scale;
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = MSS, .has_window_scale = true);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    uint32_t edge = 1u + 65535u; /* of the SYN, which is not scaled */
    uint32_t seq = 1;
    for (size_t i = 0; i < 120; i++) {
        uint32_t now = f.last.ack + ((uint32_t)f.last.window << scale);
        assert_true((int32_t)(now - edge) >= 0);
        edge = now;
        uint32_t room = edge - seq;
        uint32_t bytes = room < 997 ? room : 997;
        if (bytes == 0 || i % 40 == 39) {
            fixture_read_all(&f);
            fixture_fetch(&f);
            continue;
        }
        SEND(&f, .flags = ACK, .seq = seq, .ack = 1, .data = zeros, .bytes = bytes);
        seq += bytes;
        RECV(&f, .flags = ACK, .seq = 1, .ack = seq);
    }
    fixture_end(&f);
}

static void the_window_closes_as_data_waits_and_data_beyond_it_is_not_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.features_off = FWS_DELAYED_ACK;
    f.config.receive_buffer_bytes = 4096;
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 4096);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 4097);
    assert_int_equal(f.last.window, 0);
    SEND(&f, .flags = ACK, .seq = 4097, .ack = 1, .data = "x", .bytes = 1); /* a probe: 3.8.6.1 */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 4097);
    assert_int_equal(f.last.window, 0);
    assert_int_equal(fixture_read_all(&f), 4096);
    fixture_end(&f);
}

static void a_zero_window_still_takes_acks_resets_and_urgent_pointers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-66 */
    f.config.features_off = FWS_DELAYED_ACK;
    f.config.receive_buffer_bytes = 4096;
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 4096);
    RECV(&f, .flags = ACK, .seq = 11, .ack = 4097);
    SEND(&f, .flags = ACK | URG, .seq = 4097, .ack = 11, .urgent = 5);
    assert_int_equal(fixture_info(&f).snd_una, f.iss + 11u);
    assert_true((fws_ready(f.host, f.conn) & FWS_URGENT) != 0);
    SEND(&f, .flags = RST, .seq = 4097);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void the_receiver_does_not_advertise_small_steps(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-39, 3.8.6.2.2 */
    f.config.features_off = FWS_DELAYED_ACK;
    f.config.receive_buffer_bytes = 8192;
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 4096);
    SEND(&f, .flags = ACK, .seq = 4097, .ack = 1, .data = zeros, .bytes = 4096);
    fixture_drain(&f);
    assert_int_equal(f.last.window, 0);
    uint8_t bytes[4096];
    assert_int_equal(fws_recv(f.host, f.conn, bytes, 100), 100);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = 8193, .ack = 1, .data = "x", .bytes = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 8193);
    assert_int_equal(f.last.window, 0); /* 100 bytes are less than min(half, MSS) */
    assert_int_equal(fws_recv(f.host, f.conn, bytes, 4000), 4000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 8193);
    assert_int_equal(f.last.window, 4100);
    fixture_end(&f);
}

static void the_sender_does_not_fill_small_steps_of_the_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-38, 3.8.6.2.1 */
    f.options.nodelay = 1;
    f.window = 4000;
    established_without_timestamps(&f);
    fixture_write(&f, 20000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    RECV(&f, .flags = ACK, .seq = 1461, .ack = 1, .bytes = MSS);
    RECV_NOTHING(&f); /* 1080 is neither a segment nor half of the largest window */
    f.window = 3000;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1461); /* the edge moves by 460 */
    RECV(&f, .flags = ACK, .seq = 2921, .ack = 1, .bytes = MSS);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void the_override_sends_what_the_sws_rule_holds_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.8.6.2.1 (4): in 0.1 to 1 s, or with the window probe */
    f.options.nodelay = 1;
    f.window = 4000;
    established_without_timestamps(&f);
    f.window = 500;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    fixture_write(&f, 20000);
    RECV_NOTHING(&f);
    uint64_t waited = fixture_wait(&f, 10u * SEC);
    assert_in_range(waited, 100u * MS, SEC + TICK);
    assert_true(fixture_fetch(&f));
    assert_in_range(f.last.bytes, 1, 500);
    fixture_end(&f);
}

static void a_zero_window_is_probed_with_backoff_and_for_ever(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-35, 36, 37, SHLD-29, 30 */
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 100);
    RECV_NOTHING(&f);
    uint64_t last = 0;
    for (int i = 0; i < 60; i++) {
        uint64_t waited = fixture_wait(&f, 200u * SEC);
        assert_true(waited != UINT64_MAX);
        assert_true(waited + TICK >= last);
        assert_true(i != 0 || (waited >= 200u * MS && waited <= SEC));
        assert_true(i == 0 || i > 5 || waited + TICK >= 2u * last);
        last = waited;
        assert_true(fixture_fetch(&f));
        assert_true(f.last.bytes <= 1);
        RECV_NOTHING(&f);
        f.clock += (uint32_t)(waited / MS);
        SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    }
    STATE(&f, FWS_STATE_ESTABLISHED);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.seq, 1);
    if (f.last.bytes < 100) { /* what the probe held comes first */
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + f.last.bytes);
        assert_true(fixture_fetch(&f));
    }
    assert_int_equal(f.last.seq + f.last.bytes, 101);
    fixture_end(&f);
}

static void a_window_that_shrinks_stops_new_data_but_not_old(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-34, SHLD-15, 16 */
    f.window = 10000;
    established_without_timestamps(&f);
    fixture_write(&f, 20000);
    assert_int_equal(fixture_drain(&f), 6); /* 8760 of 10000 */
    f.window = 2000;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1461);
    RECV_NOTHING(&f);
    assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 1461, .ack = 1, .bytes = MSS);
    f.window = 20000;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 8761);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.seq, 8761);
    fixture_end(&f);
}

static void data_past_a_shrunken_edge_does_not_time_the_connection_out(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-17, MUST-35 */
    f.config.retries = 3;
    established_without_timestamps(&f);
    fixture_write(&f, 2u * MSS);
    assert_int_equal(fixture_drain(&f), 2);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1461);
    for (int i = 0; i < 20; i++) {
        assert_true(fixture_wait(&f, 400u * SEC) != UINT64_MAX);
        fixture_drain(&f);
        SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1461);
    }
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void an_old_segment_does_not_update_the_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.7.4 fifth: SND.WL1, SND.WL2 */
    established_without_timestamps(&f);
    f.window = 5000;
    SEND(&f, .flags = ACK, .seq = 4, .ack = 1);
    assert_int_equal(fixture_info(&f).snd_wnd, 5000);
    f.window = 9000;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).snd_wnd, 5000);
    fixture_end(&f);
}

static void nagle_holds_a_small_segment_while_data_is_outstanding(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-7 */
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    fixture_write(&f, 10);
    fixture_write(&f, 10);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 11);
    RECV(&f, .flags = ACK, .seq = 11, .ack = 1, .bytes = 20);
    fixture_write(&f, 2000); /* a full one goes out, the rest waits */
    RECV(&f, .flags = ACK, .seq = 31, .ack = 1, .bytes = 1448);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void nagle_can_be_switched_off(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-17 */
    f.options.nodelay = 1;
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 11, .ack = 1, .bytes = 10);
    fixture_end(&f);
}

static void the_last_segment_of_what_is_queued_has_psh_and_the_full_ones_before_not(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-60, 61, SHLD-27, 28 */
    established_without_timestamps(&f);
    fixture_write(&f, 4000);
    for (size_t i = 0; i < 3; i++) {
        fixture_wait(&f, SEC);
        assert_true(fixture_fetch(&f));
        assert_int_equal(f.last.bytes, i < 2 ? MSS : 1080u);
        assert_int_equal((f.last.flags & PSH) != 0, i == 2);
        if (i == 1) {
            SEND(&f, .flags = ACK, .seq = 1, .ack = 2921);
        }
    }
    fixture_end(&f);
}

static void an_ack_is_delayed_by_less_than_half_a_second(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-18, MUST-40 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 100);
    if (fixture_fetch(&f)) { /* the first ones may be acknowledged at once */
        for (uint32_t i = 0; i < 64; i++) {
            SEND(&f, .flags = ACK, .seq = 101u + 100u * i, .ack = 1, .data = zeros, .bytes = 100);
            if (!fixture_fetch(&f)) {
                break;
            }
        }
    }
    uint64_t waited = fixture_wait(&f, SEC);
    assert_true(waited > 0 && waited < 500u * MS);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, ACK);
    fixture_end(&f);
}

static void every_second_full_segment_is_acknowledged_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-19 */
    established_without_timestamps(&f);
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t seq = 1u + 2u * MSS * i;
        SEND(&f, .flags = ACK, .seq = seq, .ack = 1, .data = zeros, .bytes = MSS);
        SEND(&f, .flags = ACK, .seq = seq + MSS, .ack = 1, .data = zeros, .bytes = MSS);
        RECV(&f, .flags = ACK, .seq = 1, .ack = seq + 2u * MSS);
        RECV_NOTHING(&f);
    }
    fixture_end(&f);
}

static void segments_of_one_batch_are_all_processed_before_an_ack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-58, MUST-59 */
    f.config.features_off = FWS_DELAYED_ACK;
    established_without_timestamps(&f);
    for (uint32_t i = 0; i < 6; i++) {
        SEND(&f, .flags = ACK, .seq = 1u + 100u * i, .ack = 1, .data = zeros, .bytes = 100);
    }
    RECV(&f, .flags = ACK, .seq = 1, .ack = 601);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void an_ack_rides_on_data(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-58, 3.10.7.4 seventh */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 100);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 101, .bytes = 10);
    RECV_NOTHING(&f);
    assert_true(fixture_wait(&f, 150u * MS) == UINT64_MAX);
    fixture_end(&f);
}

static void segments_beyond_a_gap_are_held_and_delivered_in_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-31, MAY-13 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 4, .ack = 1, .data = "def", .bytes = 3);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = FIN | ACK, .seq = 7, .ack = 1, .data = "ghi", .bytes = 3);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).out_of_order, 6);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abcde", .bytes = 5); /* overlaps */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 11);
    char bytes[16];
    assert_int_equal(fws_recv(f.host, f.conn, bytes, sizeof bytes), 9);
    assert_memory_equal(bytes, "abcdefghi", 9);
    STATE(&f, FWS_STATE_CLOSE_WAIT);
    fixture_end(&f);
}

static void a_segment_that_straddles_the_left_edge_gives_its_new_part(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.7.4 first */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "XXXdef", .bytes = 6);
    fixture_wait(&f, SEC);
    fixture_drain(&f);
    char bytes[16];
    assert_int_equal(fws_recv(f.host, f.conn, bytes, sizeof bytes), 6);
    assert_memory_equal(bytes, "abcdef", 6);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_is_an_unsigned_number),
        cmocka_unit_test(the_peers_window_is_scaled_but_in_its_syn),
        cmocka_unit_test(a_scale_above_14_counts_as_14),
        cmocka_unit_test(without_the_peers_option_nothing_is_scaled),
        cmocka_unit_test(a_syn_ack_offers_scaling_only_when_asked),
        cmocka_unit_test(the_right_edge_never_moves_left),
        cmocka_unit_test(the_window_closes_as_data_waits_and_data_beyond_it_is_not_taken),
        cmocka_unit_test(a_zero_window_still_takes_acks_resets_and_urgent_pointers),
        cmocka_unit_test(the_receiver_does_not_advertise_small_steps),
        cmocka_unit_test(the_sender_does_not_fill_small_steps_of_the_window),
        cmocka_unit_test(the_override_sends_what_the_sws_rule_holds_back),
        cmocka_unit_test(a_zero_window_is_probed_with_backoff_and_for_ever),
        cmocka_unit_test(a_window_that_shrinks_stops_new_data_but_not_old),
        cmocka_unit_test(data_past_a_shrunken_edge_does_not_time_the_connection_out),
        cmocka_unit_test(an_old_segment_does_not_update_the_window),
        cmocka_unit_test(nagle_holds_a_small_segment_while_data_is_outstanding),
        cmocka_unit_test(nagle_can_be_switched_off),
        cmocka_unit_test(the_last_segment_of_what_is_queued_has_psh_and_the_full_ones_before_not),
        cmocka_unit_test(an_ack_is_delayed_by_less_than_half_a_second),
        cmocka_unit_test(every_second_full_segment_is_acknowledged_at_once),
        cmocka_unit_test(segments_of_one_batch_are_all_processed_before_an_ack),
        cmocka_unit_test(an_ack_rides_on_data),
        cmocka_unit_test(segments_beyond_a_gap_are_held_and_delivered_in_order),
        cmocka_unit_test(a_segment_that_straddles_the_left_edge_gives_its_new_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
