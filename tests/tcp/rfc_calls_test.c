/* What calls and options do to the wire: RFC 9293 section 3.9.1 as the embedding ABI has it,
 * orphans, the choice of congestion control, two hosts with each other.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define MSS 1460u

static const uint8_t zeros[4000];

static void quickack_acknowledges_every_segment_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.quickack = 1;
    established(&f);
    for (uint32_t i = 0; i < 40; i++) {
        SEND(&f, .flags = ACK, .seq = 1u + i * 10u, .ack = 1, .data = zeros, .bytes = 10);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 11u + i * 10u);
    }
    fixture_end(&f);
}

static void more_to_come_holds_a_small_segment(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.nodelay = 1;
    established(&f);
    assert_int_equal(fws_send(f.host, f.conn, zeros, 10, FWS_SEND_MORE), 10);
    RECV_NOTHING(&f);
    assert_int_equal(fws_send(f.host, f.conn, zeros, 10, 0), 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 20);
    assert_int_equal(fws_send(f.host, f.conn, zeros, 10, FWS_SEND_MORE), 10);
    assert_true(fixture_wait(&f, SEC) != UINT64_MAX); /* not for ever: MUST-60 */
    assert_true(fixture_wait(&f, 0) != UINT64_MAX);
    fixture_end(&f);
}

static void the_deadline_is_now_when_something_waits_and_none_when_idle(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    RECV_NOTHING(&f);
    assert_true(fws_next_deadline(f.host) == UINT64_MAX || fws_next_deadline(f.host) > f.now);
    fixture_write(&f, 10);
    assert_true(fws_next_deadline(f.host) <= f.now);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    RECV_NOTHING(&f); /* only then does the host know that nothing is left */
    assert_true(fws_next_deadline(f.host) > f.now);
    assert_true(fws_next_deadline(f.host) <= f.now + SEC);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 11);
    fixture_pass(&f, 10u * SEC);
    RECV_NOTHING(&f);
    assert_true(fws_next_deadline(f.host) == UINT64_MAX);
    fixture_end(&f);
}

static void time_never_goes_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    fws_advance(f.host, 1);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_pass(&f, 61u * SEC);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void calls_before_the_handshake_say_what_they_can_do(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.2, 3.10.3 */
    syn_sent(&f);
    char byte = 0;
    int64_t got = fws_recv(f.host, f.conn, &byte, 1);
    assert_true(got == -EAGAIN || got == -ENOTCONN);
    assert_int_equal(fws_send(f.host, f.conn, "a", 1, 0), 1);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_WRITABLE, 0);
    fixture_end(&f);
}

static void the_mss_of_a_connection_can_only_fall(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established_without_timestamps(&f);
    struct fws_options options = {.size = sizeof options};
    assert_int_equal(fws_get_options(f.host, f.conn, &options), 0);
    options.mss = 600;
    assert_int_equal(fws_set_options(f.host, f.conn, &options), 0);
    fixture_write(&f, 3000);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 600);
    options.mss = 1400;
    (void)fws_set_options(f.host, f.conn, &options);
    assert_true(fixture_info(&f).mss <= 600);
    fixture_end(&f);
}

/* Loses the first of ten segments and returns what the window is cut to. */
static uint32_t window_after_a_loss(enum fws_congestion congestion)
{
    struct fixture f;
    fixture_init(&f);
    f.options.congestion = congestion;
    established_without_timestamps(&f);
    fixture_write(&f, 10u * MSS);
    assert_int_equal(fixture_drain(&f), 10);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
         .sack = {{1u + MSS, 1u + 5u * MSS}});
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    uint32_t ssthresh = fixture_info(&f).ssthresh;
    fixture_end(&f);
    return ssthresh;
}

static void newreno_halves_and_cubic_keeps_seven_tenths(void **state)
{
    (void)state;
    uint32_t newreno = window_after_a_loss(FWS_CONGESTION_NEWRENO); /* RFC 5681 (4) */
    assert_in_range(newreno, 4u * MSS, 5u * MSS);
    uint32_t cubic = window_after_a_loss(FWS_CONGESTION_CUBIC); /* RFC 9438 section 4.6 */
    assert_in_range(cubic, 6u * MSS, 7u * MSS);
    assert_int_equal(window_after_a_loss(FWS_CONGESTION_DEFAULT), cubic);
}

