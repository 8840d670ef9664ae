/* Opening a connection: RFC 9293 sections 3.5, 3.9.1.1, 3.10.1 and 3.10.7.1 to 3.10.7.3; initial
 * sequence numbers, 3.4.1 and RFC 6528; source ports, RFC 6056; SYN retransmission, MUST-22, 23.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define TICK (2u * MS) /* of the host's timers, which are never early */

static void without_a_connection_a_segment_without_ack_is_reset_by_its_length(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    SEND(&f, .flags = SYN, .seq = 7);
    RECV(&f, .flags = RST | ACK, .ack = 8);
    assert_int_equal(f.last.seq, 0);
    SEND(&f, .flags = FIN, .seq = 7, .data = "abc", .bytes = 3);
    RECV(&f, .flags = RST | ACK, .ack = 11);
    assert_int_equal(f.last.source_port, HOST_PORT);
    assert_int_equal(f.last.target_port, PEER_PORT);
    fixture_end(&f);
}

static void without_a_connection_an_ack_is_reset_at_its_number_and_a_reset_never(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    SEND(&f, .flags = ACK, .seq = 7, .ack = 1234, .data = "abc", .bytes = 3);
    RECV(&f, .flags = RST, .seq = 1234);
    SEND(&f, .flags = RST, .seq = 7);
    SEND(&f, .flags = RST | ACK, .seq = 7, .ack = 9);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void an_active_open_sends_a_syn_and_answers_the_syn_ack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    assert_int_equal(f.last.source, HOST_ADDRESS);
    assert_int_equal(f.last.target, PEER_ADDRESS);
    assert_int_equal(f.last.source_port, HOST_PORT);
    struct fws_info info = fixture_info(&f);
    assert_int_equal(info.snd_una, f.iss);
    assert_int_equal(info.snd_nxt, f.iss + 1u);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = 1460);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    info = fixture_info(&f);
    assert_int_equal(info.snd_una, f.iss + 1u);
    assert_int_equal(info.rcv_nxt, PEER_ISS + 1u);
    assert_true((fws_ready(f.host, f.conn) & FWS_WRITABLE) != 0);
    fixture_end(&f);
}

static void options_of_the_syn_stand_in_linuxs_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    const uint8_t kinds[] = {2, 4, 8, 1, 3, 0};
    assert_memory_equal(f.last.kinds, kinds, sizeof kinds);
    assert_int_equal(f.last.mss, 1460);
    assert_int_equal(f.last.ts_ecr, 0);
    assert_in_range(f.last.window, 64000, 65535);
    fixture_end(&f);
}

static void a_reset_in_syn_sent_carries_no_timestamp(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 3.2: none is agreed on yet */
    syn_sent(&f);
    f.timestamps = true;
    SEND(&f, .flags = ACK, .seq = 5, .ack = 7);
    RECV(&f, .flags = RST, .seq = 7);
    assert_false(f.last.has_timestamp);
    STATE(&f, FWS_STATE_SYN_SENT);
    fixture_end(&f);
}

static void an_ack_in_syn_sent_outside_iss_to_snd_nxt_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    const uint32_t wrong[] = {0, 2, (uint32_t)-5};
    for (size_t i = 0; i < TABLE_COUNT(wrong); i++) {
        SEND(&f, .flags = SYN | ACK, .ack = wrong[i]);
        RECV(&f, .flags = RST, .seq = wrong[i]);
        SEND(&f, .flags = ACK, .seq = 5, .ack = wrong[i]);
        RECV(&f, .flags = RST, .seq = wrong[i]);
        SEND(&f, .flags = RST | ACK, .ack = wrong[i]);
        RECV_NOTHING(&f);
    }
    STATE(&f, FWS_STATE_SYN_SENT);
    fixture_end(&f);
}

static void a_reset_with_an_acceptable_ack_refuses_the_open(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    SEND(&f, .flags = RST | ACK, .ack = 1);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ECONNREFUSED);
    assert_true((fws_ready(f.host, f.conn) & FWS_ERROR) != 0);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    fixture_end(&f);
}

