/* Settings: every option and limit that a caller may give, what is refused, and what a handle tells
 * of itself.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define OTHER_PORT 81u

static int listen_at(struct fixture *f, uint32_t address, uint16_t port, fws_handle *listener)
{
    struct fws_endpoint local = fixture_endpoint(address, port);
    return fws_listen(f->host, &local, 4, &f->options, listener);
}

static int connect_to(struct fixture *f, uint32_t local_address, uint32_t address, uint16_t port)
{
    struct fws_endpoint local = fixture_endpoint(local_address, HOST_PORT);
    struct fws_endpoint remote = fixture_endpoint(address, port);
    return fws_connect(f->host, &local, &remote, &f->options, &f->conn);
}

static void options_out_of_range_are_refused_by_every_call(void **state)
{
    (void)state;
    static const struct fws_options rows[] = {
        {.dscp = 64},
        {.send_buffer_bytes = (UINT32_C(1) << 29) + 1},
        {.receive_buffer_bytes = (UINT32_C(1) << 29) + 1},
        {.mss = 1},
        {.keep_alive_probes = 256},
        {.congestion = (enum fws_congestion)3},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        established(&f);
        f.options = rows[i];
        f.options.size = sizeof f.options;
        fws_handle handle = 0;
        assert_int_equal(fws_set_options(f.host, f.conn, &f.options), -EINVAL);
        assert_int_equal(listen_at(&f, 0, LISTEN_PORT, &handle), -EINVAL);
        assert_int_equal(connect_to(&f, 0, PEER_ADDRESS, PEER_PORT + 1), -EINVAL);
        assert_int_equal(handle, 0);
        fixture_end(&f);
    }
}

static void one_option_alone_is_kept_and_told(void **state)
{
    (void)state;
    static const struct fws_options rows[] = {
        {.congestion = FWS_CONGESTION_NEWRENO}, {.send_buffer_bytes = 5000},
        {.receive_buffer_bytes = 6000},         {.fin_wait_2_ns = 7 * SEC},
        {.user_timeout_ns = 8 * SEC},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        f.options = rows[i];
        f.options.size = sizeof f.options;
        established(&f);
        struct fws_options told = {.size = sizeof told};
        assert_int_equal(fws_get_options(f.host, f.conn, &told), 0);
        assert_int_equal(told.congestion, rows[i].congestion);
        assert_int_equal(told.send_buffer_bytes,
                         rows[i].send_buffer_bytes ? rows[i].send_buffer_bytes : 262144);
        assert_int_equal(told.receive_buffer_bytes,
                         rows[i].receive_buffer_bytes ? rows[i].receive_buffer_bytes : 262144);
        assert_int_equal(told.fin_wait_2_ns,
                         rows[i].fin_wait_2_ns ? rows[i].fin_wait_2_ns : 60 * SEC);
        assert_int_equal(told.user_timeout_ns, rows[i].user_timeout_ns);
        fixture_end(&f);
    }
}

static void a_time_too_long_for_the_clock_counts_as_the_longest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.user_timeout_ns = UINT64_MAX / 2;
    f.options.keep_alive = 1;
    f.options.keep_alive_idle_ns = UINT64_MAX / 2;
    f.options.keep_alive_interval_ns = UINT64_MAX / 2;
    f.options.fin_wait_2_ns = UINT64_MAX / 2;
    established(&f);
    struct fws_options told = {.size = sizeof told};
    assert_int_equal(fws_get_options(f.host, f.conn, &told), 0);
    assert_int_equal(told.user_timeout_ns, (uint64_t)INT32_MAX * MS);
    assert_true(told.keep_alive_idle_ns < (uint64_t)INT32_MAX * MS);
    assert_true(told.fin_wait_2_ns < (uint64_t)INT32_MAX * MS);
    assert_true(fixture_wait(&f, 24u * 86400u * SEC) == UINT64_MAX);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_true(fixture_wait(&f, 86400u * SEC) != UINT64_MAX); /* a probe */
    RECV(&f, .flags = ACK, .seq = 0, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2);
    fixture_pass(&f, 24u * 86400u * SEC);
    STATE(&f, FWS_STATE_FIN_WAIT_2);
    fixture_pass(&f, 86400u * SEC);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void an_mss_can_only_fall_after_the_handshake(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    uint32_t mss = fixture_info(&f).mss;
    f.options.mss = (uint16_t)(mss + 100);
    assert_int_equal(fws_set_options(f.host, f.conn, &f.options), 0);
    assert_int_equal(fixture_info(&f).mss, mss);
    f.options.mss = 1000;
    assert_int_equal(fws_set_options(f.host, f.conn, &f.options), 0);
    assert_int_equal(fixture_info(&f).mss, 1000);
    f.options.mss = 0;
    assert_int_equal(fws_set_options(f.host, f.conn, &f.options), 0);
    assert_int_equal(fixture_info(&f).mss, 1000);
    fixture_end(&f);
}

