/* The header and its options: RFC 9293 sections 3.1, 3.2 and 3.7.1; timestamps and PAWS, RFC 7323;
 * urgent data, 3.8.5.
 *
 * Layer: tests. */
#include <errno.h>
#include <stdlib.h>

#include "tcp/host_fixture.h"

#define IP_HEADER 20u

static const uint8_t zeros[2000];

/* Hands in a segment after one bit of it was turned. */
static void send_damaged(struct fixture *f, size_t byte)
{
    struct packet p = {.source = PEER_ADDRESS,
                       .target = f->host_address,
                       .source_port = f->peer_port,
                       .target_port = f->host_port,
                       .flags = ACK,
                       .seq = PEER_ISS + 1u,
                       .ack = f->iss + 1u,
                       .window = f->window,
                       .has_timestamp = f->timestamps,
                       .ts_val = f->clock,
                       .ts_ecr = f->ts_recent,
                       .data = "abc",
                       .bytes = 3};
    uint8_t bytes[256];
    size_t count = packet_build(&p, bytes);
    bytes[byte < count ? byte : count - 1u] ^= 0x10u;
    fixture_send_raw(f, bytes, count);
}

static void a_segment_with_a_wrong_checksum_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-3 */
    established(&f);
    for (size_t byte = IP_HEADER + 4u; byte < 100; byte++) {
        if (byte != IP_HEADER + 12u) { /* the data offset: a length, checked before */
            send_damaged(&f, byte);
        }
    }
    RECV_NOTHING(&f);
    assert_int_equal(fixture_read_all(&f), 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void a_link_may_vouch_for_the_checksum(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    struct packet syn = {.source = PEER_ADDRESS,
                         .target = HOST_ADDRESS,
                         .source_port = PEER_PORT,
                         .target_port = LISTEN_PORT,
                         .flags = SYN,
                         .seq = PEER_ISS};
    uint8_t bytes[64];
    size_t count = packet_build(&syn, bytes);
    bytes[IP_HEADER + 16u] ^= 0xffu;
    fixture_send_raw(&f, bytes, count);
    RECV_NOTHING(&f);
    struct fws_packet packet = {
        .data = bytes, .bytes = (uint32_t)count, .flags = FWS_CHECKSUM_DONE};
    fws_input(f.host, &packet, 1);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    fixture_end(&f);
}

static void reserved_bits_are_ignored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.1 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3, .reserved = 0xf);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void unknown_options_are_skipped_wherever_they_stand(void **state)
{
    (void)state;
    /* MUST-5, 6, 64: an unknown kind, NOPs, and then MSS on an odd byte. */
    static const uint8_t options[] = {253, 5, 1, 2, 3, 1, 1, 2, 4, 0x03, 0xe8, 1};
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    SEND(&f, .flags = SYN, .other_options = options, .other_options_bytes = sizeof options);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .other_options = options,
         .other_options_bytes = sizeof options);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_info(&f).mss, 1000);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3, .other_options = options,
         .other_options_bytes = sizeof options);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void what_follows_the_end_of_the_list_is_not_read(void **state)
{
    (void)state;
    static const uint8_t options[] = {1, 0, 2, 4, 0x03, 0xe8, 0, 0}; /* MUST-4 */
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    SEND(&f, .flags = SYN, .other_options = options, .other_options_bytes = sizeof options);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_info(&f).mss, 536);
    fixture_end(&f);
}

static void an_illegal_option_length_does_no_harm(void **state)
{
    (void)state;
    static const uint8_t rows[][4] = {
        {253, 0, 1, 1}, /* MUST-7 */
        {253, 1, 1, 1}, {253, 40, 1, 1}, {2, 3, 1, 1}, {2, 2, 1, 1}, {3, 4, 1, 1},
        {8, 4, 1, 1},   {5, 4, 1, 1},    {1, 1, 1, 2}, {8, 1, 1, 1},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        established_without_timestamps(&f);
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3,
             .other_options = rows[i], .other_options_bytes = 4);
        fixture_drain(&f);
        if (fixture_state(&f) == FWS_STATE_ESTABLISHED) { /* a reset would be allowed as well */
            SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
            assert_int_equal(fixture_read_all(&f), 3);
        }
        fixture_end(&f);
    }
}

