/* Closing: RFC 9293 sections 3.6, 3.10.4, 3.10.5 and the states behind a FIN; TIME_WAIT with RFC
 * 1337 and RFC 6191.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define TWO_MSL (60u * SEC)

static void a_close_by_four_segments_ends_in_time_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* figure 12, peer A */
    time_wait(&f);
    RECV_NOTHING(&f);
    assert_true((fws_ready(f.host, f.conn) & FWS_DONE) != 0);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void a_close_from_the_other_side_ends_in_last_ack_and_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* figure 12, peer B */
    last_ack(&f);
    assert_true((fws_ready(f.host, f.conn) & FWS_PEER_FIN) != 0);
    SEND(&f, .flags = ACK, .seq = 2, .ack = 2);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    assert_true((fws_ready(f.host, f.conn) & FWS_DONE) != 0);
    assert_int_equal(fixture_info(&f).error, 0); /* MUST-12: closed normally */
    fixture_end(&f);
}

static void a_close_of_both_at_once_goes_through_closing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* figure 13 */
    closing(&f);
    SEND(&f, .flags = ACK, .seq = 2, .ack = 2);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void a_fin_goes_out_with_the_last_data_and_is_taken_with_data(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.nodelay = 0;
    established(&f);
    f.window = 2;
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 3);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    f.window = 65535;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .bytes = 3);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 5, .data = "abcd", .bytes = 4);
    RECV(&f, .flags = ACK, .seq = 5, .ack = 6);
    STATE(&f, FWS_STATE_TIME_WAIT);
    assert_int_equal(fixture_read_all(&f), 4);
    char byte = 0;
    assert_int_equal(fws_recv(f.host, f.conn, &byte, 1), 0);
    fixture_end(&f);
}

static void a_half_closed_connection_receives_for_as_long_as_the_peer_sends(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.6.1: the handle is held, so there is no time-out */
    fin_wait_2(&f);
    fixture_pass(&f, 3600u * SEC);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2, .data = "abc", .bytes = 3);
    assert_true(fixture_wait(&f, SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 4);
    assert_int_equal(fixture_read_all(&f), 3);
    SEND(&f, .flags = FIN | ACK, .seq = 4, .ack = 2);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 5);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void close_wait_still_sends(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    close_wait(&f);
    fixture_write(&f, 5);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 2, .bytes = 5);
    STATE(&f, FWS_STATE_CLOSE_WAIT);
    fixture_end(&f);
}

static void nothing_is_sent_after_shutdown_but_the_fin_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.2, 3.10.4: a second FIN is not emitted */
    fin_wait_1(&f);
    assert_int_equal(fws_send(f.host, f.conn, "abc", 3, 0), -EPIPE);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV_NOTHING(&f);
    uint64_t waited = fixture_wait(&f, 10u * SEC);
    assert_true(waited >= 200u * MS && waited <= SEC);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    fixture_end(&f);
}

static void a_fin_waits_behind_queued_data(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 100);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    while (fixture_fetch(&f)) {
        assert_int_equal(f.last.flags & FIN, 0);
    }
    STATE(&f, FWS_STATE_FIN_WAIT_1); /* 3.10.4: in any case */
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .bytes = 100);
    fixture_end(&f);
}

