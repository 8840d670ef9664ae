/* Limits: queues that fill, counts that reach their largest value, memory that is refused at one
 * place. Each is a counted outcome and none stops the host.
 *
 * Layer: tests. */
#include <errno.h>
#include <stdlib.h>

#include "tcp/host_fixture.h"

static void knock(struct fixture *f, uint16_t port)
{
    f->peer_port = port;
    SEND(f, .flags = SYN, .mss = 1460);
}

static uint64_t half_open_count(const struct fixture *f)
{
    struct fws_census census = {.size = sizeof census};
    fws_census(f->host, &census);
    return census.half_open_records;
}

static void replies_beyond_their_queue_are_dropped_and_counted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    for (uint16_t i = 0; i < 1100; i++) {
        f.peer_port = (uint16_t)(PEER_PORT + i);
        SEND(&f, .flags = ACK, .ack = 1);
    }
    size_t sent = fixture_drain(&f);
    assert_int_equal(sent, 1024);
    assert_int_equal(fixture_counter(&f, "replies_dropped"), 1100 - 1024);
    fixture_end(&f);
}

/* Lets half-open connections begin, from this port of the peer's on, and their SYN-ACKs go out. */
static void knock_many(struct fixture *f, uint16_t first_port, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        knock(f, (uint16_t)(first_port + i));
        if (i % 512 == 511) {
            fixture_drain(f);
        }
    }
    fixture_drain(f);
}

static void overdue_syn_acks_beyond_the_queue_of_replies_go_out_and_lose_no_retry(void **state)
{
    (void)state;
    enum { OVERDUE = 3000 };
    struct fixture f;
    fixture_init(&f);
    f.config.syn_ack_retries = 3;
    listening(&f);
    knock_many(&f, 10000, OVERDUE);
    for (uint32_t turn = 0; turn < 3; turn++) {
        fixture_pass(&f, 60 * SEC); /* all are overdue, whatever their backoff */
        assert_int_equal(fws_next_deadline(f.host), f.now);
        uint8_t seen[65536] = {0};
        size_t count = 0;
        while (fixture_fetch(&f)) {
            assert_int_equal(f.last.flags, SYN | ACK);
            assert_int_equal(seen[f.last.target_port]++, 0);
            count++;
            /* What waits is due at once, also where the queue has just run empty. */
            assert_true(count == OVERDUE || fws_next_deadline(f.host) == f.now);
        }
        assert_int_equal(count, OVERDUE);
        assert_true(fws_next_deadline(f.host) > f.now);
        assert_int_equal(half_open_count(&f), OVERDUE);
    }
    assert_int_equal(fixture_counter(&f, "segments_resent"), 3 * OVERDUE);
    fixture_pass(&f, 60 * SEC);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "half_open_expired"), OVERDUE);
    assert_int_equal(half_open_count(&f), 0);
    assert_int_equal(fixture_counter(&f, "replies_dropped"), 0);
    fixture_end(&f);
}

/* Output may be short and input may go on: a turn that pulls little, or whose SYNs want answers of
 * their own, delays what is overdue and drops nothing. */
static void overdue_syn_acks_leave_room_for_new_ones_and_the_oldest_go_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    knock_many(&f, 10000, 600);
    fixture_pass(&f, 1200 * MS);
    assert_int_equal(fixture_drain(&f), 600); /* due again two seconds later */
    fixture_pass(&f, 1300 * MS);
    knock_many(&f, 20000, 2000); /* and these one second later: behind the others */
    fixture_pass(&f, 20 * SEC);
    for (uint16_t i = 0; i < 300; i++) {
        knock(&f, (uint16_t)(30000 + i));
    }
    size_t old = 0;
    size_t count = 0;
    for (uint32_t turn = 0; turn < 100; turn++) {
        for (uint32_t i = 0; i < 50 && fixture_fetch(&f); i++) {
            old += f.last.target_port < 20000;
            count++;
        }
        assert_true(count < 1000 || old == 600);
        fixture_pass(&f, 1000); /* no later, and no wait for the queue to run empty */
    }
    assert_int_equal(old, 600);
    assert_int_equal(count, 600 + 2000 + 300);
    assert_int_equal(fixture_counter(&f, "replies_dropped"), 0);
    fixture_end(&f);
}