static void options_that_find_no_memory_change_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    uint32_t mss = fixture_info(&f).mss;
    f.options.mss = 1000;
    f.failing_call = f.calls + 1;
    assert_int_equal(fws_set_options(f.host, f.conn, &f.options), -ENOMEM);
    assert_int_equal(fixture_info(&f).mss, mss);
    assert_int_equal(fws_set_options(f.host, f.conn, &f.options), 0);
    assert_int_equal(fixture_info(&f).mss, 1000);
    fixture_end(&f);
}

static void an_mss_offered_is_the_option_but_not_above_the_links(void **state)
{
    (void)state;
    static const uint16_t rows[][2] = {{1000, 1000}, {5000, 1460}, {0, 1460}};
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        f.options.mss = rows[i][0];
        syn_received(&f);
        assert_int_equal(f.last.mss, rows[i][1]);
        fixture_end(&f);
        fixture_init(&f);
        f.options.mss = rows[i][0];
        syn_sent(&f);
        assert_int_equal(f.last.mss, rows[i][1]);
        fixture_end(&f);
    }
}

static void a_listeners_receive_buffer_is_its_connections_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.receive_buffer_bytes = 3000;
    established_passive(&f);
    assert_int_equal(fixture_info(&f).rcv_wnd, 3000);
    fixture_end(&f);
}

static void a_feature_that_is_off_is_not_taken_from_a_peer_that_offers_it(void **state)
{
    (void)state;
    static const uint32_t rows[] = {FWS_TIMESTAMPS, FWS_SACK, FWS_WINDOW_SCALING};
    for (size_t i = 0; i < TABLE_COUNT(rows) * 3; i++) {
        uint32_t off = rows[i / 3];
        struct fixture f;
        fixture_init(&f);
        f.config.features_off = off;
        if (i % 3 == 2) {
            f.config.syn_cookies = FWS_COOKIES_ALWAYS;
            listening(&f);
            SEND(&f, .flags = SYN, .mss = 1460, .sack_permitted = true, .has_timestamp = true,
                 .ts_val = f.clock, .has_window_scale = true, .window_scale = 3);
            RECV(&f, .flags = SYN | ACK, .ack = 1);
            SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .has_timestamp = true, .ts_val = f.clock,
                 .ts_ecr = f.ts_recent);
            assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
        } else if (i % 3 == 1) {
            established_passive(&f);
        } else {
            established(&f);
        }
        struct fws_info info = fixture_info(&f);
        assert_int_equal((off & FWS_TIMESTAMPS) != 0 && info.timestamps, 0);
        assert_int_equal((off & FWS_SACK) != 0 && info.sack, 0);
        assert_int_equal((off & FWS_WINDOW_SCALING) != 0 && info.window_scaling, 0);
        fixture_end(&f);
    }
}

static void newreno_for_a_host_is_newreno_for_its_connections(void **state)
{
    (void)state;
    uint32_t ssthresh[2];
    for (size_t i = 0; i < 2; i++) { /* RFC 5681: half the flight; RFC 9438: seven tenths */
        struct fixture f;
        fixture_init(&f);
        f.config.congestion = i == 0 ? FWS_CONGESTION_NEWRENO : FWS_CONGESTION_CUBIC;
        established(&f);
        fixture_write(&f, 100000);
        fixture_drain(&f);
        for (uint32_t k = 0; k < 3; k++) {
            SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
        }
        ssthresh[i] = fixture_info(&f).ssthresh;
        fixture_end(&f);
    }
    assert_in_range(ssthresh[0], 7000, 7600);
    assert_in_range(ssthresh[1], 9800, 10300);
}