static void data_in_the_syn_ack_is_delivered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .data = "abc", .bytes = 3);
    uint32_t acked = 1;
    while (fixture_wait(&f, SEC) != UINT64_MAX) {
        RECV(&f, .flags = ACK, .seq = 1, .ack = f.last.ack);
        acked = f.last.ack;
    }
    if (acked == 1) { /* not kept: then it must come again, and is taken */
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
        assert_true(fixture_wait(&f, SEC) != UINT64_MAX);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 4);
    }
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void data_queued_before_the_open_goes_out_with_or_behind_the_ack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    fixture_write(&f, 3);
    RECV_NOTHING(&f);
    SEND(&f, .flags = SYN | ACK, .ack = 1);
    assert_true(fixture_fetch(&f));
    if (f.last.bytes == 0) {
        assert_true(fixture_fetch(&f));
    }
    assert_int_equal(f.last.seq, 1);
    assert_int_equal(f.last.bytes, 3);
    fixture_end(&f);
}

static void both_ends_that_open_at_once_get_one_connection(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received_simultaneous(&f);          /* figure 7, line 5 */
    SEND(&f, .flags = SYN | ACK, .ack = 1); /* line 6 */
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

/* The SYN-ACK that the peer's SYN asks for is moot before the host's next output; the ACK is not.
 */
static void a_syn_and_a_syn_ack_of_one_batch_are_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    SEND(&f, .flags = SYN, .mss = 1460);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = 1460);
    STATE(&f, FWS_STATE_ESTABLISHED);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void a_reset_in_syn_received_refuses_an_active_open(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received_simultaneous(&f);
    SEND(&f, .flags = RST, .seq = 1);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ECONNREFUSED);
    fixture_end(&f);
}

static void a_reset_in_syn_received_returns_a_passive_open_to_listen(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    SEND(&f, .flags = RST, .seq = 1);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    SEND(&f, .flags = SYN, .seq = 50, .mss = 1460);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, SYN | ACK);
    assert_int_equal(f.last.ack, 51);
    fws_handle conn = 0;
    assert_int_equal(fws_accept(f.host, f.listener, &conn), -EAGAIN);
    fixture_end(&f);
}

static void an_unacceptable_ack_in_syn_received_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received_simultaneous(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = RST, .seq = 2);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    fixture_end(&f);
}

static void an_unacceptable_ack_for_a_half_open_connection_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = RST, .seq = 2);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    fixture_end(&f);
}

static void an_old_duplicate_syn_is_recovered_from(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f); /* figure 8 */
    SEND(&f, .flags = SYN, .seq = (uint32_t)-10);
    RECV(&f, .flags = SYN | ACK, .ack = (uint32_t)-9);
    SEND(&f, .flags = RST, .seq = (uint32_t)-9);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_NONE);
    SEND(&f, .flags = SYN);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void a_syn_sent_again_is_answered_by_the_same_syn_ack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    uint32_t iss = f.iss;
    SEND(&f, .flags = SYN, .mss = 1460, .sack_permitted = true);
    assert_true(fixture_fetch(&f));
    if ((f.last.flags & SYN) != 0) { /* the SYN-ACK again, or the ACK of 3.10.7.4 first */
        assert_int_equal(f.iss, iss);
        assert_int_equal(f.last.seq, 0);
    } else {
        assert_int_equal(f.last.seq, 1);
    }
    assert_int_equal(f.last.ack, 1);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    fixture_end(&f);
}

static void a_half_open_connection_is_discovered_by_a_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f); /* figure 9, seen from the side that still has the connection */
    SEND(&f, .flags = SYN | NO_TIMESTAMP, .seq = 5000, .mss = 1460);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = RST | NO_TIMESTAMP, .seq = 1);
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ECONNRESET);
    fixture_end(&f);
}

static void a_syn_is_sent_for_at_least_three_minutes_with_backoff(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    uint64_t total = 0;
    uint64_t expected = SEC; /* RFC 6298 (2.1) */
    uint64_t waited = 0;
    while ((waited = fixture_wait(&f, 400u * SEC)) != UINT64_MAX) {
        RECV(&f, .flags = SYN);
        assert_in_range(waited, expected, expected + TICK);
        expected = expected * 2u < 120u * SEC ? expected * 2u : 120u * SEC;
        total += waited;
    }
    assert_true(total >= 120u * SEC); /* and the last one is waited for: see the next test */
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void an_open_fails_no_sooner_than_three_minutes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    fixture_pass(&f, 180u * SEC - 1u);
    fixture_drain(&f);
    STATE(&f, FWS_STATE_SYN_SENT);
    for (int i = 0; i < 600; i++) {
        fixture_pass(&f, SEC);
        fixture_drain(&f);
    }
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    fixture_end(&f);
}