static void a_full_backlog_refuses_syns_and_acks_and_cookies(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.backlog = 1;
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    listening(&f);
    knock(&f, 2);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    uint32_t second = f.iss;
    knock(&f, 1);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    f.peer_port = 2;
    f.iss = second;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "accepts_deferred_backlog"), 1);
    knock(&f, 3);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "syns_dropped_backlog"), 1);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    f.peer_port = 2;
    f.iss = second;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1); /* the peer's data would do the same */
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void without_cookies_an_ack_to_a_listener_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_OFF;
    listening(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = RST, .seq = 1);
    assert_int_equal(fixture_counter(&f, "cookies_refused"), 0);
    fixture_end(&f);
}

static void a_cookie_keeps_ecn_and_assumes_the_mss_of_a_peer_that_named_none(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    listening(&f);
    SEND(&f, .flags = SYN | ECE | CWR, .has_timestamp = true, .ts_val = f.clock);
    RECV(&f, .flags = SYN | ACK | ECE, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .has_timestamp = true, .ts_val = f.clock,
         .ts_ecr = f.ts_recent);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    assert_int_equal(fixture_info(&f).ecn, 1);
    assert_in_range(fixture_info(&f).mss, 500, 536);
    fixture_end(&f);
}

static void a_cookie_is_taken_up_though_the_syn_came_again_and_has_a_record(void **state)
{
    (void)state;
    for (uint32_t backlog = 1; backlog <= 2; backlog++) {
        struct fixture f;
        fixture_init(&f);
        f.config.half_open_max = 1;
        f.backlog = backlog;
        listening(&f);
        knock(&f, 1);
        RECV(&f, .flags = SYN | ACK, .ack = 1); /* has the only record */
        uint32_t first = f.iss;
        knock(&f, 2);
        RECV(&f, .flags = SYN | ACK, .ack = 1); /* a cookie */
        uint32_t cookie = f.iss;
        f.peer_port = 1;
        f.iss = first;
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
        STATE(&f, FWS_STATE_ESTABLISHED);
        assert_int_equal(backlog == 1 ? fws_accept(f.host, f.listener, &f.conn) : 0, 0);
        knock(&f, 2);
        RECV(&f, .flags = SYN | ACK, .ack = 1); /* a record, whose ISN is another */
        assert_int_not_equal(f.iss, cookie);
        assert_int_equal(half_open_count(&f), 1);
        SEND(&f, .flags = ACK, .seq = 1, .ack = 2);
        RECV(&f, .flags = RST, .seq = 2); /* neither */
        f.iss = cookie;
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
        RECV_NOTHING(&f);
        STATE(&f, FWS_STATE_ESTABLISHED);
        assert_int_equal(half_open_count(&f), 0);
        assert_int_equal(fixture_counter(&f, "cookies_accepted"), 1);
        fixture_end(&f);
    }
}

