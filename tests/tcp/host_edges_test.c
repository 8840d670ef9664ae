/* Edges: what happens at the end of a wait, at the last byte of a window, between two states.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define ROUTER 0x0a020001u
#define UNREACHABLE 3

/* Sends an ICMP error about the packet that the host sent last. */
static void send_unreachable(struct fixture *f, uint8_t code)
{
    uint8_t quoted[28];
    uint8_t bytes[128];
    memcpy(quoted, f->bytes, sizeof quoted);
    struct packet_icmp icmp = {.source = ROUTER,
                               .target = f->host_address,
                               .type = UNREACHABLE,
                               .code = code,
                               .body = quoted,
                               .body_bytes = sizeof quoted};
    fixture_send_raw(f, bytes, packet_build_icmp(&icmp, bytes));
}

static void an_open_given_up_tells_the_last_soft_error(void **state)
{
    (void)state;
    static const struct {
        uint8_t code;
        int error;
    } rows[] = {{1, -EHOSTUNREACH}, {4, -EMSGSIZE}};
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f); /* RFC 1122 section 4.2.3.9 */
        f.config.syn_retries = 1;
        syn_sent(&f);
        send_unreachable(&f, rows[i].code);
        assert_int_equal(fixture_info(&f).soft_error, rows[i].error);
        fixture_pass(&f, SEC + 10u * MS);
        RECV(&f, .flags = SYN);
        fixture_pass(&f, 3u * SEC);
        STATE(&f, FWS_STATE_NONE);
        assert_int_equal(fixture_info(&f).error, rows[i].error);
        fixture_end(&f);
    }
}

static void an_error_about_a_connection_in_time_wait_is_ignored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    send_unreachable(&f, 3);
    STATE(&f, FWS_STATE_TIME_WAIT);
    assert_int_equal(fixture_counter(&f, "icmp_ignored"), 1);
    fixture_end(&f);
}

static void without_memory_a_soft_error_is_counted_and_forgotten(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    f.failing_call = f.calls + 1;
    send_unreachable(&f, 1);
    assert_int_equal(fixture_counter(&f, "icmp_soft"), 1);
    assert_int_equal(fixture_info(&f).soft_error, 0);
    fixture_end(&f);
}

static void an_orphan_before_a_window_that_stays_closed_is_given_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 3);
    RECV_NOTHING(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    uint32_t probes = 0;
    while (fixture_wait(&f, 300u * SEC) != UINT64_MAX && fixture_fetch(&f) &&
           (f.last.flags & RST) == 0) {
        assert_int_equal(f.last.bytes, 1);
        SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
        fixture_pass(&f, MS);
        probes++;
    }
    assert_true((f.last.flags & RST) != 0);
    assert_int_equal(probes, 8);
    assert_int_equal(fixture_counter(&f, "timeouts_orphan_window"), 1);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void an_orphan_goes_on_when_its_window_opens(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 3);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    assert_true(fixture_wait(&f, 5u * SEC) < 2u * SEC);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = FIN | ACK, .seq = 2, .ack = 1, .bytes = 2);
    fixture_end(&f);
}

static void window_probes_that_nobody_answers_end_the_connection(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.8.3, R2 */
    f.config.retries = 3;
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 3);
    for (uint32_t i = 0; i < 40 && fixture_state(&f) != FWS_STATE_NONE; i++) {
        fixture_drain(&f);
        fixture_pass(&f, 10u * SEC);
    }
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    fixture_end(&f);
}

static void a_fin_alone_probes_a_closed_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV_NOTHING(&f);
    assert_true(fixture_wait(&f, 5u * SEC) < 2u * SEC);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 2);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    fixture_end(&f);
}

static void a_fin_needs_room_of_its_own_in_the_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.peer_window_scaling = false;
    f.window = 10;
    established(&f);
    fixture_write(&f, 10);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 11);
    RECV(&f, .flags = FIN | ACK, .seq = 11, .ack = 1);
    fixture_end(&f);
}

static void half_of_the_largest_window_goes_though_more_is_to_come(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 9293 section 3.8.6.2.1 */
    f.peer_window_scaling = false;
    f.window = 100;
    established(&f);
    uint8_t bytes[60] = {0};
    assert_int_equal(fws_send(f.host, f.conn, bytes, 40, FWS_SEND_MORE), 40);
    RECV_NOTHING(&f);
    assert_int_equal(fws_send(f.host, f.conn, bytes, 20, FWS_SEND_MORE), 20);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 60);
    fixture_end(&f);
}

