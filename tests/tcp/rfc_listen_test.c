/* Many that knock: the SYN cache and its cookies (RFC 4987), the backlog of a listener.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

/* A SYN from another port of the peer's; the SYN-ACK, where there is one, is in f->last. */
static bool knock(struct fixture *f, uint16_t port)
{
    f->peer_port = port;
    SEND(f, .flags = SYN, .mss = f->peer_mss, .sack_permitted = f->peer_sack,
         .has_timestamp = f->peer_timestamps, .ts_val = f->clock,
         .has_window_scale = f->peer_window_scaling, .window_scale = f->peer_window_scale);
    return fixture_fetch(f);
}

static void answer(struct fixture *f)
{
    SEND(f, .flags = ACK, .seq = 1, .ack = 1, .has_timestamp = f->peer_timestamps,
         .ts_val = f->clock, .ts_ecr = f->ts_recent);
}

static uint64_t half_open_count(const struct fixture *f)
{
    struct fws_census census = {.size = sizeof census};
    fws_census(f->host, &census);
    return census.half_open_records;
}

static void a_full_syn_cache_answers_with_cookies(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.half_open_max = 2;
    f.peer_window_scale = 5;
    listening(&f);
    assert_true(knock(&f, 1));
    assert_true(knock(&f, 2));
    assert_int_equal(half_open_count(&f), 2);
    assert_true(knock(&f, 3));
    assert_int_equal(f.last.flags, SYN | ACK);
    assert_int_equal(half_open_count(&f), 2);
    STATE(&f, FWS_STATE_NONE);
    answer(&f);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_counter(&f, "cookies_sent"), 1);
    assert_int_equal(fixture_counter(&f, "cookies_accepted"), 1);
    fixture_end(&f);
}

static void a_cookie_keeps_the_options_in_the_timestamp(void **state)
{
    (void)state;
    for (uint8_t scale = 0; scale < 15; scale += 7) {
        struct fixture f;
        fixture_init(&f);
        f.config.syn_cookies = FWS_COOKIES_ALWAYS;
        f.peer_window_scale = scale;
        f.peer_sack = scale != 7;
        listening(&f);
        assert_true(knock(&f, 1));
        assert_true(f.last.has_timestamp && f.last.has_window_scale);
        assert_int_equal(f.last.sack_permitted, f.peer_sack);
        answer(&f);
        assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
        struct fws_info info = fixture_info(&f);
        assert_int_equal(info.snd_wscale, scale);
        assert_int_equal(info.sack, f.peer_sack);
        assert_int_equal(info.timestamps, 1);
        assert_int_equal(info.window_scaling, 1);
        assert_in_range(info.mss, 1300, 1460);
        fixture_end(&f);
    }
}

static void a_cookie_without_timestamps_agrees_on_no_options(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    f.peer_timestamps = false;
    f.peer_mss = 700;
    listening(&f);
    assert_true(knock(&f, 1));
    assert_false(f.last.has_timestamp || f.last.has_window_scale || f.last.sack_permitted);
    answer(&f);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_in_range(fixture_info(&f).mss, 500, 700); /* never more than the peer takes */
    assert_int_equal(fixture_info(&f).window_scaling, 0);
    fixture_end(&f);
}

static void data_with_the_ack_of_a_cookie_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    f.peer_timestamps = false;
    listening(&f);
    assert_true(knock(&f, 1));
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void an_ack_that_is_no_cookie_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    listening(&f);
    assert_true(knock(&f, 1));
    uint32_t wrong = 12345;
    SEND(&f, .flags = ACK, .seq = 1, .ack = wrong, .has_timestamp = true, .ts_val = f.clock,
         .ts_ecr = f.ts_recent);
    RECV(&f, .flags = RST, .seq = wrong);
    SEND(&f, .flags = ACK, .seq = 2, .ack = 1, .has_timestamp = true, .ts_val = f.clock,
         .ts_ecr = f.ts_recent); /* for another IRS */
    RECV(&f, .flags = RST, .seq = 1);
    f.peer_port = 2; /* and another tuple */
    answer(&f);
    RECV(&f, .flags = RST, .seq = 1);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void a_cookie_grows_stale(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    listening(&f);
    assert_true(knock(&f, 1));
    fixture_pass(&f, 3600u * SEC);
    answer(&f);
    RECV(&f, .flags = RST, .seq = 1);
    fixture_end(&f);
}