static void a_full_backlog_keeps_the_record_beside_a_cookie(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.half_open_max = 1;
    f.backlog = 1;
    listening(&f);
    knock(&f, 1);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    uint32_t first = f.iss;
    knock(&f, 2);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    uint32_t cookie = f.iss;
    knock(&f, 3);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    uint32_t third = f.iss;
    f.peer_port = 1;
    f.iss = first;
    SEND(&f, .flags = RST, .seq = 1);
    knock(&f, 2);
    RECV(&f, .flags = SYN | ACK, .ack = 1); /* now with a record */
    f.peer_port = 3;
    f.iss = third;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1); /* fills the backlog */
    f.peer_port = 2;
    f.iss = cookie;
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    assert_int_equal(fixture_counter(&f, "accepts_deferred_backlog"), 1);
    assert_int_equal(fws_accept(f.host, f.listener, &f.conn), 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void a_cookie_whose_echo_is_zero_is_none(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.syn_cookies = FWS_COOKIES_ALWAYS;
    listening(&f);
    SEND(&f, .flags = SYN, .has_timestamp = true, .ts_val = f.clock);
    RECV(&f, .flags = SYN | ACK, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .has_timestamp = true, .ts_val = f.clock);
    RECV(&f, .flags = RST, .seq = 1);
    fixture_end(&f);
}

static void a_closed_listener_drops_its_half_open_connections_and_no_others(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    struct fws_endpoint other = fixture_endpoint(0, LISTEN_PORT + 1);
    fws_handle kept = 0;
    assert_int_equal(fws_listen(f.host, &other, 4, NULL, &kept), 0);
    for (uint16_t i = 0; i < 6; i++) {
        f.host_port = LISTEN_PORT + i % 2;
        knock(&f, (uint16_t)(PEER_PORT + i));
    }
    assert_int_equal(half_open_count(&f), 6);
    fixture_drain(&f);
    assert_int_equal(fws_close(f.host, f.listener), 0);
    assert_int_equal(half_open_count(&f), 3);
    f.host_port = LISTEN_PORT;
    f.peer_port = PEER_PORT;
    STATE(&f, FWS_STATE_NONE);
    f.host_port = LISTEN_PORT + 1;
    f.peer_port = PEER_PORT + 1;
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    assert_int_equal(fws_close(f.host, kept), 0);
    assert_int_equal(half_open_count(&f), 0);
    fixture_end(&f);
}

static void a_listener_closed_before_its_news_were_read_tells_none(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    struct fws_endpoint other = fixture_endpoint(0, LISTEN_PORT + 1);
    fws_handle kept = 0;
    assert_int_equal(fws_listen(f.host, &other, 4, NULL, &kept), 0);
    for (uint16_t i = 0; i < 2; i++) {
        f.host_port = LISTEN_PORT + i;
        knock(&f, PEER_PORT);
        RECV(&f, .flags = SYN | ACK, .ack = 1);
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    }
    assert_int_equal(fws_close(f.host, f.listener), 0);
    struct fws_event events[4];
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_true(events[0].handle == kept && events[0].ready == FWS_ACCEPTABLE);
    f.host_port = LISTEN_PORT + 1;
    knock(&f, PEER_PORT + 1); /* only the second listener has news */
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fws_poll(f.host, events, 4), 1);
    assert_true(events[0].handle == kept);
    fixture_end(&f);
}

static void challenge_acks_end_with_their_budget_in_every_population(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5961 section 7 */
    f.config.challenge_ack_per_sec = 1;
    time_wait(&f);
    SEND(&f, .flags = RST, .seq = 3);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    SEND(&f, .flags = RST, .seq = 3);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = (uint32_t)-5, .ack = 2);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "challenge_acks_limited"), 2);
    fixture_end(&f);
    fixture_init(&f);
    f.config.challenge_ack_per_sec = 1;
    syn_received(&f);
    SEND(&f, .flags = RST, .seq = 3);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = RST, .seq = 3);
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = (uint32_t)-5, .ack = 1);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    assert_int_equal(fixture_counter(&f, "challenge_acks_limited"), 2);
    fixture_end(&f);
}

static void gaps_beyond_thirty_two_are_refused_and_counted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    for (uint32_t i = 0; i < 33; i++) {
        SEND(&f, .flags = ACK, .seq = 10 + 2 * i, .ack = 1, .data = "x", .bytes = 1);
    }
    assert_int_equal(fixture_counter(&f, "out_of_order"), 32);
    assert_int_equal(fixture_counter(&f, "out_of_order_refused"), 1);
    assert_int_equal(fixture_info(&f).out_of_order, 32);
    fixture_end(&f);
}