static void a_close_in_syn_sent_deletes_the_tcb(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.4 */
    syn_sent(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_close_in_syn_received_sends_a_fin(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.4, nothing was sent */
    syn_received_simultaneous(&f);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_FIN_WAIT_1);
    fixture_end(&f);
}

static void a_reset_flushes_what_was_not_read(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.7.4 second: all segment queues should be flushed */
    established(&f);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    fixture_drain(&f);
    SEND(&f, .flags = RST, .seq = 5);
    char byte = 0;
    assert_int_equal(fws_recv(f.host, f.conn, &byte, 1), -ECONNRESET);
    fixture_end(&f);
}

static void a_shutdown_in_syn_received_reaches_the_peer_in_the_end(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received_simultaneous(&f);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    if (!fixture_fetch(&f)) {
        assert_true(fixture_wait(&f, 5u * SEC) != UINT64_MAX);
        assert_true(fixture_fetch(&f));
    }
    assert_int_equal(f.last.flags & (FIN | ACK), FIN | ACK);
    STATE(&f, FWS_STATE_FIN_WAIT_1);
    fixture_end(&f);
}

static void an_abort_sends_a_reset_where_the_state_asks_for_one(void **state)
{
    (void)state;
    struct {
        void (*reach)(struct fixture *f);
        uint32_t seq; /* of the RST; 0: none (3.10.5) */
    } const rows[] = {
        {syn_sent, 0},    {syn_received_simultaneous, 1},
        {established, 1}, {fin_wait_1, 2},
        {fin_wait_2, 2},  {close_wait, 1},
        {closing, 0},     {last_ack, 0},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        rows[i].reach(&f);
        assert_int_equal(fws_abort(f.host, f.conn), 0);
        if (rows[i].seq != 0) {
            assert_true(fixture_fetch(&f));
            assert_int_equal(f.last.flags & ~(uint32_t)ACK, RST);
            assert_int_equal(f.last.seq, rows[i].seq);
        }
        RECV_NOTHING(&f);
        STATE(&f, FWS_STATE_NONE);
        assert_int_equal(fws_abort(f.host, f.conn), -EBADF);
        fixture_end(&f);
    }
}

static void a_close_with_unread_data_sends_a_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-3 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    fixture_drain(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags & ~(uint32_t)ACK, RST);
    assert_int_equal(f.last.seq, 1);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void data_behind_a_close_is_answered_by_a_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-3 */
    established(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2, .data = "abc", .bytes = 3);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags & ~(uint32_t)ACK, RST);
    assert_int_equal(f.last.seq, 2);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_linger_of_nothing_closes_by_a_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.linger_rst = 1;
    established(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags & ~(uint32_t)ACK, RST);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void an_orphan_in_fin_wait_2_is_given_up_after_its_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.fin_wait_2_ns = 7u * SEC;
    fin_wait_2(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    fixture_pass(&f, 7u * SEC - MS);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    fixture_pass(&f, 100u * MS);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_fin_in_last_ack_is_sent_again_until_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    last_ack(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    for (int i = 0; i < 4; i++) {
        assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
        RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    }
    SEND(&f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_fin_that_comes_again_is_acknowledged_again(void **state)
{
    (void)state;
    void (*const reach[])(struct fixture *) = {close_wait, closing, last_ack, time_wait};
    const uint32_t snd_nxt[] = {1, 2, 2, 2};
    for (size_t i = 0; i < TABLE_COUNT(reach); i++) {
        struct fixture f;
        fixture_init(&f);
        reach[i](&f);
        enum fws_state before = fixture_state(&f);
        SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 1); /* RCV.NXT - 1: not acceptable */
        RECV(&f, .flags = ACK, .seq = snd_nxt[i], .ack = 2);
        STATE(&f, before);
        fixture_end(&f);
    }
}

static void time_wait_lasts_two_msl(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-13 */
    time_wait(&f);
    fixture_pass(&f, TWO_MSL - 1u);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_pass(&f, SEC);
    STATE(&f, FWS_STATE_NONE);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = RST, .seq = 2);
    fixture_end(&f);
}

static void time_wait_begins_again_with_every_fin(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    for (int i = 0; i < 3; i++) {
        fixture_pass(&f, TWO_MSL - SEC);
        SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
        RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    }
    fixture_pass(&f, TWO_MSL - 1u);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_pass(&f, SEC);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void time_wait_does_not_begin_again_by_other_segments(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    fixture_pass(&f, TWO_MSL - SEC);
    SEND(&f, .flags = ACK, .seq = 2, .ack = 2);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2, .data = "a", .bytes = 1);
    fixture_drain(&f);
    fixture_pass(&f, 2u * SEC);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_reset_ends_time_wait_unless_rfc_1337_is_asked_for(void **state)
{
    (void)state;
    for (uint8_t rfc1337 = 0; rfc1337 < 2; rfc1337++) {
        struct fixture f;
        fixture_init(&f);
        f.config.rfc1337 = rfc1337;
        time_wait(&f);
        SEND(&f, .flags = RST, .seq = 2);
        RECV_NOTHING(&f);
        STATE(&f, rfc1337 != 0 ? FWS_STATE_TIME_WAIT : FWS_STATE_NONE);
        fixture_end(&f);
    }
}

/* RFC 1337's case: what comes behind the reset finds no connection. That is told apart, since it is
 * no reset of a connection's own. */
static void an_answer_to_what_comes_behind_time_wait_is_counted_apart(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    SEND(&f, .flags = RST, .seq = 2);
    SEND(&f, .flags = RST, .seq = 2);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "resets_no_connection"), 0);
    SEND(&f, .flags = ACK, .seq = 2, .ack = 2);
    RECV(&f, .flags = RST, .seq = 2);
    assert_int_equal(fixture_counter(&f, "time_wait_reset"), 1);
    assert_int_equal(fixture_counter(&f, "resets_no_connection"), 1);
    assert_int_equal(fixture_counter(&f, "resets_sent"), 1);
    fixture_end(&f);
}

