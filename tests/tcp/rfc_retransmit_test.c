/* Retransmission by time: RFC 6298, RFC 9293 sections 3.8.1 and 3.8.3, user time-out, keep-alive
 * (3.8.4).
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define TICK (2u * MS) /* of the host's timers, which are never early */
#define DATA 10u

/* Takes the acknowledgment of `ack` after `rtt_ns`, with the peer's clock at one a millisecond. */
static void acknowledge_after(struct fixture *f, uint64_t rtt_ns, uint32_t ack)
{
    fixture_pass(f, rtt_ns);
    f->clock += (uint32_t)(rtt_ns / MS);
    SEND(f, .flags = ACK, .seq = 1, .ack = ack);
}

static void the_first_rto_is_one_second(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6298 (2.1) */
    syn_sent(&f);
    assert_int_equal(fixture_info(&f).rto_ns, SEC);
    assert_int_equal(fixture_info(&f).srtt_ns, 0);
    fixture_end(&f);
}

static void the_rto_follows_the_rtt_as_rfc_6298_says(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-18 */
    f.config.rto_min_ns = MS;
    f.peer_timestamps = false;
    syn_sent(&f);
    fixture_pass(&f, 400u * MS);
    SEND(&f, .flags = SYN | ACK, .ack = 1); /* the SYN is the first sample */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    struct fws_info info = fixture_info(&f);
    assert_in_range(info.srtt_ns, 399u * MS, 401u * MS); /* (2.2) */
    assert_in_range(info.rttvar_ns, 199u * MS, 201u * MS);
    assert_in_range(info.rto_ns, 1195u * MS, 1205u * MS);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    acknowledge_after(&f, 240u * MS, 1 + DATA);
    info = fixture_info(&f);
    /* (2.3): RTTVAR = 3/4 200 + 1/4 160 = 190; SRTT = 7/8 400 + 1/8 240 = 380 */
    assert_in_range(info.srtt_ns, 378u * MS, 382u * MS);
    assert_in_range(info.rttvar_ns, 188u * MS, 192u * MS);
    assert_in_range(info.rto_ns, 1130u * MS, 1150u * MS);
    fixture_end(&f);
}