static void three_hundred_segments_before_one_output_are_one_ack(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    for (uint32_t i = 0; i < 300; i++) {
        SEND(&f, .flags = ACK, .seq = 1 + i, .ack = 1, .data = "x", .bytes = 1);
    }
    RECV(&f, .flags = ACK, .seq = 1, .ack = 301);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void three_hundred_duplicate_acks_are_one_loss(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.peer_sack = false;
    established_without_timestamps(&f);
    fixture_write(&f, 14600);
    fixture_drain(&f);
    for (uint32_t i = 0; i < 300; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    }
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 1460);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "recoveries_fast"), 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1461); /* RFC 6582: the next hole goes at once */
    RECV(&f, .flags = ACK, .seq = 1461, .ack = 1, .bytes = 1460);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 14601);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

/* Brings the host to where its next allocation is refused, and all that follow. */
static void refuse_memory(struct fixture *f)
{
    f->failing_call = f->calls + 1;
    f->fails_from_there_on = true;
}

static void without_memory_the_time_out_recovers_what_duplicates_cannot(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established_without_timestamps(&f);
    fixture_write(&f, 14600);
    fixture_drain(&f);
    refuse_memory(&f);
    for (uint32_t i = 0; i < 3; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    }
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "recoveries_fast"), 0);
    assert_true(fixture_wait(&f, 5u * SEC) <= 2u * SEC);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 1460);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 14601);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_true(fixture_counter(&f, "memory_refused") > 0);
    fixture_end(&f);
}

static void without_memory_data_beyond_a_gap_is_asked_for_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    refuse_memory(&f);
    SEND(&f, .flags = ACK, .seq = 11, .ack = 1, .data = "x", .bytes = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = FIN | ACK, .seq = 12, .ack = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK | URG, .seq = 1, .ack = 1, .urgent = 5);
    assert_int_equal(fixture_info(&f).urgent_ahead, 0);
    STATE(&f, FWS_STATE_ESTABLISHED);
    f.failing_call = 0;
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 1, .data = "0123456789ab", .bytes = 12);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 14);
    STATE(&f, FWS_STATE_CLOSE_WAIT);
    fixture_end(&f);
}

static void without_memory_a_zero_window_is_probed_and_a_mark_is_left_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    assert_int_equal(fws_send(f.host, f.conn, "abc", 3, FWS_SEND_URGENT), 3);
    RECV_NOTHING(&f);
    assert_int_equal(fws_abort(f.host, f.conn), 0);
    fixture_drain(&f);
    fixture_end(&f);
    fixture_init(&f);
    established(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 3);
    RECV_NOTHING(&f);
    refuse_memory(&f);
    assert_true(fixture_wait(&f, 5u * SEC) <= 2u * SEC);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 1);
    assert_int_equal(fws_send(f.host, f.conn, "d", 1, FWS_SEND_URGENT), 1);
    fixture_end(&f);
}

static void an_index_that_cannot_grow_refuses_syns_and_opens(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    for (uint32_t i = 0; i < 65000 && fixture_counter(&f, "memory_refused") == 0; i++) {
        uint64_t calls = f.calls;
        if (f.failing_call == 0 && i % 256 == 1) { /* the chunk of records is there */
            f.failing_call = calls + 1;
            f.fails_from_there_on = true;
        } else if (i % 256 == 255) {
            f.failing_call = 0;
        }
        knock(&f, (uint16_t)(i + 1));
        fixture_drain(&f);
    }
    assert_true(fixture_counter(&f, "memory_refused") > 0);
    STATE(&f, FWS_STATE_NONE);
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.index_entries, census.half_open_records);
    fixture_end(&f);
}

