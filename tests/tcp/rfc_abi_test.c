/* The embedding ABI as its header promises it: sizes, handles, errors, readiness, the populations,
 * memory that runs out at any allocation.
 *
 * Layer: tests. */
#include <errno.h>
#include <stdlib.h>

#include "tcp/host_fixture.h"

static void a_config_of_an_older_program_is_taken(void **state)
{
    (void)state;
    struct fws_host *host = NULL;
    struct fixture f;
    fixture_init(&f);
    f.config.size = offsetof(struct fws_config, ttl); /* knows address and prefix only */
    f.config.ttl = 3;
    assert_int_equal(fws_host_create(&host, &f.config), 0);
    struct fws_endpoint local = fixture_endpoint(0, 0);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    fws_handle conn = 0;
    assert_int_equal(fws_connect(host, &local, &remote, NULL, &conn), 0);
    f.host = host;
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.ttl, 64); /* what lies behind `size` was not read */
    assert_int_equal(f.calls, 0);     /* nor the allocator */
    fws_host_destroy(host);
}

static void a_config_of_a_newer_program_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    uint8_t *larger = calloc(1, sizeof f.config + 64u);
    assert_non_null(larger);
    f.config.size += 64u;
    memcpy(larger, &f.config, sizeof f.config);
    assert_int_equal(fws_host_create(&f.host, (const struct fws_config *)(void *)larger), 0);
    free(larger);
    fixture_end(&f);
}

static void an_info_is_filled_up_to_its_size(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    struct {
        struct fws_info info;
        uint8_t more[64];
    } both;
    memset(&both, 0x77, sizeof both);
    both.info.size = offsetof(struct fws_info, snd_una);
    assert_int_equal(fws_info(f.host, f.conn, &both.info), 0);
    assert_int_equal(both.info.state, FWS_STATE_ESTABLISHED);
    assert_int_equal(both.info.snd_una, 0x77777777);
    assert_int_equal(both.info.size, offsetof(struct fws_info, snd_una));
    both.info.size = sizeof both;
    assert_int_equal(fws_info(f.host, f.conn, &both.info), 0);
    assert_int_equal(both.info.snd_una, f.iss + 1u);
    struct fws_census census;
    memset(&census, 0x77, sizeof census);
    census.size = offsetof(struct fws_census, transitions);
    fws_census(f.host, &census);
    assert_int_equal(census.states[FWS_STATE_ESTABLISHED], 1);
    assert_int_equal(census.live_records, 0x7777777777777777);
    fixture_end(&f);
}

static void options_of_an_older_program_are_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.size = offsetof(struct fws_options, keep_alive);
    f.options.nodelay = 1;
    f.options.keep_alive = 1; /* behind the size */
    f.options.keep_alive_idle_ns = SEC;
    established(&f);
    assert_true(fixture_wait(&f, 100u * SEC) == UINT64_MAX);
    fixture_end(&f);
}

static void a_bad_config_is_refused(void **state)
{
    (void)state;
    struct fws_host *host = NULL;
    struct fixture f;
    fixture_init(&f);
    f.config.mtu_bytes = 500;
    assert_int_equal(fws_host_create(&host, &f.config), -EINVAL);
    fixture_init(&f);
    f.config.port_first = 50;
    f.config.port_last = 40;
    assert_int_equal(fws_host_create(&host, &f.config), -EINVAL);
    fixture_init(&f);
    f.config.prefix_bits = 33;
    assert_int_equal(fws_host_create(&host, &f.config), -EINVAL);
    fixture_init(&f);
    f.config.delayed_ack_ns = 500u * MS; /* MUST-40 */
    assert_int_equal(fws_host_create(&host, &f.config), -EINVAL);
    fixture_init(&f);
    f.config.address.version = 6;
    assert_int_equal(fws_host_create(&host, &f.config), -EAFNOSUPPORT);
    fixture_init(&f);
    f.config.address.version = 0;
    assert_int_equal(fws_host_create(&host, &f.config), -EINVAL);
    assert_null(host);
}

