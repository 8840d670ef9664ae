/* Rules of several RFCs that tests/mutate found without a test: each of these fails with one of the
 * faults of tests/mutations.txt, which its comment names.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

static void a_fin_behind_bytes_that_came_before_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.7.4 first: SEG.LEN counts the FIN; fin-not-in-length */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    STATE(&f, FWS_STATE_CLOSE_WAIT);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 5);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void a_closed_listener_forgets_its_half_open_connections(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* the ABI: it stops listening; half-open-outlives-listener */
    syn_received(&f);
    assert_int_equal(fws_close(f.host, f.listener), 0);
    STATE(&f, FWS_STATE_NONE);
    fixture_pass(&f, 10u * SEC);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = RST, .seq = 1);
    fixture_end(&f);
}

static void a_random_port_is_none_in_time_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6056 section 3.1; port-reused-in-time-wait */
    f.config.port_first = f.config.port_last = HOST_PORT;
    time_wait(&f);
    fixture_pass(&f, 10u * SEC); /* RFC 6191 would let a chosen port go by now */
    struct fws_endpoint local = fixture_endpoint(0, 0);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    fws_handle conn;
    assert_int_equal(fws_connect(f.host, &local, &remote, NULL, &conn), -EADDRNOTAVAIL);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void a_duplicate_told_by_sack_lets_nothing_new_go(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 2883 section 5: a DSACK is below the ACK; dsack-as-sack */
    f.window = 60000;
    established(&f);
    fixture_write(&f, 2896);
    assert_int_equal(fixture_drain(&f), 2);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2897);
    fixture_write(&f, 40u * 1448u);
    assert_true(fixture_drain(&f) >= 10); /* as many as the congestion window lets go */
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2897, .window = 59000, .sack_count = 1,
         .sack = {{.left = 1, .right = 2897}});
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void an_ack_of_new_data_ends_the_backoff(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6298 section 5: the RTO comes from the new sample; backoff-not-reset */
    established(&f);
    fixture_write(&f, 100);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 100);
    for (int i = 0; i < 4; i++) {
        assert_true(fixture_wait(&f, 20u * SEC) != UINT64_MAX);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 100);
    }
    SEND(&f, .flags = ACK, .seq = 1, .ack = 101);
    fixture_write(&f, 100);
    RECV(&f, .flags = ACK, .seq = 101, .ack = 1, .bytes = 100);
    assert_true(fixture_wait(&f, 20u * SEC) <= SEC);
    RECV(&f, .flags = ACK, .seq = 101, .ack = 1, .bytes = 100);
    fixture_end(&f);
}

static void a_closed_handle_does_not_wait_for_ever_in_fin_wait_2(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* the ABI's fin_wait_2_ns; fin-wait-2-orphan-for-ever */
    established(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    fixture_pass(&f, 59u * SEC);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    fixture_pass(&f, 2u * SEC);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void an_open_waits_until_its_timestamps_moved_on(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6191 seen from the other side; reopen-at-once */
    time_wait(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    assert_int_equal(fixture_connect(&f), -EADDRINUSE);
    fixture_pass(&f, 900u * MS);
    assert_int_equal(fixture_connect(&f), -EADDRINUSE);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_pass(&f, 200u * MS);
    assert_int_equal(fixture_connect(&f), 0);
    STATE(&f, FWS_STATE_SYN_SENT);
    fixture_end(&f);
}

static void a_path_mtu_below_576_counts_as_576(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 9293 section 3.7.1's 536: no crumbs by ICMP; icmp-mtu-of-nothing */
    established_without_timestamps(&f);
    fixture_write(&f, 3000);
    assert_true(fixture_fetch(&f));
    uint8_t bytes[128];
    struct packet_icmp icmp = {.source = PEER_ADDRESS,
                               .target = HOST_ADDRESS,
                               .type = 3, /* unreachable: fragmentation needed */
                               .code = 4,
                               .rest = 68,
                               .body = f.bytes,
                               .body_bytes = 28};
    fixture_send_raw(&f, bytes, packet_build_icmp(&icmp, bytes));
    assert_int_equal(fixture_info(&f).mss, 536);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fin_behind_bytes_that_came_before_is_taken),
        cmocka_unit_test(a_closed_listener_forgets_its_half_open_connections),
        cmocka_unit_test(a_random_port_is_none_in_time_wait),
        cmocka_unit_test(a_duplicate_told_by_sack_lets_nothing_new_go),
        cmocka_unit_test(an_ack_of_new_data_ends_the_backoff),
        cmocka_unit_test(a_closed_handle_does_not_wait_for_ever_in_fin_wait_2),
        cmocka_unit_test(an_open_waits_until_its_timestamps_moved_on),
        cmocka_unit_test(a_path_mtu_below_576_counts_as_576),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