/* A listener's connection that this side closed first. */
static void passive_time_wait(struct fixture *f)
{
    established_passive(f);
    assert_int_equal(fws_shutdown(f->host, f->conn), 0);
    RECV(f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(f, .flags = ACK, .seq = 2, .ack = 2);
    assert_int_equal(fws_close(f->host, f->conn), 0);
    STATE(f, FWS_STATE_TIME_WAIT);
}

static void a_syn_with_a_newer_timestamp_opens_again_from_time_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6191 section 2, MAY-2, SHLD-4 */
    passive_time_wait(&f);
    uint32_t old_snd_nxt = f.iss + 2u;
    SEND(&f, .flags = SYN, .seq = (uint32_t)-5000, .mss = 1460, .has_timestamp = true,
         .ts_val = f.clock + 1u);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, SYN | ACK);
    assert_int_equal(f.last.ack, (uint32_t)-4999);
    assert_true((int32_t)(f.iss - old_snd_nxt) > 0); /* above the old SND.NXT */
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    fixture_end(&f);
}

static void a_syn_with_an_older_timestamp_does_not_open_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    passive_time_wait(&f);
    SEND(&f, .flags = SYN, .seq = 5000, .mss = 1460, .has_timestamp = true, .ts_val = f.clock - 1u);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void without_timestamps_a_syn_opens_again_by_a_higher_sequence_number(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6191 section 2 */
    f.peer_timestamps = false;
    passive_time_wait(&f);
    SEND(&f, .flags = SYN, .seq = 1, .mss = 1460);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(&f, FWS_STATE_TIME_WAIT);
    SEND(&f, .flags = SYN, .seq = 70000, .mss = 1460);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, SYN | ACK);
    assert_int_equal(f.last.ack, 70001);
    fixture_end(&f);
}

static void an_open_of_ours_from_time_wait_starts_above_the_old_numbers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6191, 6528: as the header says of -EADDRINUSE */
    time_wait(&f);
    fws_handle old = f.conn;
    uint32_t old_snd_nxt = f.iss + 2u;
    assert_int_equal(fws_close(f.host, old), 0);
    fixture_pass(&f, 2u * SEC);
    int got = fixture_connect(&f);
    assert_true(got == 0 || got == -EADDRINUSE);
    if (got == 0) {
        f.timestamps = false;
        assert_true(fixture_fetch(&f));
        assert_int_equal(f.last.flags, SYN);
        assert_true((int32_t)(f.iss - old_snd_nxt) > 0);
    }
    fixture_end(&f);
}