static void calls_of_ipv6_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    struct fws_endpoint six = {.addr = {.version = 6, .bytes = {0x20, 1}}, .port = 80};
    struct fws_endpoint any = fixture_endpoint(0, 0);
    assert_int_equal(fws_connect(f.host, &any, &six, NULL, &f.conn), -EAFNOSUPPORT);
    assert_true(fws_listen(f.host, &six, 4, NULL, &f.listener) < 0);
    fixture_end(&f);
}

static void a_handle_is_stale_after_close_and_abort(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct fixture f;
        fixture_init(&f);
        established(&f);
        fws_handle old = f.conn;
        assert_int_equal(how == 0 ? fws_close(f.host, old) : fws_abort(f.host, old), 0);
        fixture_drain(&f);
        char byte = 0;
        struct fws_info info = {.size = sizeof info};
        struct fws_options options = {.size = sizeof options};
        assert_int_equal(fws_close(f.host, old), -EBADF);
        assert_int_equal(fws_abort(f.host, old), -EBADF);
        assert_int_equal(fws_shutdown(f.host, old), -EBADF);
        assert_int_equal(fws_send(f.host, old, "a", 1, 0), -EBADF);
        assert_int_equal(fws_recv(f.host, old, &byte, 1), -EBADF);
        assert_int_equal(fws_info(f.host, old, &info), -EBADF);
        assert_int_equal(fws_ready(f.host, old), -EBADF);
        assert_int_equal(fws_set_user(f.host, old, 1), -EBADF);
        assert_int_equal(fws_get_options(f.host, old, &options), -EBADF);
        assert_int_equal(fws_set_options(f.host, old, &options), -EBADF);
        f.peer_port++;
        f.timestamps = false;
        assert_int_equal(fixture_connect(&f), 0); /* may take the same record */
        assert_int_not_equal(f.conn, old);
        assert_int_equal(fws_close(f.host, old), -EBADF);
        fixture_end(&f);
    }
}

static void invented_handles_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    const fws_handle wrong[] = {
        0, 1, UINT64_MAX, f.conn ^ 1u, f.conn + (UINT64_C(1) << 32), f.conn ^ (UINT64_C(1) << 63)};
    for (size_t i = 0; i < TABLE_COUNT(wrong); i++) {
        struct fws_info info = {.size = sizeof info};
        assert_int_equal(fws_info(f.host, wrong[i], &info), -EBADF);
        assert_int_equal(fws_close(f.host, wrong[i]), -EBADF);
        fws_handle conn = 0;
        assert_int_equal(fws_accept(f.host, wrong[i], &conn), -EBADF);
    }
    fws_handle conn = 0;
    assert_int_equal(fws_accept(f.host, f.conn, &conn), -EBADF); /* not a listener */
    fixture_end(&f);
}

static void a_handle_outlives_the_wire(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fin_wait_2(&f);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2, .data = "abc", .bytes = 3);
    fixture_drain(&f);
    fixture_pass(&f, 100u * SEC);
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).state, FWS_STATE_CLOSED);
    assert_int_equal(fixture_read_all(&f), 3);
    char byte = 0;
    assert_int_equal(fws_recv(f.host, f.conn, &byte, 1), 0);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    fixture_end(&f);
}