static void the_rto_is_at_least_the_minimum_that_was_set(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* (2.4), with the setting instead of 1 s */
    f.config.rto_min_ns = 300u * MS;
    established(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    assert_in_range(fixture_wait(&f, 10u * SEC), 300u * MS, 300u * MS + TICK);
    fixture_end(&f);
}

static void the_rto_doubles_up_to_its_maximum(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* (5.5), (2.5), MUST-19 */
    f.config.rto_max_ns = 60u * SEC;
    established(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    uint64_t expected = 200u * MS;
    for (int i = 0; i < 12; i++) {
        assert_in_range(fixture_wait(&f, 200u * SEC), expected, expected + TICK);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
        expected = expected * 2u < 60u * SEC ? expected * 2u : 60u * SEC;
    }
    fixture_end(&f);
}

static void karn_takes_no_sample_of_what_was_sent_twice_and_keeps_the_backoff(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6298 section 3, MUST-18 */
    established_without_timestamps(&f);
    uint64_t srtt = fixture_info(&f).srtt_ns;
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    assert_true(fixture_wait(&f, 2u * SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    acknowledge_after(&f, 150u * MS, 1 + DATA);
    assert_int_equal(fixture_info(&f).srtt_ns, srtt);
    assert_int_equal(fixture_info(&f).retransmits, 1);
    fixture_end(&f);
}

static void timestamps_give_a_sample_even_after_a_retransmission(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 7323 section 4 */
    established(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    assert_true(fixture_wait(&f, 2u * SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    acknowledge_after(&f, 80u * MS, 1 + DATA);
    assert_true(fixture_info(&f).srtt_ns > 0);
    assert_true(fixture_info(&f).srtt_ns < 200u * MS);
    fixture_end(&f);
}

static void the_timer_starts_anew_with_an_ack_of_new_data_and_stops_with_the_last(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6298 (5.1) to (5.3) */
    f.options.nodelay = 1;
    established(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1 + DATA, .ack = 1, .bytes = DATA);
    fixture_pass(&f, 150u * MS);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1 + DATA);
    uint64_t waited = fixture_wait(&f, 10u * SEC);
    assert_true(waited >= 200u * MS);
    RECV(&f, .flags = ACK, .seq = 1 + DATA, .ack = 1, .bytes = DATA);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1 + 2u * DATA);
    assert_true(fixture_wait(&f, 1000u * SEC) == UINT64_MAX);
    fixture_end(&f);
}

static void after_a_lost_syn_data_starts_with_three_seconds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6298 (5.7) */
    f.peer_timestamps = false;
    syn_sent(&f);
    assert_true(fixture_wait(&f, 2u * SEC) != UINT64_MAX);
    RECV(&f, .flags = SYN);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = 1460);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    assert_in_range(fixture_wait(&f, 10u * SEC), 3u * SEC, 3u * SEC + TICK);
    fixture_end(&f);
}

static void a_time_out_leaves_a_window_of_one_segment(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5681 (4) and section 3.1: the loss window */
    established_without_timestamps(&f);
    fixture_write(&f, 8u * 1460u);
    assert_int_equal(fixture_drain(&f), 8);
    assert_true(fixture_wait(&f, 2u * SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 1460);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_info(&f).cwnd, 1460);
    assert_in_range(fixture_info(&f).ssthresh, 2u * 1460u, 6u * 1460u); /* half, or CUBIC's 0.7 */
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1461);                      /* slow start */
    assert_int_equal(fixture_drain(&f), 2);
    fixture_end(&f);
}

static void data_fails_the_connection_after_r2(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-20 (c), SHLD-11 */
    established(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    uint64_t total = 0;
    uint64_t waited = 0;
    size_t count = 0;
    while ((waited = fixture_wait(&f, 400u * SEC)) != UINT64_MAX) {
        total += waited;
        count++;
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    }
    assert_int_equal(count, 15);
    assert_true(total >= 100u * SEC);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    assert_true((fws_ready(f.host, f.conn) & FWS_ERROR) != 0);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void the_number_of_retransmissions_is_a_setting(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-20, MUST-21 */
    f.config.retries = 2;
    established(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    }
    assert_true(fixture_wait(&f, 10u * SEC) == UINT64_MAX);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void the_user_timeout_of_a_connection_aborts_it(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-21, 3.10.8 */
    f.options.user_timeout_ns = 5u * SEC;
    established(&f);
    fixture_pass(&f, 60u * SEC);
    STATE(&f, FWS_STATE_ESTABLISHED); /* idle is not late */
    fixture_write(&f, DATA);
    uint64_t start = f.now;
    while (fixture_state(&f) != FWS_STATE_NONE && f.now < start + 100u * SEC) {
        fixture_pass(&f, 10u * MS);
        fixture_drain(&f);
    }
    assert_in_range(f.now - start, 5u * SEC, 5u * SEC + 20u * MS);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    fixture_end(&f);
}

static void a_user_timeout_stands_instead_of_the_count(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-21: longer than the host's R2, too */
    f.config.retries = 2;
    f.options.user_timeout_ns = 60u * SEC;
    established(&f);
    fixture_write(&f, DATA);
    fixture_drain(&f);
    for (int i = 0; i < 59; i++) {
        fixture_pass(&f, SEC);
        fixture_drain(&f);
        STATE(&f, FWS_STATE_ESTABLISHED);
    }
    fixture_pass(&f, 2u * SEC);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void the_user_timeout_counts_from_when_data_waits_before_a_closed_window(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.user_timeout_ns = 30u * SEC;
    established(&f);
    fixture_pass(&f, 60u * SEC);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, DATA);
    for (int i = 0; i < 4; i++) {
        assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
        fixture_drain(&f);
        SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    }
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

/* Takes the events there are; returns whether one told of trouble. */
static bool trouble_is_told(struct fixture *f)
{
    struct fws_event event;
    bool is_told = false;
    while (fws_poll(f->host, &event, 1) > 0) {
        is_told = is_told || (event.ready & FWS_TROUBLE) != 0;
    }
    return is_told;
}

static void delivery_trouble_is_told_at_the_third_retransmission(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-9, SHLD-10, MUST-47 */
    established(&f);
    fixture_write(&f, DATA);
    fixture_drain(&f);
    for (uint32_t i = 1; i <= 6; i++) {
        assert_true(fixture_wait(&f, 100u * SEC) != UINT64_MAX);
        fixture_drain(&f);
        assert_int_equal(fixture_info(&f).retransmits, i);
        assert_int_equal(trouble_is_told(&f), i == 3);
        assert_int_equal((fws_ready(f.host, f.conn) & FWS_TROUBLE) != 0, i >= 3);
    }
    STATE(&f, FWS_STATE_ESTABLISHED);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1 + DATA);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_TROUBLE, 0);
    assert_false(trouble_is_told(&f));
    fixture_write(&f, DATA);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(fixture_wait(&f, 200u * SEC) != UINT64_MAX);
        fixture_drain(&f);
    }
    assert_true(trouble_is_told(&f));
    fixture_end(&f);
}

/* The probes of a closed window slow down, and are answered: once the window is open they count for
 * nothing, neither for how long a retransmission waits nor for whether the peer is there. */
static void window_probes_are_no_retransmissions(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* SHLD-9, MUST-18, MUST-35 */
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, DATA);
    for (int i = 0; i < 4; i++) {
        assert_true(fixture_wait(&f, 100u * SEC) != UINT64_MAX);
        fixture_drain(&f);
        SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    }
    assert_false(trouble_is_told(&f));
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    fixture_drain(&f);
    uint64_t rto_ns = fixture_info(&f).rto_ns;
    assert_true(rto_ns <= SEC);
    for (uint32_t i = 1; i <= 4; i++) {
        uint64_t waited = fixture_wait(&f, 100u * SEC);
        assert_in_range(waited, (rto_ns << (i - 1)) - TICK, (rto_ns << (i - 1)) + TICK);
        fixture_drain(&f);
        assert_int_equal(trouble_is_told(&f), i == 3);
    }
    fixture_end(&f);
}

static void trouble_with_the_syn_is_told_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-22, SHLD-9 */
    syn_sent(&f);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(fws_ready(f.host, f.conn) & FWS_TROUBLE, 0);
        assert_true(fixture_wait(&f, 100u * SEC) != UINT64_MAX);
        RECV(&f, .flags = SYN);
    }
    assert_true(trouble_is_told(&f));
    SEND(&f, .flags = SYN | ACK, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_int_equal(fws_ready(f.host, f.conn) & FWS_TROUBLE, 0);
    fixture_end(&f);
}

static void keep_alive_is_off_by_default(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-25 */
    established(&f);
    assert_true(fixture_wait(&f, 10u * 86400u * SEC) == UINT64_MAX);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void keep_alive_probes_an_idle_connection_after_two_hours(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-24, 28, SHLD-12 */
    f.options.keep_alive = 1;
    established(&f);
    uint64_t waited = fixture_wait(&f, 3u * 3600u * SEC);
    assert_in_range(waited, 7200u * SEC, 7201u * SEC);
    RECV(&f, .flags = ACK, .seq = 0, .ack = 1);
    f.clock += 7200000u;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    waited = fixture_wait(&f, 3u * 3600u * SEC);
    assert_in_range(waited, 7200u * SEC, 7201u * SEC);
    fixture_end(&f);
}

static void keep_alive_waits_for_silence_and_its_interval_can_be_set(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-26, 27 */
    f.options.keep_alive = 1;
    f.options.keep_alive_idle_ns = 10u * SEC;
    established(&f);
    for (int i = 0; i < 3; i++) {
        assert_true(fixture_wait(&f, 9u * SEC) == UINT64_MAX);
        f.clock += 9000u;
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    }
    fixture_write(&f, DATA); /* outstanding data is retransmitted, not probed for */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    for (int i = 0; i < 6; i++) {
        fixture_wait(&f, 100u * SEC);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    }
    fixture_end(&f);
}

static void keep_alive_gives_up_only_after_several_probes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-29 */
    f.options.keep_alive = 1;
    f.options.keep_alive_idle_ns = 10u * SEC;
    f.options.keep_alive_interval_ns = 2u * SEC;
    f.options.keep_alive_probes = 3;
    established(&f);
    for (int i = 0; i < 3; i++) {
        uint64_t expected = i == 0 ? 10u * SEC : 2u * SEC;
        assert_in_range(fixture_wait(&f, 60u * SEC), expected, expected + TICK);
        RECV(&f, .flags = ACK, .seq = 0, .ack = 1);
        STATE(&f, FWS_STATE_ESTABLISHED);
    }
    fixture_pass(&f, 3u * SEC);
    fixture_drain(&f);
    STATE(&f, FWS_STATE_NONE);
    assert_int_equal(fixture_info(&f).error, -ETIMEDOUT);
    fixture_end(&f);
}

static void keep_alive_can_be_switched_while_the_connection_lives(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-24 */
    established(&f);
    struct fws_options options = {.size = sizeof options};
    assert_int_equal(fws_get_options(f.host, f.conn, &options), 0);
    assert_int_equal(options.keep_alive, 0);
    options.keep_alive = 1;
    options.keep_alive_idle_ns = 5u * SEC;
    assert_int_equal(fws_set_options(f.host, f.conn, &options), 0);
    assert_in_range(fixture_wait(&f, 60u * SEC), 5u * SEC, 5u * SEC + TICK);
    RECV(&f, .flags = ACK, .seq = 0, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    options.keep_alive = 0;
    assert_int_equal(fws_set_options(f.host, f.conn, &options), 0);
    assert_true(fixture_wait(&f, 600u * SEC) == UINT64_MAX);
    fixture_end(&f);
}

static void a_keep_alive_probe_is_answered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK, .seq = 0, .ack = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 0, .ack = 1, .data = "x", .bytes = 1); /* a garbage octet */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_read_all(&f), 0);
    fixture_end(&f);
}