static void a_reset_tells_the_application_and_a_fin_does_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-12 */
    established(&f);
    SEND(&f, .flags = RST, .seq = 1);
    char byte = 0;
    assert_int_equal(fws_recv(f.host, f.conn, &byte, 1), -ECONNRESET);
    assert_true((fws_ready(f.host, f.conn) & FWS_ERROR) != 0);
    assert_int_equal(fixture_info(&f).state, FWS_STATE_CLOSED);
    fixture_end(&f);
    fixture_init(&f);
    close_wait(&f);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_ERROR, 0);
    assert_int_equal(fws_recv(f.host, f.conn, &byte, 1), 0);
    fixture_end(&f);
}

static void a_reset_may_carry_data(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-2 */
    established(&f);
    SEND(&f, .flags = RST, .seq = 1, .data = "goodbye", .bytes = 7);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_closed_listener_resets_those_that_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_int_equal(fws_close(f.host, f.listener), 0);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags & ~(uint32_t)ACK, RST);
    assert_int_equal(f.last.seq, 1);
    STATE(&f, FWS_STATE_NONE);
    f.iss = 0;
    SEND(&f, .flags = SYN, .seq = 9);
    RECV(&f, .flags = RST | ACK, .ack = 10);
    fixture_end(&f);
}

static void a_close_with_unread_data_behind_our_fin_sends_a_reset_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-3, section 3.6.1 */
    established(&f);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    fixture_drain(&f);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 5);
    STATE(&f, FWS_STATE_LAST_ACK);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = RST, .seq = 2);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_close_by_four_segments_ends_in_time_wait),
        cmocka_unit_test(a_close_from_the_other_side_ends_in_last_ack_and_closed),
        cmocka_unit_test(a_close_of_both_at_once_goes_through_closing),
        cmocka_unit_test(a_fin_goes_out_with_the_last_data_and_is_taken_with_data),
        cmocka_unit_test(a_half_closed_connection_receives_for_as_long_as_the_peer_sends),
        cmocka_unit_test(close_wait_still_sends),
        cmocka_unit_test(nothing_is_sent_after_shutdown_but_the_fin_again),
        cmocka_unit_test(a_fin_waits_behind_queued_data),
        cmocka_unit_test(a_close_in_syn_sent_deletes_the_tcb),
        cmocka_unit_test(a_close_in_syn_received_sends_a_fin),
        cmocka_unit_test(a_reset_flushes_what_was_not_read),
        cmocka_unit_test(a_shutdown_in_syn_received_reaches_the_peer_in_the_end),
        cmocka_unit_test(an_abort_sends_a_reset_where_the_state_asks_for_one),
        cmocka_unit_test(a_close_with_unread_data_sends_a_reset),
        cmocka_unit_test(data_behind_a_close_is_answered_by_a_reset),
        cmocka_unit_test(a_linger_of_nothing_closes_by_a_reset),
        cmocka_unit_test(an_orphan_in_fin_wait_2_is_given_up_after_its_time),
        cmocka_unit_test(a_fin_in_last_ack_is_sent_again_until_acknowledged),
        cmocka_unit_test(a_fin_that_comes_again_is_acknowledged_again),
        cmocka_unit_test(time_wait_lasts_two_msl),
        cmocka_unit_test(time_wait_begins_again_with_every_fin),
        cmocka_unit_test(time_wait_does_not_begin_again_by_other_segments),
        cmocka_unit_test(a_reset_ends_time_wait_unless_rfc_1337_is_asked_for),
        cmocka_unit_test(an_answer_to_what_comes_behind_time_wait_is_counted_apart),
        cmocka_unit_test(a_syn_with_a_newer_timestamp_opens_again_from_time_wait),
        cmocka_unit_test(a_syn_with_an_older_timestamp_does_not_open_again),
        cmocka_unit_test(without_timestamps_a_syn_opens_again_by_a_higher_sequence_number),
        cmocka_unit_test(an_open_of_ours_from_time_wait_starts_above_the_old_numbers),
        cmocka_unit_test(a_reset_tells_the_application_and_a_fin_does_too),
        cmocka_unit_test(a_reset_may_carry_data),
        cmocka_unit_test(a_closed_listener_resets_those_that_wait),
        cmocka_unit_test(a_close_with_unread_data_behind_our_fin_sends_a_reset_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