static void without_path_mtu_discovery_packets_have_an_id_each_and_may_be_fragmented(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6864 */
    f.config.features_off = FWS_PATH_MTU;
    fixture_start(&f);
    uint16_t ids[2];
    for (size_t i = 0; i < 2; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
        RECV(&f, .flags = RST, .seq = 1);
        assert_false(f.last.do_not_fragment);
        ids[i] = (uint16_t)(f.bytes[4] << 8 | f.bytes[5]);
    }
    assert_int_equal(ids[1], (uint16_t)(ids[0] + 1));
    fixture_end(&f);
}

static void without_delayed_acks_every_segment_is_acknowledged_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.features_off = FWS_DELAYED_ACK;
    established(&f);
    for (uint32_t i = 0; i < 3; i++) {
        SEND(&f, .flags = ACK, .seq = 1 + i, .ack = 1, .data = "x", .bytes = 1);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 2 + i);
    }
    fixture_end(&f);
}

static void a_listener_needs_a_port_a_backlog_and_an_address_of_the_hosts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    fws_handle handle = 0;
    struct fws_endpoint any = fixture_endpoint(0, LISTEN_PORT);
    assert_int_equal(listen_at(&f, 0, 0, &handle), -EINVAL);
    assert_int_equal(fws_listen(f.host, &any, 0, NULL, &handle), -EINVAL);
    assert_int_equal(listen_at(&f, 0x09ffffff, LISTEN_PORT, &handle), -EADDRNOTAVAIL);
    assert_int_equal(listen_at(&f, 0x0a000004, LISTEN_PORT, &handle), -EADDRNOTAVAIL);
    assert_int_equal(listen_at(&f, HOST_ADDRESS, LISTEN_PORT, &handle), 0);
    assert_int_equal(listen_at(&f, HOST_ADDRESS_2, LISTEN_PORT, &handle), 0);
    assert_int_equal(listen_at(&f, 0, LISTEN_PORT, &handle), 0);
    assert_int_equal(listen_at(&f, HOST_ADDRESS_2, LISTEN_PORT, &handle), -EADDRINUSE);
    fixture_end(&f);
}

static void a_closed_listeners_handle_is_stale_though_its_place_is_taken_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.listeners_max = 1;
    listening(&f);
    fws_handle old = f.listener;
    assert_int_equal(fws_close(f.host, old), 0);
    assert_int_equal(fws_close(f.host, old), -EBADF);
    fws_handle other = 0;
    assert_int_equal(listen_at(&f, 0, OTHER_PORT, &other), 0);
    assert_true(other != old);
    assert_int_equal(fws_accept(f.host, old, &f.conn), -EBADF);
    assert_int_equal(fws_accept(f.host, other, &f.conn), -EAGAIN);
    assert_int_equal(listen_at(&f, 0, LISTEN_PORT, &old), -ENOBUFS);
    fixture_end(&f);
}

static void an_open_needs_a_host_and_a_port_and_an_address_of_the_hosts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    assert_int_equal(connect_to(&f, 0, 0, PEER_PORT), -EINVAL);
    assert_int_equal(connect_to(&f, 0, PEER_ADDRESS, 0), -EINVAL);
    assert_int_equal(connect_to(&f, 0x09ffffff, PEER_ADDRESS, PEER_PORT), -EADDRNOTAVAIL);
    assert_int_equal(connect_to(&f, 0x0a000004, PEER_ADDRESS, PEER_PORT), -EADDRNOTAVAIL);
    assert_int_equal(connect_to(&f, HOST_ADDRESS_2, PEER_ADDRESS, PEER_PORT), 0);
    fixture_end(&f);
}