static void the_syn_is_the_first_sample_unless_it_was_sent_twice(void **state)
{
    (void)state;
    for (uint32_t again = 0; again < 2; again++) {
        struct fixture f;
        fixture_init(&f); /* RFC 6298 (2.2), section 3 */
        f.peer_timestamps = false;
        syn_sent(&f);
        if (again) {
            fixture_pass(&f, SEC + 10u * MS);
            RECV(&f, .flags = SYN);
        }
        fixture_pass(&f, 120u * MS);
        SEND(&f, .flags = SYN | ACK, .ack = 1);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
        assert_int_equal(fixture_info(&f).srtt_ns, again ? 0 : 120u * MS);
        fixture_pass(&f, 10u * SEC); /* idle: no round trip */
        fixture_write(&f, DATA);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
        acknowledge_after(&f, 120u * MS, 1 + DATA);
        assert_int_equal(fixture_info(&f).srtt_ns, 120u * MS);
        fixture_end(&f);
    }
}

static void the_syn_ack_is_the_first_sample_unless_it_was_sent_twice(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) { /* once; timer; SYN again; a cookie */
        struct fixture f;
        fixture_init(&f); /* RFC 6298 (2.2), section 3 */
        f.peer_timestamps = false;
        f.config.syn_cookies = kind == 3 ? FWS_COOKIES_ALWAYS : FWS_COOKIES_AUTO;
        listening(&f);
        SEND(&f, .flags = SYN, .mss = 1460);
        RECV(&f, .flags = SYN | ACK, .ack = 1);
        if (kind == 1) {
            fixture_wait(&f, 2u * SEC);
            RECV(&f, .flags = SYN | ACK, .ack = 1);
        } else if (kind == 2) {
            SEND(&f, .flags = SYN, .mss = 1460);
            RECV(&f, .flags = SYN | ACK, .ack = 1);
        }
        fixture_pass(&f, 120u * MS);
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
        assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
        assert_int_equal(fixture_info(&f).srtt_ns, kind == 0 ? 120u * MS : 0);
        fixture_end(&f);
    }
}