static void a_simultaneous_open_gives_up_after_its_syn_acks(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_ack_retries = 2;
    syn_received_simultaneous(&f);
    uint32_t sent = 0;
    while (fixture_wait(&f, 100u * SEC) != UINT64_MAX) {
        RECV(&f, .flags = SYN | ACK, .ack = 1);
        sent++;
    }
    assert_int_equal(sent, 2);
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    fixture_end(&f);
}

static void a_shutdown_before_a_simultaneous_opens_ack_keeps_syn_ack_data_and_fin(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received_simultaneous(&f);
    fixture_write(&f, 5);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .bytes = 5);
    STATE(&f, FWS_STATE_FIN_WAIT_1);
    fixture_end(&f);
    fixture_init(&f); /* without data the state is FIN_WAIT_1 at once; the SYN-ACK comes again */
    syn_received_simultaneous(&f);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    fixture_drain(&f);
    assert_true(fixture_wait(&f, 10u * SEC) < 5u * SEC);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 0);
    RECV(&f, .flags = RST);
    fixture_end(&f);
}

static void a_syn_that_was_lost_goes_again_without_ecn(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.1.1 */
    f.config.ecn = 1;
    assert_int_equal(fixture_connect(&f), 0);
    RECV(&f, .flags = SYN | ECE | CWR);
    fixture_pass(&f, SEC + 10u * MS);
    RECV(&f, .flags = SYN);
    fixture_end(&f);
}

static void a_syn_that_comes_again_keeps_ecn_only_while_it_asks(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    SEND(&f, .flags = SYN | ECE | CWR, .mss = 1460);
    RECV(&f, .flags = SYN | ACK | ECE, .ack = 1);
    SEND(&f, .flags = SYN | ECE | CWR, .mss = 1460);
    RECV(&f, .flags = SYN | ACK | ECE, .ack = 1);
    SEND(&f, .flags = ACK, .ack = 1, .data = "x", .bytes = 1); /* at the SYN's number, no SYN */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = SYN, .mss = 1460);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    fixture_end(&f);
}

static void a_mark_on_a_bare_ack_is_not_echoed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.4: bare ACKs are not ECN-capable */
    f.config.ecn = 1;
    assert_int_equal(fixture_connect(&f), 0);
    RECV(&f, .flags = SYN | ECE | CWR);
    SEND(&f, .flags = SYN | ACK | ECE, .ack = 1, .mss = 1460);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .tos = 3);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .tos = 3, .data = "x", .bytes = 1);
    RECV(&f, .flags = ACK | ECE, .seq = 1, .ack = 2);
    fixture_end(&f);
}

static void an_echo_of_zero_gives_no_sample(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323: TSecr is valid only where it echoes something */
    syn_sent(&f);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = 1460, .has_timestamp = true, .ts_val = f.clock);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    f.timestamps = true;
    assert_int_equal(fixture_info(&f).timestamps, 1);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    uint64_t before = fixture_info(&f).srtt_ns;
    fixture_pass(&f, 100u * MS);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 11, .has_timestamp = true, .ts_val = f.clock);
    assert_int_equal(fixture_info(&f).srtt_ns, before);
    assert_int_equal(fixture_info(&f).send_queued, 0);
    fixture_end(&f);
}

static void urgent_data_farther_than_the_field_reaches_points_as_far_as_it_can(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.peer_window_scale = 7;
    established(&f);
    uint8_t bytes[100000] = {0};
    assert_int_equal(fws_send(f.host, f.conn, bytes, sizeof bytes, FWS_SEND_URGENT), sizeof bytes);
    assert_true(fixture_fetch(&f));
    assert_true((f.last.flags & URG) != 0);
    assert_int_equal(f.last.urgent, 65535);
    fixture_end(&f);
}

static void a_sack_block_half_the_sequence_space_wide_is_ignored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* each edge alone compares as if it lay in flight */
    established(&f);
    fixture_write(&f, 14600);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
         .sack = {{0x80000000u, (uint32_t)-999}});
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "recoveries_fast"), 0);
    fixture_end(&f);
}

static void urgent_data_behind_the_peers_fin_is_not_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    close_wait(&f);
    SEND(&f, .flags = ACK | URG, .seq = 2, .ack = 1, .urgent = 9);
    assert_int_equal(fixture_info(&f).urgent_ahead, 0);
    assert_int_equal(fixture_counter(&f, "urgent_received"), 0);
    fixture_end(&f);
}

static void without_sack_a_duplicate_is_answered_without_dsack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.peer_sack = false;
    established(&f);
    for (uint32_t i = 0; i < 2; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "xyz", .bytes = 3);
    }
    RECV(&f, .flags = ACK, .seq = 1, .ack = 4);
    assert_int_equal(f.last.sack_count, 0);
    assert_int_equal(fixture_counter(&f, "duplicates"), 1);
    fixture_end(&f);
}