static void a_syn_ack_is_sent_again_with_backoff_and_given_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_ack_retries = 3;
    syn_received(&f);
    uint64_t expected = SEC;
    for (int i = 0; i < 3; i++) {
        uint64_t waited = fixture_wait(&f, 100u * SEC);
        RECV(&f, .flags = SYN | ACK, .ack = 1);
        assert_in_range(waited, expected, expected * 3u / 2u);
        expected *= 2u;
    }
    assert_true(fixture_wait(&f, 100u * SEC) == UINT64_MAX);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void initial_sequence_numbers_follow_a_clock_of_4_microseconds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    uint32_t iss[2];
    for (size_t i = 0; i < 2; i++) { /* MUST-8, of one 4-tuple at two times */
        fixture_init(&f);
        fixture_start(&f);
        fixture_pass(&f, i * 400u * MS);
        syn_sent(&f);
        iss[i] = f.iss;
        fixture_end(&f);
    }
    assert_int_equal(iss[1] - iss[0], 100000); /* 400 ms / 4 us */
}

static void initial_sequence_numbers_differ_by_tuple_and_by_seed(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t iss[4];
    for (size_t i = 0; i < 4; i++) { /* MUST-9, SHLD-1 */
        fixture_init(&f);
        f.config.seed[5] = i == 3 ? 77 : 5;
        f.host_port = (uint16_t)(HOST_PORT + (i == 1 ? 1u : 0u));
        f.peer_port = (uint16_t)(PEER_PORT + (i == 2 ? 1u : 0u));
        syn_sent(&f);
        iss[i] = f.iss;
        fixture_end(&f);
    }
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++) {
            uint32_t apart = iss[i] - iss[j];
            assert_true(apart > 65536u && apart < (uint32_t)-65536); /* not a count of opens */
        }
    }
}

static void a_passive_open_leaves_existing_connections_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_sent(&f);
    struct fws_endpoint local = fixture_endpoint(0, HOST_PORT); /* MUST-41, MUST-42 */
    fws_handle listener = 0;
    assert_int_equal(fws_listen(f.host, &local, 4, NULL, &listener), 0);
    STATE(&f, FWS_STATE_SYN_SENT);
    SEND(&f, .flags = SYN | ACK, .ack = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    f.peer_port++;
    f.iss = 0;
    SEND(&f, .flags = SYN, .mss = 1460);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, SYN | ACK);
    fws_handle second = 0;
    assert_int_equal(fws_listen(f.host, &local, 4, NULL, &second), -EADDRINUSE);
    fixture_end(&f);
}

static void the_local_address_is_the_callers_or_the_hosts_and_stays(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-43, MUST-45 */
    f.host_address = HOST_ADDRESS_2;
    established(&f);
    assert_int_equal(f.last.source, HOST_ADDRESS_2);
    fixture_end(&f);
    fixture_init(&f);
    fixture_start(&f);
    struct fws_endpoint any = fixture_endpoint(0, 0); /* MUST-44 */
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
    RECV(&f, .flags = SYN);
    assert_int_equal(f.last.source, HOST_ADDRESS);
    fixture_end(&f);
}

static void a_listener_of_one_address_takes_no_others_and_answers_from_the_one_called(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-43, MUST-45 */
    fixture_start(&f);
    f.host_port = LISTEN_PORT;
    struct fws_endpoint local = fixture_endpoint(HOST_ADDRESS_2, LISTEN_PORT);
    assert_int_equal(fws_listen(f.host, &local, 4, NULL, &f.listener), 0);
    SEND(&f, .flags = SYN);
    RECV(&f, .flags = RST | ACK, .seq = -f.iss, .ack = 1);
    f.host_address = HOST_ADDRESS_2;
    SEND(&f, .flags = SYN);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    assert_int_equal(f.last.source, HOST_ADDRESS_2);
    fixture_end(&f);
}