static void options_in_a_syn_that_are_malformed_do_no_harm(void **state)
{
    (void)state;
    static const uint8_t rows[][4] = {{2, 0, 1, 1}, {2, 40, 1, 1}, {8, 2, 1, 1}, {3, 2, 1, 1}};
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        listening(&f);
        SEND(&f, .flags = SYN, .other_options = rows[i], .other_options_bytes = 4);
        if (fixture_fetch(&f)) {
            assert_int_equal(f.last.ack, 1);
            assert_false(f.last.has_timestamp);
        }
        fixture_end(&f);
    }
}

static void mss_is_sent_in_every_syn_and_in_nothing_else(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-14, 65, SHLD-5 */
    syn_sent(&f);
    assert_int_equal(f.last.mss, 1460);
    SEND(&f, .flags = SYN | ACK, .ack = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.mss, 0);
    assert_false(f.last.has_window_scale || f.last.sack_permitted);
    fixture_end(&f);
    fixture_init(&f);
    f.peer_mss = 0;
    syn_received(&f);
    assert_int_equal(f.last.mss, 1460);
    fixture_end(&f);
}

static void the_mss_sent_is_the_mtu_less_the_fixed_headers(void **state)
{
    (void)state;
    const uint32_t mtus[] = {576, 1500, 9000, 65535};
    for (size_t i = 0; i < TABLE_COUNT(mtus); i++) {
        struct fixture f;
        fixture_init(&f); /* MUST-67, SHLD-6, RFC 6691 */
        f.config.mtu_bytes = mtus[i];
        syn_sent(&f);
        assert_int_equal(f.last.mss, mtus[i] - 40u);
        fixture_end(&f);
    }
}

static void without_an_mss_option_536_is_assumed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-15 */
    f.peer_mss = 0;
    established_without_timestamps(&f);
    fixture_write(&f, 2000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 536);
    fixture_end(&f);
}

static void a_segment_is_no_larger_than_the_peers_mss_less_the_options(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-16 */
    f.peer_mss = 1000;
    established(&f);
    fixture_write(&f, 3000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 988); /* 12 bytes of timestamps */
    SEND(&f, .flags = ACK, .seq = 50, .ack = 989, .data = "x", .bytes = 1);
    bool seen = false;
    while (fixture_fetch(&f)) {
        uint32_t options = f.last_bytes - 40u - f.last.bytes;
        assert_true(f.last.bytes + options <= 1000);
        seen = seen || f.last.sack_count > 0;
    }
    assert_true(seen);
    fixture_end(&f);
}

static void a_segment_is_no_larger_than_the_mtu_and_the_options_limit(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-16 */
    f.peer_mss = 9000;
    f.config.mtu_bytes = 600;
    established_without_timestamps(&f);
    fixture_write(&f, 3000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 560);
    fixture_end(&f);
    fixture_init(&f);
    f.options.mss = 700;
    established_without_timestamps(&f);
    fixture_write(&f, 3000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 700);
    fixture_end(&f);
}

static void timestamps_stand_in_every_segment_and_echo_the_peers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 3.2 */
    established(&f);
    assert_int_equal(f.last.ts_ecr, PEER_CLOCK);
    f.clock += 100u; /* wraps */
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 4, .bytes = 10);
    assert_int_equal(f.last.ts_ecr, PEER_CLOCK + 100u);
    fixture_end(&f);
}

static void ts_recent_is_taken_only_from_a_segment_at_last_ack_sent(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 4.3 (2): SEG.SEQ <= Last.ACK.sent */
    established(&f);
    f.clock += 10u;
    SEND(&f, .flags = ACK, .seq = 100, .ack = 1, .data = "abc", .bytes = 3);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.ts_ecr, PEER_CLOCK);
    fixture_end(&f);
}