static void an_orphan_gives_up_when_its_fin_is_never_acknowledged(void **state)
{
    (void)state;
    void (*const reach[])(struct fixture *) = {fin_wait_1, closing, last_ack};
    for (size_t i = 0; i < TABLE_COUNT(reach); i++) {
        struct fixture f;
        fixture_init(&f); /* 3.6: after the time-out the connection is aborted */
        f.config.retries = 3;
        reach[i](&f);
        assert_int_equal(fws_close(f.host, f.conn), 0);
        size_t sent = 0;
        while (fixture_wait(&f, 60u * SEC) != UINT64_MAX) {
            sent += fixture_drain(&f);
        }
        assert_in_range(sent, 3, 4); /* and a last RST, if it likes */
        STATE(&f, FWS_STATE_NONE);
        struct fws_census census = {.size = sizeof census};
        fws_census(f.host, &census);
        assert_int_equal(census.live_records, 0);
        assert_int_equal(census.timers_armed, 0);
        assert_int_equal(census.buffer_bytes, 0);
        fixture_end(&f);
    }
}

static void everything_is_given_back_after_two_msl(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    time_wait(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    fixture_pass(&f, 120u * SEC);
    fixture_drain(&f);
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.live_records + census.half_open_records + census.time_wait_records, 0);
    assert_int_equal(census.index_entries, 0);
    assert_int_equal(census.timers_armed, 0);
    assert_true(fws_next_deadline(f.host) == UINT64_MAX);
    fixture_end(&f);
}

/* Carries packets between two hosts until both are silent. */
static void carry(struct fws_host *const hosts[2])
{
    uint8_t bytes[2048];
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < 2; i++) {
            struct fws_buffer buffer = {.data = bytes, .capacity = sizeof bytes};
            while (fws_output(hosts[i], &buffer, 1) == 1) {
                struct fws_packet packet = {.data = bytes, .bytes = buffer.bytes};
                fws_input(hosts[1u - i], &packet, 1);
                moved = true;
            }
        }
    }
}

/* Lets time pass on both, in steps. */
static void pass_both(struct fws_host *const hosts[2], uint64_t *now, uint64_t ns)
{
    uint64_t end = *now + ns;
    while (*now < end) {
        *now += 10u * MS;
        fws_advance(hosts[0], *now);
        fws_advance(hosts[1], *now);
        carry(hosts);
    }
}

static void two_hosts_that_connect_to_each_other_at_once_get_one_connection(void **state)
{
    (void)state;
    struct fixture f[2];
    struct fws_host *hosts[2];
    struct fws_endpoint ends[2] = {fixture_endpoint(HOST_ADDRESS, 1000),
                                   fixture_endpoint(PEER_ADDRESS, 2000)};
    for (size_t i = 0; i < 2; i++) {
        fixture_init(&f[i]);
        f[i].config.address = ends[i].addr;
        f[i].config.seed[0] = (uint8_t)(100u + i);
        fixture_start(&f[i]);
        hosts[i] = f[i].host;
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fws_connect(hosts[i], &ends[i], &ends[1u - i], NULL, &f[i].conn), 0);
    }
    carry(hosts);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture_info(&f[i]).state, FWS_STATE_ESTABLISHED);
        fixture_write(&f[i], 5000);
    }
    uint64_t now = f[0].now;
    pass_both(hosts, &now, 2u * SEC);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture_read_all(&f[i]), 5000);
        assert_int_equal(fws_shutdown(hosts[i], f[i].conn), 0);
    }
    carry(hosts); /* both at once again: CLOSING on both sides, or one crosses in time */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture_info(&f[i]).error, 0);
        assert_true((fws_ready(hosts[i], f[i].conn) & FWS_DONE) != 0);
    }
    pass_both(hosts, &now, 61u * SEC);
    fixture_end(&f[0]);
    fixture_end(&f[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quickack_acknowledges_every_segment_at_once),
        cmocka_unit_test(more_to_come_holds_a_small_segment),
        cmocka_unit_test(the_deadline_is_now_when_something_waits_and_none_when_idle),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(calls_before_the_handshake_say_what_they_can_do),
        cmocka_unit_test(the_mss_of_a_connection_can_only_fall),
        cmocka_unit_test(newreno_halves_and_cubic_keeps_seven_tenths),
        cmocka_unit_test(an_orphan_gives_up_when_its_fin_is_never_acknowledged),
        cmocka_unit_test(everything_is_given_back_after_two_msl),
        cmocka_unit_test(two_hosts_that_connect_to_each_other_at_once_get_one_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