static void a_lingering_close_with_unread_data_counts_as_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.linger_rst = 1;
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "x", .bytes = 1);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    assert_int_equal(fixture_counter(&f, "closed_unread"), 0);
    RECV(&f, .flags = RST, .seq = 1);
    fixture_end(&f);
}

/* A connection in TIME_WAIT that a listener of ours accepted. */
static void time_wait_of_a_listener(struct fixture *f)
{
    established_passive(f);
    assert_int_equal(fws_close(f->host, f->conn), 0);
    RECV(f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(f, FWS_STATE_TIME_WAIT);
}

static void with_equal_timestamps_a_syn_opens_again_by_its_number(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6191 section 2 */
    time_wait_of_a_listener(&f);
    SEND(&f, .flags = SYN, .seq = 1, .mss = 1460);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(&f, FWS_STATE_TIME_WAIT);
    SEND(&f, .flags = SYN, .seq = 1000, .mss = 1460);
    RECV(&f, .flags = SYN | ACK, .ack = 1001);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    fixture_end(&f);
}

static void a_full_listener_leaves_time_wait_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.backlog = 1;
    time_wait_of_a_listener(&f);
    uint32_t iss = f.iss;
    f.timestamps = false;
    f.peer_port++;
    SEND(&f, .flags = SYN, .mss = 1460);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    f.peer_port--;
    f.iss = iss;
    SEND(&f, .flags = SYN, .seq = 1000, .mss = 1460, .has_timestamp = true,
         .ts_val = f.clock + 1000);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void a_full_syn_cache_leaves_time_wait_alone(void **state)
{
    (void)state;
    for (uint32_t cookies = 0; cookies < 2; cookies++) {
        struct fixture f;
        fixture_init(&f);
        f.config.half_open_max = 1;
        f.config.syn_cookies = cookies ? FWS_COOKIES_AUTO : FWS_COOKIES_OFF;
        time_wait_of_a_listener(&f);
        uint32_t iss = f.iss;
        f.timestamps = false;
        f.peer_port++;
        SEND(&f, .flags = SYN, .mss = 1460);
        RECV(&f, .flags = SYN | ACK, .ack = 1);
        f.peer_port--;
        f.iss = iss;
        SEND(&f, .flags = SYN, .seq = 1000, .mss = 1460, .has_timestamp = true,
             .ts_val = f.clock + 1000);
        if (cookies) { /* the cookie stands for the record: RFC 6191 */
            RECV(&f, .flags = SYN | ACK, .ack = 1001);
            STATE(&f, FWS_STATE_NONE);
        } else { /* RFC 5961 section 4 */
            RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
            STATE(&f, FWS_STATE_TIME_WAIT);
        }
        assert_int_equal(fixture_counter(&f, "time_wait_reused"), cookies);
        fixture_end(&f);
    }
}

static void segments_without_ack_move_nothing_in_time_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    uint64_t expires = fixture_info(&f).expires_ns;
    fixture_pass(&f, SEC);
    SEND(&f, .flags = FIN, .seq = 1);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    SEND(&f, .flags = PSH, .seq = 2);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "segments_no_ack"), 1);
    assert_int_equal(fixture_info(&f).expires_ns, expires);
    fixture_end(&f);
}

static void without_timestamps_an_open_of_ours_waits_for_time_wait_to_end(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.peer_timestamps = false;
    time_wait(&f);
    fixture_pass(&f, 2u * SEC);
    assert_int_equal(fixture_connect(&f), -EADDRINUSE);
    fixture_pass(&f, 60u * SEC);
    assert_int_equal(fixture_connect(&f), 0);
    fixture_end(&f);
}

static void an_open_from_time_wait_starts_above_what_was_sent_faster_than_the_clock(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6528 section 3; the clock ticks 250,000 a second */
    f.peer_window_scale = 7;
    established(&f);
    uint8_t bytes[10000] = {0};
    uint32_t end = 1;
    while (end < 1000000 || fixture_info(&f).send_queued > 0) {
        if (end < 1000000) {
            assert_true(fws_send(f.host, f.conn, bytes, sizeof bytes, 0) > 0);
        }
        assert_true(fixture_drain(&f) > 0);
        end = f.last.seq + f.last.bytes;
        SEND(&f, .flags = ACK, .seq = 1, .ack = end);
    }
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = end, .ack = 1);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = end + 1);
    RECV(&f, .flags = ACK, .seq = end + 1, .ack = 2);
    uint32_t former = f.iss;
    fixture_pass(&f, 2u * SEC);
    assert_int_equal(fixture_connect(&f), 0);
    RECV(&f, .flags = SYN);
    assert_true((int32_t)(f.iss - (former + end + 1)) > 0);
    fixture_end(&f);
}