static void a_delayed_ack_echoes_the_earliest_timestamp(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 4.3, case A */
    established(&f);
    f.clock += 10u;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 1000);
    bool delayed = !fixture_fetch(&f);
    f.clock += 10u;
    SEND(&f, .flags = ACK, .seq = 1001, .ack = 1, .data = zeros, .bytes = 1000);
    fixture_wait(&f, SEC);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 2001);
    assert_int_equal(f.last.ts_ecr, PEER_CLOCK + (delayed ? 10u : 20u));
    fixture_end(&f);
}

static void paws_compares_across_the_wrap_and_expires_after_24_days(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 sections 5.3 and 5.5 */
    established(&f);
    f.clock = 5; /* the peer's clock has wrapped */
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_wait(&f, SEC);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 4, .ack = 1, .data = "old", .bytes = 3, .has_timestamp = true,
         .ts_val = PEER_CLOCK, .ts_ecr = f.ts_recent);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 4);
    assert_int_equal(fixture_read_all(&f), 0);
    fixture_pass(&f, 25u * 86400u * SEC);
    SEND(&f, .flags = ACK, .seq = 4, .ack = 1, .data = "new", .bytes = 3, .has_timestamp = true,
         .ts_val = PEER_CLOCK, .ts_ecr = f.ts_recent);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_wait(&f, SEC);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 7);
    assert_int_equal(f.last.ts_ecr, PEER_CLOCK); /* it is TS.Recent from here on */
    SEND(&f, .flags = ACK, .seq = 7, .ack = 1, .data = "old", .bytes = 3, .has_timestamp = true,
         .ts_val = PEER_CLOCK - 1u, .ts_ecr = f.ts_recent);
    assert_int_equal(fixture_read_all(&f), 0);
    fixture_end(&f);
}

static void our_timestamps_never_go_back_and_tick_in_milliseconds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 5.4: 1 ms to 1 s a tick */
    f.config.timestamp_offset = 0xffffff00u;
    f.options.nodelay = 1;
    established(&f);
    uint32_t last = f.ts_recent;
    for (uint32_t i = 0; i < 10; i++) {
        fixture_pass(&f, 50u * MS);
        fixture_write(&f, 1);
        RECV(&f, .flags = ACK, .seq = 1u + i, .ack = 1, .bytes = 1);
        uint32_t step = f.ts_recent - last;
        assert_in_range(step, 1, 50);
        last = f.ts_recent;
        SEND(&f, .flags = ACK, .seq = 1, .ack = 2u + i);
    }
    fixture_end(&f);
}

static void timestamps_differ_by_tuple(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t first[2];
    for (size_t i = 0; i < 2; i++) {
        fixture_init(&f); /* RFC 7323 section 5.4, 7.1 */
        f.peer_port = (uint16_t)(PEER_PORT + i);
        syn_sent(&f);
        first[i] = f.ts_recent;
        fixture_end(&f);
    }
    assert_int_not_equal(first[0], first[1]);
}

static void a_feature_that_is_off_is_not_offered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.features_off = FWS_TIMESTAMPS | FWS_SACK | FWS_WINDOW_SCALING;
    syn_sent(&f);
    assert_false(f.last.has_timestamp || f.last.sack_permitted || f.last.has_window_scale);
    fixture_end(&f);
    fixture_init(&f);
    f.config.features_off = FWS_TIMESTAMPS | FWS_SACK | FWS_WINDOW_SCALING;
    syn_received(&f);
    assert_false(f.last.has_timestamp || f.last.sack_permitted || f.last.has_window_scale);
    fixture_end(&f);
}

static void urgent_data_points_behind_its_last_byte(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-30, 62 */
    established(&f);
    assert_int_equal(fws_send(f.host, f.conn, "abcd", 4, FWS_SEND_URGENT), 4);
    RECV(&f, .flags = ACK | URG, .seq = 1, .ack = 1, .bytes = 4);
    assert_int_equal(f.last.urgent, 4);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 5);
    fixture_write(&f, 3);
    RECV(&f, .flags = ACK, .seq = 5, .ack = 1, .bytes = 3);
    fixture_end(&f);
}