static void the_wire_outlives_a_handle(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 11, .ack = 1);
    assert_true(fixture_wait(&f, SEC) != UINT64_MAX); /* still sent again */
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.seq, 1);
    fixture_drain(&f);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 12);
    RECV(&f, .flags = ACK, .seq = 12, .ack = 2);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void a_tuple_is_found_in_all_populations(void **state)
{
    (void)state;
    struct {
        void (*reach)(struct fixture *f);
        enum fws_state state;
        uint32_t snd_nxt;
        uint32_t rcv_nxt;
    } const rows[] = {
        {syn_received, FWS_STATE_SYN_RECEIVED, 1, 1},
        {established, FWS_STATE_ESTABLISHED, 1, 1},
        {time_wait, FWS_STATE_TIME_WAIT, 2, 2},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        rows[i].reach(&f);
        struct fws_info info = {.size = sizeof info};
        struct fws_endpoint local = fixture_endpoint(HOST_ADDRESS, f.host_port);
        struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
        assert_int_equal(fws_info_by_tuple(f.host, &local, &remote, &info), 0);
        assert_int_equal(info.state, rows[i].state);
        assert_int_equal(info.snd_nxt, f.iss + rows[i].snd_nxt);
        assert_int_equal(info.rcv_nxt, PEER_ISS + rows[i].rcv_nxt);
        assert_int_equal(info.local.port, f.host_port);
        assert_memory_equal(info.remote.addr.bytes, "\x0a\x01\x00\x01", 4);
        if (info.state == FWS_STATE_TIME_WAIT) {
            assert_in_range(info.expires_ns, f.now + 60u * SEC, f.now + 61u * SEC);
        }
        remote.port++;
        assert_int_equal(fws_info_by_tuple(f.host, &local, &remote, &info), -ENOENT);
        fixture_end(&f);
    }
}

static void the_census_adds_up(void **state)
{
    (void)state;
    void (*const reach[])(struct fixture *) = {
        syn_received, syn_sent,  established, fin_wait_1, fin_wait_2,
        closing,      time_wait, close_wait,  last_ack,   syn_received_simultaneous,
    };
    for (size_t i = 0; i < TABLE_COUNT(reach); i++) {
        struct fixture f;
        fixture_init(&f);
        reach[i](&f);
        struct fws_census c = {.size = sizeof c};
        fws_census(f.host, &c);
        uint64_t total = 0;
        for (size_t s = 0; s < FWS_STATE_COUNT; s++) {
            total += s == FWS_STATE_LISTEN || s == FWS_STATE_CLOSED ? 0u : c.states[s];
        }
        assert_int_equal(total, 1);
        assert_int_equal(c.states[fixture_state(&f)], 1);
        assert_int_equal(c.index_entries, 1);
        assert_int_equal(c.memory_bytes, f.held_bytes);
        fixture_end(&f);
    }
}

static void a_full_send_buffer_pushes_back_and_becomes_writable_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.send_buffer_bytes = 10000;
    established_without_timestamps(&f);
    uint8_t bytes[12000] = {0};
    assert_int_equal(fws_send(f.host, f.conn, bytes, sizeof bytes, 0), 10000);
    assert_int_equal(fws_send(f.host, f.conn, bytes, 1, 0), -EAGAIN);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_WRITABLE, 0);
    struct fws_event events[4];
    fws_poll(f.host, events, 4);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 6u * 1460u);
    assert_true((fws_ready(f.host, f.conn) & FWS_WRITABLE) != 0);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_true((events[0].ready & FWS_WRITABLE) != 0);
    fixture_end(&f);
}

static void events_tell_each_change_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct fws_event events[4];
    established(&f);
    assert_int_equal(fws_set_user(f.host, f.conn, 99), 0);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_int_equal(events[0].handle, f.conn);
    assert_true((events[0].ready & FWS_WRITABLE) != 0);
    assert_int_equal(fws_poll(f.host, events, 4), 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_int_equal(events[0].user, 99);
    assert_true((events[0].ready & FWS_READABLE) != 0);
    assert_int_equal(fws_poll(f.host, events, 4), 0);
    SEND(&f, .flags = FIN | ACK, .seq = 4, .ack = 1);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_true((events[0].ready & FWS_PEER_FIN) != 0);
    SEND(&f, .flags = RST, .seq = 5);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_true((events[0].ready & (FWS_ERROR | FWS_DONE)) == (FWS_ERROR | FWS_DONE));
    assert_int_equal(events[0].error, -ECONNRESET);
    fixture_end(&f);
}