static void an_open_to_a_broadcast_or_multicast_address_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    const uint32_t wrong[] = {0xe0000001, 0xefffffff, 0xffffffff}; /* MUST-46 */
    struct fws_endpoint local = fixture_endpoint(0, 0);
    for (size_t i = 0; i < TABLE_COUNT(wrong); i++) {
        struct fws_endpoint remote = fixture_endpoint(wrong[i], PEER_PORT);
        assert_int_equal(fws_connect(f.host, &local, &remote, NULL, &f.conn), -EINVAL);
    }
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void an_open_of_a_living_tuple_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f); /* 3.10.1: connection already exists */
    fws_handle first = f.conn;
    assert_int_equal(fixture_connect(&f), -EADDRINUSE);
    f.conn = first;
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void random_ports_lie_in_their_range_do_not_repeat_and_are_hard_to_guess(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6056 */
    f.config.port_first = 50000;
    f.config.port_last = 50063;
    fixture_start(&f);
    struct fws_endpoint any = fixture_endpoint(0, 0);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    bool used[64] = {false};
    size_t successors = 0;
    uint16_t last = 0;
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
        RECV(&f, .flags = SYN);
        uint16_t port = f.last.source_port;
        assert_in_range(port, 50000, 50063);
        assert_false(used[port - 50000]);
        used[port - 50000] = true;
        successors += port == last + 1u ? 1u : 0u;
        last = port;
    }
    assert_true(successors < 32);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), -EADDRNOTAVAIL);
    remote.port++; /* another 4-tuple, so every port is free again */
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
    fixture_end(&f);
}

static void a_random_port_avoids_time_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.port_first = HOST_PORT;
    f.config.port_last = HOST_PORT + 1u;
    time_wait(&f);
    struct fws_endpoint any = fixture_endpoint(0, 0);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
    RECV(&f, .flags = SYN);
    assert_int_equal(f.last.source_port, HOST_PORT + 1u);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_connection_a_segment_without_ack_is_reset_by_its_length),
        cmocka_unit_test(without_a_connection_an_ack_is_reset_at_its_number_and_a_reset_never),
        cmocka_unit_test(an_active_open_sends_a_syn_and_answers_the_syn_ack),
        cmocka_unit_test(options_of_the_syn_stand_in_linuxs_order),
        cmocka_unit_test(a_reset_in_syn_sent_carries_no_timestamp),
        cmocka_unit_test(an_ack_in_syn_sent_outside_iss_to_snd_nxt_is_reset),
        cmocka_unit_test(a_reset_with_an_acceptable_ack_refuses_the_open),
        cmocka_unit_test(data_in_the_syn_ack_is_delivered),
        cmocka_unit_test(data_queued_before_the_open_goes_out_with_or_behind_the_ack),
        cmocka_unit_test(both_ends_that_open_at_once_get_one_connection),
        cmocka_unit_test(a_syn_and_a_syn_ack_of_one_batch_are_acknowledged),
        cmocka_unit_test(a_reset_in_syn_received_refuses_an_active_open),
        cmocka_unit_test(a_reset_in_syn_received_returns_a_passive_open_to_listen),
        cmocka_unit_test(an_unacceptable_ack_in_syn_received_is_reset),
        cmocka_unit_test(an_unacceptable_ack_for_a_half_open_connection_is_reset),
        cmocka_unit_test(an_old_duplicate_syn_is_recovered_from),
        cmocka_unit_test(a_syn_sent_again_is_answered_by_the_same_syn_ack),
        cmocka_unit_test(a_half_open_connection_is_discovered_by_a_reset),
        cmocka_unit_test(a_syn_is_sent_for_at_least_three_minutes_with_backoff),
        cmocka_unit_test(an_open_fails_no_sooner_than_three_minutes),
        cmocka_unit_test(a_syn_ack_is_sent_again_with_backoff_and_given_up),
        cmocka_unit_test(initial_sequence_numbers_follow_a_clock_of_4_microseconds),
        cmocka_unit_test(initial_sequence_numbers_differ_by_tuple_and_by_seed),
        cmocka_unit_test(a_passive_open_leaves_existing_connections_alone),
        cmocka_unit_test(the_local_address_is_the_callers_or_the_hosts_and_stays),
        cmocka_unit_test(a_listener_of_one_address_takes_no_others_and_answers_from_the_one_called),
        cmocka_unit_test(an_open_to_a_broadcast_or_multicast_address_is_refused),
        cmocka_unit_test(an_open_of_a_living_tuple_is_refused),
        cmocka_unit_test(random_ports_lie_in_their_range_do_not_repeat_and_are_hard_to_guess),
        cmocka_unit_test(a_random_port_avoids_time_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