static void urgent_data_of_any_length_is_announced_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-31 */
    established_without_timestamps(&f);
    uint8_t *bytes = calloc(1, 5000);
    assert_non_null(bytes);
    assert_int_equal(fws_send(f.host, f.conn, bytes, 5000, FWS_SEND_URGENT), 5000);
    free(bytes);
    RECV(&f, .flags = ACK | URG, .seq = 1, .ack = 1, .bytes = 1460);
    assert_int_equal(f.last.urgent, 5000);
    RECV(&f, .flags = ACK | URG, .seq = 1461, .ack = 1, .bytes = 1460);
    assert_int_equal(f.last.urgent, 3540);
    fixture_end(&f);
}

static void an_urgent_pointer_is_told_and_how_much_is_ahead(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-32, 33 */
    established(&f);
    struct fws_event events[4];
    while (fws_poll(f.host, events, 4) > 0) {
    }
    SEND(&f, .flags = ACK | URG, .seq = 1, .ack = 1, .urgent = 6, .data = "abc", .bytes = 3);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_true((events[0].ready & FWS_URGENT) != 0);
    assert_int_equal(fixture_info(&f).urgent_ahead, 6);
    SEND(&f, .flags = ACK | URG, .seq = 4, .ack = 1, .urgent = 7, .data = "d", .bytes = 1);
    assert_int_equal(fixture_info(&f).urgent_ahead, 10); /* the pointer has moved on */
    assert_int_equal(fixture_read_all(&f), 4);
    assert_int_equal(fixture_info(&f).urgent_ahead, 6);
    SEND(&f, .flags = ACK, .seq = 5, .ack = 1, .data = "efghijklm", .bytes = 9);
    assert_int_equal(fixture_read_all(&f), 9);
    assert_int_equal(fixture_info(&f).urgent_ahead, 0);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_URGENT, 0);
    fixture_end(&f);
}

static void an_urgent_pointer_does_not_recede_and_counts_only_with_urg(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.8.5, 3.10.7.4 sixth */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .urgent = 50, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_info(&f).urgent_ahead, 0);
    SEND(&f, .flags = ACK | URG, .seq = 4, .ack = 1, .urgent = 20, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_info(&f).urgent_ahead, 23);
    SEND(&f, .flags = ACK | URG, .seq = 7, .ack = 1, .urgent = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_info(&f).urgent_ahead, 23);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_with_a_wrong_checksum_is_dropped),
        cmocka_unit_test(a_link_may_vouch_for_the_checksum),
        cmocka_unit_test(reserved_bits_are_ignored),
        cmocka_unit_test(unknown_options_are_skipped_wherever_they_stand),
        cmocka_unit_test(what_follows_the_end_of_the_list_is_not_read),
        cmocka_unit_test(an_illegal_option_length_does_no_harm),
        cmocka_unit_test(options_in_a_syn_that_are_malformed_do_no_harm),
        cmocka_unit_test(mss_is_sent_in_every_syn_and_in_nothing_else),
        cmocka_unit_test(the_mss_sent_is_the_mtu_less_the_fixed_headers),
        cmocka_unit_test(without_an_mss_option_536_is_assumed),
        cmocka_unit_test(a_segment_is_no_larger_than_the_peers_mss_less_the_options),
        cmocka_unit_test(a_segment_is_no_larger_than_the_mtu_and_the_options_limit),
        cmocka_unit_test(timestamps_stand_in_every_segment_and_echo_the_peers),
        cmocka_unit_test(ts_recent_is_taken_only_from_a_segment_at_last_ack_sent),
        cmocka_unit_test(a_delayed_ack_echoes_the_earliest_timestamp),
        cmocka_unit_test(paws_compares_across_the_wrap_and_expires_after_24_days),
        cmocka_unit_test(our_timestamps_never_go_back_and_tick_in_milliseconds),
        cmocka_unit_test(timestamps_differ_by_tuple),
        cmocka_unit_test(a_feature_that_is_off_is_not_offered),
        cmocka_unit_test(urgent_data_points_behind_its_last_byte),
        cmocka_unit_test(urgent_data_of_any_length_is_announced_at_once),
        cmocka_unit_test(an_urgent_pointer_is_told_and_how_much_is_ahead),
        cmocka_unit_test(an_urgent_pointer_does_not_recede_and_counts_only_with_urg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