static void everything_sent_is_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    fixture_write(&f, 10);
    fixture_drain(&f);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_SENT, 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 11);
    assert_true((fws_ready(f.host, f.conn) & FWS_SENT) != 0);
    fixture_end(&f);
}

static void limits_are_kept_and_named(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.live_max = 2;
    f.config.listeners_max = 1;
    fixture_start(&f);
    struct fws_endpoint any = fixture_endpoint(0, 0);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), -ENOBUFS);
    struct fws_endpoint local = fixture_endpoint(0, 80);
    assert_int_equal(fws_listen(f.host, &local, 1, NULL, &f.listener), 0);
    assert_int_equal(fws_listen(f.host, &local, 1, NULL, &f.listener), -EADDRINUSE);
    local.port = 81;
    assert_int_equal(fws_listen(f.host, &local, 1, NULL, &f.listener), -ENOBUFS);
    local = fixture_endpoint(0x08080808, 82);
    assert_int_equal(fws_listen(f.host, &local, 1, NULL, &f.listener), -EADDRNOTAVAIL);
    any = fixture_endpoint(0x08080808, 82);
    assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), -EADDRNOTAVAIL);
    fixture_end(&f);
}

static void no_room_for_time_wait_is_counted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.time_wait_max = 1;
    time_wait(&f);
    f.peer_port++;
    f.timestamps = false;
    fin_wait_2(&f);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    assert_int_equal(fixture_counter(&f, "time_wait_overflow"), 1);
    assert_int_equal(fixture_counter(&f, "time_wait_started"), 2);
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.time_wait_records, 1);
    fixture_end(&f);
}

/* The last FIN is acknowledged, and the 4-tuple is free at once; a FIN that comes again meets
 * nobody. */
static void without_time_wait_no_record_is_made(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.time_wait_ns = FWS_TIME_WAIT_NONE;
    fin_wait_2(&f);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.time_wait_records, 0);
    assert_int_equal(census.states[FWS_STATE_TIME_WAIT], 0);
    assert_int_equal(census.transitions[FWS_STATE_FIN_WAIT_2][FWS_STATE_TIME_WAIT], 1);
    assert_int_equal(census.transitions[FWS_STATE_TIME_WAIT][FWS_STATE_CLOSED], 1);
    assert_int_equal(fixture_counter(&f, "time_wait_started"), 1);
    assert_int_equal(fixture_counter(&f, "time_wait_overflow"), 0);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = RST, .seq = 2);
    fixture_end(&f);
}

static void the_same_calls_give_the_same_packets(void **state)
{
    (void)state;
    uint8_t bytes[2][4096];
    uint32_t counts[2];
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        fixture_init(&f);
        established(&f);
        fixture_write(&f, 1000);
        assert_true(fixture_fetch(&f));
        counts[i] = f.last_bytes;
        memcpy(bytes[i], f.bytes, f.last_bytes);
        fixture_end(&f);
    }
    assert_int_equal(counts[0], counts[1]);
    assert_memory_equal(bytes[0], bytes[1], counts[0]);
}

/* A life with everything that allocates: both openings, data out of order, buffers, closes. Each
 * step may fail for want of memory; none may crash, and all must come back. */