static void without_cookies_a_full_cache_drops_and_counts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.half_open_max = 2;
    f.config.syn_cookies = FWS_COOKIES_OFF;
    listening(&f);
    assert_true(knock(&f, 1));
    assert_true(knock(&f, 2));
    assert_false(knock(&f, 3));
    assert_int_equal(fixture_counter(&f, "syns_dropped_cache_full"), 1);
    f.peer_port = 1;
    SEND(&f, .flags = RST, .seq = 1, .ack = 0); /* makes room */
    assert_true(knock(&f, 3));
    fixture_end(&f);
}

static void the_syn_cache_empties_by_itself(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    for (uint16_t port = 1; port <= 100; port++) {
        assert_true(knock(&f, port));
    }
    assert_int_equal(half_open_count(&f), 100);
    for (int i = 0; i < 200; i++) {
        fixture_pass(&f, SEC);
        fixture_drain(&f);
    }
    assert_int_equal(half_open_count(&f), 0);
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.index_entries, 0);
    fixture_end(&f);
}

static void connections_beyond_the_backlog_are_not_established(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.backlog = 2;
    f.peer_timestamps = false;
    listening(&f);
    uint32_t iss[4];
    size_t answered = 0;
    for (uint16_t i = 0; i < 4; i++) {
        if (knock(&f, (uint16_t)(i + 1u))) {
            iss[answered++] = f.iss;
        }
    }
    for (size_t i = 0; i < answered; i++) {
        f.peer_port = (uint16_t)(i + 1u);
        f.iss = iss[i];
        answer(&f);
    }
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.states[FWS_STATE_ESTABLISHED], 2);
    fws_handle conn = 0;
    assert_int_equal(fws_accept(f.host, f.listener, &conn), 0);
    if (answered > 2) { /* the third one's ACK is answered late: by the SYN-ACK again */
        f.peer_port = 3;
        f.iss = iss[2];
        answer(&f);
        STATE(&f, FWS_STATE_ESTABLISHED);
    }
    fixture_end(&f);
}

static void a_syn_with_data_is_not_delivered_before_the_handshake(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.5 */
    listening(&f);
    SEND(&f, .flags = SYN, .data = "abc", .bytes = 3);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.flags, SYN | ACK);
    uint32_t taken = f.last.ack - 1u;
    assert_true(taken == 0 || taken == 3);
    fws_handle conn = 0;
    assert_int_equal(fws_accept(f.host, f.listener, &conn), -EAGAIN);
    SEND(&f, .flags = ACK, .seq = 1u + taken, .ack = 1, .data = &"abc"[taken], .bytes = 3u - taken);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_read_all(&f), 3);
    fixture_end(&f);
}

static void a_listener_becomes_acceptable_when_the_handshake_is_complete(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    syn_received(&f);
    assert_int_equal(fws_ready(f.host, f.listener) & FWS_ACCEPTABLE, 0);
    assert_int_equal(fws_set_user(f.host, f.listener, 4711), 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    struct fws_event events[4];
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_int_equal(events[0].handle, f.listener);
    assert_int_equal(events[0].user, 4711);
    assert_true((events[0].ready & FWS_ACCEPTABLE) != 0);
    assert_int_equal(fws_poll(f.host, events, 4), 0);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), -EAGAIN);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_syn_cache_answers_with_cookies),
        cmocka_unit_test(a_cookie_keeps_the_options_in_the_timestamp),
        cmocka_unit_test(a_cookie_without_timestamps_agrees_on_no_options),
        cmocka_unit_test(data_with_the_ack_of_a_cookie_is_taken),
        cmocka_unit_test(an_ack_that_is_no_cookie_is_reset),
        cmocka_unit_test(a_cookie_grows_stale),
        cmocka_unit_test(without_cookies_a_full_cache_drops_and_counts),
        cmocka_unit_test(the_syn_cache_empties_by_itself),
        cmocka_unit_test(connections_beyond_the_backlog_are_not_established),
        cmocka_unit_test(a_syn_with_data_is_not_delivered_before_the_handshake),
        cmocka_unit_test(a_listener_becomes_acceptable_when_the_handshake_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