static void a_random_port_is_not_one_that_listens(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.port_first = f.config.port_last = LISTEN_PORT;
    listening(&f);
    struct fws_endpoint local = fixture_endpoint(0, 0);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    assert_int_equal(fws_connect(f.host, &local, &remote, NULL, &f.conn), -EADDRNOTAVAIL);
    assert_int_equal(fixture_counter(&f, "ports_exhausted"), 1);
    assert_int_equal(fws_close(f.host, f.listener), 0);
    assert_int_equal(fws_connect(f.host, &local, &remote, NULL, &f.conn), 0);
    fixture_end(&f);
}

static void a_listener_tells_its_address_and_how_many_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    f.conn = f.listener;
    struct fws_info info = fixture_info(&f);
    assert_int_equal(info.state, FWS_STATE_LISTEN);
    assert_int_equal(info.local.port, LISTEN_PORT);
    assert_int_equal(info.receive_queued, 1);
    fixture_end(&f);
}

static void a_handle_in_time_wait_tells_when_it_ends_and_that_it_has(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    assert_int_equal(fixture_info(&f).state, FWS_STATE_TIME_WAIT);
    assert_in_range(fixture_info(&f).expires_ns, f.now + 60u * SEC, f.now + 60u * SEC + 2u * MS);
    fws_handle former = f.conn;
    fixture_pass(&f, 2u * SEC);
    assert_int_equal(fixture_connect(&f), 0); /* RFC 6191: the tuple is another connection's now */
    fws_handle fresh = f.conn;
    f.conn = former;
    assert_int_equal(fixture_info(&f).state, FWS_STATE_CLOSED);
    assert_int_equal(fixture_info(&f).expires_ns, 0);
    assert_int_equal(fws_abort(f.host, former), 0);
    STATE(&f, FWS_STATE_SYN_SENT);
    assert_int_equal(fws_abort(f.host, fresh), 0);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_handle_whose_time_wait_is_over_can_be_aborted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    fixture_pass(&f, 61u * SEC);
    assert_int_equal(fixture_info(&f).state, FWS_STATE_CLOSED);
    assert_int_equal(fws_abort(f.host, f.conn), 0);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void time_never_goes_back_and_output_is_due_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    assert_int_equal(fixture_connect(&f), 0);
    assert_int_equal(fws_next_deadline(f.host), f.now);
    fws_advance(f.host, f.now - SEC);
    assert_int_equal(fws_next_deadline(f.host), f.now);
    RECV(&f, .flags = SYN);
    RECV_NOTHING(&f);
    assert_in_range(fws_next_deadline(f.host), f.now + 1, f.now + SEC + 10u * MS);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_out_of_range_are_refused_by_every_call),
        cmocka_unit_test(one_option_alone_is_kept_and_told),
        cmocka_unit_test(a_time_too_long_for_the_clock_counts_as_the_longest),
        cmocka_unit_test(an_mss_can_only_fall_after_the_handshake),
        cmocka_unit_test(options_that_find_no_memory_change_nothing),
        cmocka_unit_test(an_mss_offered_is_the_option_but_not_above_the_links),
        cmocka_unit_test(a_listeners_receive_buffer_is_its_connections_window),
        cmocka_unit_test(a_feature_that_is_off_is_not_taken_from_a_peer_that_offers_it),
        cmocka_unit_test(newreno_for_a_host_is_newreno_for_its_connections),
        cmocka_unit_test(without_path_mtu_discovery_packets_have_an_id_each_and_may_be_fragmented),
        cmocka_unit_test(without_delayed_acks_every_segment_is_acknowledged_at_once),
        cmocka_unit_test(a_listener_needs_a_port_a_backlog_and_an_address_of_the_hosts),
        cmocka_unit_test(a_closed_listeners_handle_is_stale_though_its_place_is_taken_again),
        cmocka_unit_test(an_open_needs_a_host_and_a_port_and_an_address_of_the_hosts),
        cmocka_unit_test(a_random_port_is_not_one_that_listens),
        cmocka_unit_test(a_listener_tells_its_address_and_how_many_wait),
        cmocka_unit_test(a_handle_in_time_wait_tells_when_it_ends_and_that_it_has),
        cmocka_unit_test(a_handle_whose_time_wait_is_over_can_be_aborted),
        cmocka_unit_test(time_never_goes_back_and_output_is_due_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