/* A round trip that outgrew the RTO: each segment is sent twice, so that none gives a sample. */
static void the_backoff_stays_until_a_segment_that_was_sent_once_is_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6298 section 5, Karn: MUST-18 */
    established_without_timestamps(&f);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    assert_in_range(fixture_wait(&f, 2u * SEC), 200u * MS, 200u * MS + TICK);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = DATA);
    acknowledge_after(&f, 150u * MS, 1 + DATA);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1 + DATA, .ack = 1, .bytes = DATA);
    assert_in_range(fixture_wait(&f, 2u * SEC), 400u * MS, 400u * MS + TICK);
    RECV(&f, .flags = ACK, .seq = 1 + DATA, .ack = 1, .bytes = DATA);
    acknowledge_after(&f, 50u * MS, 1 + 2 * DATA);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1 + 2 * DATA, .ack = 1, .bytes = DATA);
    acknowledge_after(&f, 450u * MS, 1 + 3 * DATA);
    assert_true(fixture_info(&f).srtt_ns > 50u * MS);
    fixture_write(&f, DATA);
    RECV(&f, .flags = ACK, .seq = 1 + 3 * DATA, .ack = 1, .bytes = DATA);
    uint64_t rto = fixture_info(&f).rto_ns;
    assert_in_range(fixture_wait(&f, 5u * SEC), rto, rto + TICK);
    assert_true(rto < 1600u * MS);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rto_is_one_second),
        cmocka_unit_test(the_rto_follows_the_rtt_as_rfc_6298_says),
        cmocka_unit_test(the_rto_is_at_least_the_minimum_that_was_set),
        cmocka_unit_test(the_rto_doubles_up_to_its_maximum),
        cmocka_unit_test(karn_takes_no_sample_of_what_was_sent_twice_and_keeps_the_backoff),
        cmocka_unit_test(timestamps_give_a_sample_even_after_a_retransmission),
        cmocka_unit_test(the_timer_starts_anew_with_an_ack_of_new_data_and_stops_with_the_last),
        cmocka_unit_test(after_a_lost_syn_data_starts_with_three_seconds),
        cmocka_unit_test(a_time_out_leaves_a_window_of_one_segment),
        cmocka_unit_test(data_fails_the_connection_after_r2),
        cmocka_unit_test(the_number_of_retransmissions_is_a_setting),
        cmocka_unit_test(the_user_timeout_of_a_connection_aborts_it),
        cmocka_unit_test(a_user_timeout_stands_instead_of_the_count),
        cmocka_unit_test(the_user_timeout_counts_from_when_data_waits_before_a_closed_window),
        cmocka_unit_test(delivery_trouble_is_told_at_the_third_retransmission),
        cmocka_unit_test(window_probes_are_no_retransmissions),
        cmocka_unit_test(trouble_with_the_syn_is_told_too),
        cmocka_unit_test(keep_alive_is_off_by_default),
        cmocka_unit_test(keep_alive_probes_an_idle_connection_after_two_hours),
        cmocka_unit_test(keep_alive_waits_for_silence_and_its_interval_can_be_set),
        cmocka_unit_test(keep_alive_gives_up_only_after_several_probes),
        cmocka_unit_test(keep_alive_can_be_switched_while_the_connection_lives),
        cmocka_unit_test(a_keep_alive_probe_is_answered),
        cmocka_unit_test(the_syn_is_the_first_sample_unless_it_was_sent_twice),
        cmocka_unit_test(the_syn_ack_is_the_first_sample_unless_it_was_sent_twice),
        cmocka_unit_test(the_backoff_stays_until_a_segment_that_was_sent_once_is_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