static void live_through_everything(struct fixture *f)
{
    uint8_t bytes[8000] = {0};
    if (fws_host_create(&f->host, &f->config) != 0) {
        f->host = NULL;
        return;
    }
    struct fws_endpoint listen = fixture_endpoint(0, LISTEN_PORT);
    f->options.keep_alive = 1;
    (void)fws_listen(f->host, &listen, 8, &f->options, &f->listener);
    for (uint16_t i = 0; i < 3; i++) {
        f->peer_port = (uint16_t)(PEER_PORT + i);
        f->host_port = LISTEN_PORT;
        f->timestamps = false;
        SEND(f, .flags = SYN, .mss = 1460, .sack_permitted = true);
        fixture_drain(f);
        SEND(f, .flags = ACK, .seq = 1, .ack = 1, .data = bytes, .bytes = 1000);
        if (i == 1) {
            f->host_port = HOST_PORT;
            (void)fixture_connect(f);
            fixture_drain(f);
            SEND(f, .flags = SYN | ACK, .ack = 1, .mss = 1460, .sack_permitted = true);
        } else if (fws_accept(f->host, f->listener, &f->conn) != 0) {
            continue;
        }
        fixture_drain(f);
        (void)fws_send(f->host, f->conn, bytes, sizeof bytes, 0);
        fixture_drain(f);
        SEND(f, .flags = ACK, .seq = 3001, .ack = 1, .data = bytes, .bytes = 1000);
        SEND(f, .flags = ACK, .seq = 5001, .ack = 1, .data = bytes, .bytes = 1000);
        SEND(f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = {{1461, 5841}});
        fixture_drain(f);
        (void)fws_recv(f->host, f->conn, bytes, sizeof bytes);
        fixture_pass(f, 2u * SEC);
        fixture_drain(f);
        SEND(f, .flags = ACK, .seq = 1, .ack = 8001, .data = bytes, .bytes = 1400);
        SEND(f, .flags = ACK, .seq = 1401, .ack = 8001, .data = bytes, .bytes = 1400);
        SEND(f, .flags = ACK, .seq = 2801, .ack = 8001, .data = bytes, .bytes = 1400);
        fixture_read_all(f);
        (void)fws_shutdown(f->host, f->conn);
        fixture_drain(f);
        SEND(f, .flags = FIN | ACK, .seq = 6001, .ack = 8002);
        fixture_drain(f);
        (void)fws_close(f->host, f->conn);
    }
    fixture_pass(f, 300u * SEC);
    fixture_drain(f);
}

static void memory_may_run_out_at_any_allocation(void **state)
{
    (void)state;
    for (int rest = 0; rest < 2; rest++) {
        uint64_t refused = 1;
        uint64_t failing = 1;
        for (; refused > 0; failing++) {
            struct fixture f;
            fixture_init(&f);
            f.failing_call = failing;
            f.fails_from_there_on = rest != 0;
            live_through_everything(&f);
            refused = f.refused;
            fixture_end(&f);
        }
        print_message("%u allocations refused, one at a time\n", (unsigned)(failing - 2u));
        assert_true(failing > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_of_an_older_program_is_taken),
        cmocka_unit_test(a_config_of_a_newer_program_is_taken),
        cmocka_unit_test(an_info_is_filled_up_to_its_size),
        cmocka_unit_test(options_of_an_older_program_are_taken),
        cmocka_unit_test(a_bad_config_is_refused),
        cmocka_unit_test(calls_of_ipv6_are_refused),
        cmocka_unit_test(a_handle_is_stale_after_close_and_abort),
        cmocka_unit_test(invented_handles_are_refused),
        cmocka_unit_test(a_handle_outlives_the_wire),
        cmocka_unit_test(the_wire_outlives_a_handle),
        cmocka_unit_test(a_tuple_is_found_in_all_populations),
        cmocka_unit_test(the_census_adds_up),
        cmocka_unit_test(a_full_send_buffer_pushes_back_and_becomes_writable_again),
        cmocka_unit_test(events_tell_each_change_once),
        cmocka_unit_test(everything_sent_is_told),
        cmocka_unit_test(limits_are_kept_and_named),
        cmocka_unit_test(no_room_for_time_wait_is_counted),
        cmocka_unit_test(without_time_wait_no_record_is_made),
        cmocka_unit_test(the_same_calls_give_the_same_packets),
        cmocka_unit_test(memory_may_run_out_at_any_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