/* One TIME_WAIT by an active open: f->timestamps is off. */
static void one_time_wait(struct fixture *f, uint32_t i)
{
    f->host_port = (uint16_t)(1000 + i % 60000);
    f->peer_port = (uint16_t)(PEER_PORT + i / 60000);
    assert_int_equal(fixture_connect(f), 0);
    RECV(f, .flags = SYN);
    SEND(f, .flags = SYN | ACK, .ack = 1);
    RECV(f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fws_close(f->host, f->conn), 0);
    RECV(f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(f, .flags = ACK, .seq = 2, .ack = 2);
}

static void restart_time_wait(struct fixture *f, uint32_t i, uint32_t iss)
{
    f->host_port = (uint16_t)(1000 + i % 60000);
    f->peer_port = (uint16_t)(PEER_PORT + i / 60000);
    f->iss = iss;
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(f, .flags = ACK, .seq = 2, .ack = 2);
}

static void seventy_thousand_time_waits_restart_and_expire(void **state)
{
    (void)state;
    enum { COUNT = 70000, RESTARTED = COUNT / 4 * 3 };
    uint32_t *iss = malloc(COUNT * sizeof *iss);
    assert_non_null(iss);
    struct fixture f;
    fixture_init(&f);
    for (uint32_t i = 0; i < COUNT; i++) {
        one_time_wait(&f, i);
        iss[i] = f.iss;
    }
    for (uint32_t i = 0; i < 2 * COUNT; i++) {
        if (i % COUNT == 0) {
            fixture_pass(&f, 15u * SEC);
        }
        if (i % 4 != 0) { /* what is left has gaps, more than records, which are closed */
            restart_time_wait(&f, i % COUNT, iss[i % COUNT]);
        }
    }
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.time_wait_records, COUNT);
    fixture_pass(&f, 31u * SEC);
    fws_census(f.host, &census);
    assert_int_equal(census.time_wait_records, RESTARTED);
    fixture_pass(&f, 30u * SEC);
    fws_census(f.host, &census);
    assert_int_equal(census.time_wait_records, 0);
    fixture_end(&f);
    free(iss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_beyond_their_queue_are_dropped_and_counted),
        cmocka_unit_test(overdue_syn_acks_beyond_the_queue_of_replies_go_out_and_lose_no_retry),
        cmocka_unit_test(overdue_syn_acks_leave_room_for_new_ones_and_the_oldest_go_first),
        cmocka_unit_test(a_full_backlog_refuses_syns_and_acks_and_cookies),
        cmocka_unit_test(without_cookies_an_ack_to_a_listener_is_reset),
        cmocka_unit_test(a_cookie_keeps_ecn_and_assumes_the_mss_of_a_peer_that_named_none),
        cmocka_unit_test(a_cookie_is_taken_up_though_the_syn_came_again_and_has_a_record),
        cmocka_unit_test(a_full_backlog_keeps_the_record_beside_a_cookie),
        cmocka_unit_test(a_cookie_whose_echo_is_zero_is_none),
        cmocka_unit_test(a_closed_listener_drops_its_half_open_connections_and_no_others),
        cmocka_unit_test(a_listener_closed_before_its_news_were_read_tells_none),
        cmocka_unit_test(challenge_acks_end_with_their_budget_in_every_population),
        cmocka_unit_test(gaps_beyond_thirty_two_are_refused_and_counted),
        cmocka_unit_test(three_hundred_segments_before_one_output_are_one_ack),
        cmocka_unit_test(three_hundred_duplicate_acks_are_one_loss),
        cmocka_unit_test(without_memory_the_time_out_recovers_what_duplicates_cannot),
        cmocka_unit_test(without_memory_data_beyond_a_gap_is_asked_for_again),
        cmocka_unit_test(without_memory_a_zero_window_is_probed_and_a_mark_is_left_alone),
        cmocka_unit_test(an_index_that_cannot_grow_refuses_syns_and_opens),
        cmocka_unit_test(seventy_thousand_time_waits_restart_and_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