static void a_batch_is_handled_in_its_order(void **state)
{
    (void)state;
    enum { COUNT = 16 };
    struct fixture f;
    fixture_init(&f);
    established_without_timestamps(&f);
    uint8_t bytes[COUNT][64];
    struct fws_packet packets[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        struct packet segment = {.source = PEER_ADDRESS,
                                 .target = HOST_ADDRESS,
                                 .source_port = PEER_PORT,
                                 .target_port = HOST_PORT,
                                 .seq = PEER_ISS + 1 + i,
                                 .ack = f.iss + 1,
                                 .flags = ACK,
                                 .window = 1000,
                                 .data = "x",
                                 .bytes = 1};
        packets[i] = (struct fws_packet){.data = bytes[i],
                                         .bytes = (uint32_t)packet_build(&segment, bytes[i])};
    }
    fws_input(f.host, packets, COUNT);
    assert_int_equal(fixture_read_all(&f), COUNT);
    assert_int_equal(fixture_counter(&f, "out_of_order"), 0);
    fixture_end(&f);
}

static void a_connection_reset_amid_others_events_leaves_theirs(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fws_handle conns[3];
    uint32_t iss[3];
    struct fws_event events[4];
    f.peer_timestamps = false;
    for (uint16_t i = 0; i < 3; i++) {
        f.host_port = (uint16_t)(HOST_PORT + i);
        established(&f);
        conns[i] = f.conn;
        iss[i] = f.iss;
    }
    assert_int_equal(fws_poll(f.host, events, 4), 3);
    for (uint16_t i = 0; i < 3; i++) {
        f.host_port = (uint16_t)(HOST_PORT + i);
        f.iss = iss[i];
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "x", .bytes = 1);
    }
    assert_int_equal(fws_abort(f.host, conns[1]), 0);
    assert_int_equal(fws_poll(f.host, events, 4), 2);
    assert_true(events[0].handle == conns[0] && events[1].handle == conns[2]);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_given_up_tells_the_last_soft_error),
        cmocka_unit_test(an_error_about_a_connection_in_time_wait_is_ignored),
        cmocka_unit_test(without_memory_a_soft_error_is_counted_and_forgotten),
        cmocka_unit_test(an_orphan_before_a_window_that_stays_closed_is_given_up),
        cmocka_unit_test(an_orphan_goes_on_when_its_window_opens),
        cmocka_unit_test(window_probes_that_nobody_answers_end_the_connection),
        cmocka_unit_test(a_fin_alone_probes_a_closed_window),
        cmocka_unit_test(a_fin_needs_room_of_its_own_in_the_window),
        cmocka_unit_test(half_of_the_largest_window_goes_though_more_is_to_come),
        cmocka_unit_test(a_simultaneous_open_gives_up_after_its_syn_acks),
        cmocka_unit_test(a_shutdown_before_a_simultaneous_opens_ack_keeps_syn_ack_data_and_fin),
        cmocka_unit_test(a_syn_that_was_lost_goes_again_without_ecn),
        cmocka_unit_test(a_syn_that_comes_again_keeps_ecn_only_while_it_asks),
        cmocka_unit_test(a_mark_on_a_bare_ack_is_not_echoed),
        cmocka_unit_test(an_echo_of_zero_gives_no_sample),
        cmocka_unit_test(urgent_data_farther_than_the_field_reaches_points_as_far_as_it_can),
        cmocka_unit_test(a_sack_block_half_the_sequence_space_wide_is_ignored),
        cmocka_unit_test(urgent_data_behind_the_peers_fin_is_not_told),
        cmocka_unit_test(without_sack_a_duplicate_is_answered_without_dsack),
        cmocka_unit_test(a_lingering_close_with_unread_data_counts_as_asked_for),
        cmocka_unit_test(with_equal_timestamps_a_syn_opens_again_by_its_number),
        cmocka_unit_test(a_full_listener_leaves_time_wait_alone),
        cmocka_unit_test(a_full_syn_cache_leaves_time_wait_alone),
        cmocka_unit_test(segments_without_ack_move_nothing_in_time_wait),
        cmocka_unit_test(without_timestamps_an_open_of_ours_waits_for_time_wait_to_end),
        cmocka_unit_test(an_open_from_time_wait_starts_above_what_was_sent_faster_than_the_clock),
        cmocka_unit_test(a_batch_is_handled_in_its_order),
        cmocka_unit_test(a_connection_reset_amid_others_events_leaves_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
