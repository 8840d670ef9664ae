/* The loop: timers, waiting, waking, and what the transport tells about itself. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/rig.h"

/* Timers are late by less than their wheel's tick and what the machine adds; never early. */
static void test_a_timer_fires_once_and_not_early(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    uint64_t deadline_ns = clock_now_ns() + 20 * NS_PER_MS;
    assert_int_equal(transport_timer(rig->transport, conn->handle, deadline_ns), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_TIMER] == 1);
    assert_true(conn->times_ns[TRANSPORT_TIMER] >= deadline_ns);
    rig_poll_for(rig, 10);
    assert_int_equal(conn->counts[TRANSPORT_TIMER], 1);
    close(fd);
}

static void test_poll_wakes_for_a_timer_by_itself(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    rig_poll_for(rig, 5);
    uint64_t deadline_ns = clock_now_ns() + 20 * NS_PER_MS;
    assert_int_equal(transport_timer(rig->transport, conn->handle, deadline_ns), 0);
    while (conn->counts[TRANSPORT_TIMER] == 0) {
        assert_int_equal(transport_poll(rig->transport, CLOCK_NEVER), 0);
    }
    assert_true(clock_now_ns() >= deadline_ns);
    close(fd);
}

/* io_uring's waits that end later than its alarm have no time-out of their own. */
static void test_a_timer_far_ahead_fires_in_time_and_polls_do_not_spin(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    rig_poll_for(rig, 5);
    uint64_t deadline_ns = clock_now_ns() + 330 * NS_PER_MS;
    unsigned polls = 0;
    assert_int_equal(transport_timer(rig->transport, conn->handle, deadline_ns), 0);
    while (conn->counts[TRANSPORT_TIMER] == 0) {
        assert_int_equal(transport_poll(rig->transport, CLOCK_NEVER), 0);
        polls++;
    }
    assert_true(conn->times_ns[TRANSPORT_TIMER] >= deadline_ns);
    assert_true(conn->times_ns[TRANSPORT_TIMER] < deadline_ns + RIG_PATIENCE_NS);
    /* Cascades of the wheel, and the alarm every 100 ms. */
    assert_in_range(polls, 1, 20);
    close(fd);
}

static void test_a_timer_that_is_moved_fires_at_its_new_time(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    uint64_t now_ns = clock_now_ns();
    assert_int_equal(transport_timer(rig->transport, conn->handle, now_ns + 5 * NS_PER_MS), 0);
    assert_int_equal(transport_timer(rig->transport, conn->handle, now_ns + 30 * NS_PER_MS), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_TIMER] == 1);
    assert_true(conn->times_ns[TRANSPORT_TIMER] >= now_ns + 30 * NS_PER_MS);
    close(fd);
}

static void test_a_disarmed_timer_does_not_fire(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    uint64_t now_ns = clock_now_ns();
    assert_int_equal(transport_timer(rig->transport, conn->handle, now_ns + 5 * NS_PER_MS), 0);
    assert_int_equal(transport_timer(rig->transport, conn->handle, CLOCK_NEVER), 0);
    rig_poll_for(rig, 20);
    assert_int_equal(conn->counts[TRANSPORT_TIMER], 0);
    close(fd);
}

static void test_a_closed_connections_timer_does_not_fire(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    assert_int_equal(transport_timer(rig->transport, conn->handle, clock_now_ns() + NS_PER_MS), 0);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    rig_poll_for(rig, 10);
    assert_int_equal(conn->counts[TRANSPORT_TIMER], 0);
    close(fd);
}

static void test_poll_waits_until_its_time_and_not_less(void **state)
{
    struct rig *rig = *state;
    rig_open(rig, 0);
    (void)rig_listen(rig, NULL);
    rig_poll_for(rig, 2);
    uint64_t until_ns = clock_now_ns() + 20 * NS_PER_MS;
    unsigned polls = 0;
    while (clock_now_ns() < until_ns) {
        assert_int_equal(transport_poll(rig->transport, until_ns), 0);
        polls++;
    }
    assert_in_range(polls, 1, 4); /* it may wake for nothing now and then, but not spin */
}

static void test_poll_with_a_past_time_does_not_wait(void **state)
{
    struct rig *rig = *state;
    rig_open(rig, 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(transport_poll(rig->transport, 0), 0);
    }
}

static void test_a_wake_before_poll_is_not_lost(void **state)
{
    struct rig *rig = *state;
    rig_open(rig, 0);
    for (unsigned i = 1; i <= 3; i++) {
        transport_wake(rig->transport);
        assert_int_equal(transport_poll(rig->transport, CLOCK_NEVER), 0);
    }
    assert_in_range(rig_counter(rig, "wakeups"), 1, 3);
}

static void *wake_thread(void *argument)
{
    transport_wake(argument);
    return NULL;
}

static void test_another_thread_wakes_poll(void **state)
{
    struct rig *rig = *state;
    rig_open(rig, 0);
    for (uint64_t i = 1; i <= 50; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_thread, rig->transport), 0);
        while (rig_counter(rig, "wakeups") < i) {
            assert_int_equal(transport_poll(rig->transport, CLOCK_NEVER), 0);
        }
        pthread_join(thread, NULL);
    }
}

static void test_events_queued_by_calls_do_not_wait(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    rig_poll_for(rig, 2);
    assert_int_equal(transport_send(rig->transport, conn->handle, "x", 1), 0);
    while (conn->counts[TRANSPORT_SENT] == 0) {
        assert_int_equal(transport_poll(rig->transport, CLOCK_NEVER), 0);
    }
    assert_int_equal(transport_close(rig->transport, conn->handle, TRANSPORT_CLOSE_PLAIN), 0);
    while (conn->counts[TRANSPORT_CLOSED] == 0) {
        assert_int_equal(transport_poll(rig->transport, CLOCK_NEVER), 0);
    }
    close(fd);
}

static void test_connections_are_counted_from_start_to_closed(void **state)
{
    struct rig *rig = *state;
    rig_needs_loopback(rig);
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, NULL);
    struct rig_conn *client = rig_connect(rig, NULL, &address, NULL);
    assert_int_equal(transport_conn_count(rig->transport), 1);
    RIG_UNTIL(rig, client->counts[TRANSPORT_CONNECTED] == 1 && rig_accepted(rig) != NULL);
    assert_int_equal(transport_conn_count(rig->transport), 2);
    assert_int_equal(rig_counter(rig, "connects"), 1);
    assert_int_equal(rig_counter(rig, "accepted"), 1);
    assert_int_equal(transport_send(rig->transport, client->handle, "four", 4), 0);
    RIG_UNTIL(rig, client->received_bytes >= 4);
    assert_true(rig_counter(rig, "bytes_sent") >= 4);
    assert_true(rig_counter(rig, "bytes_received") >= 8);
    rig_finish(rig, client, TRANSPORT_CLOSE_PLAIN);
    assert_int_equal(transport_conn_count(rig->transport), 1);
}

static void test_the_transport_tells_its_turns_engine_and_memory(void **state)
{
    struct rig *rig = *state;
    struct hist *turns = malloc(sizeof(*turns));
    assert_non_null(turns);
    rig_open(rig, 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(transport_poll(rig->transport, 0), 0);
    }
    transport_turns(rig->transport, turns);
    assert_in_range(turns->count, 9, 10);
    free(turns);
    assert_int_equal(rig_counter(rig, "polls"), 10);
    assert_int_equal(transport_engine_of(rig->transport), rig->variant->engine);
    assert_true(transport_memory_bytes(rig->transport) > 0);
    bool is_stack = rig->variant->engine == TRANSPORT_STACK;
    struct tcp_state_counts counts;
    assert_int_equal(transport_census(rig->transport, &counts, NULL), is_stack ? 0 : -ENOTSUP);
}

static void test_a_feature_that_is_forced_off_is_not_used(void **state)
{
    struct rig *rig = *state;
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    rig_open(rig, 0);
    size_t count = transport_features(rig->transport, features, TRANSPORT_FEATURES_MAX);
    assert_true(count > 0 || rig->variant->engine == TRANSPORT_STACK);
    for (size_t i = 0; i < count; i++) {
        uint64_t bit = transport_feature_find(features[i].name);
        assert_true(bit != 0);
        if (bit & rig->variant->features_off) {
            assert_true(features[i].state == TRANSPORT_FEATURE_OFF ||
                        features[i].state == TRANSPORT_FEATURE_MISSING);
        }
    }
    assert_int_equal(transport_feature_find("no such feature"), 0);
}

static void test_a_thousand_connections_leave_nothing_behind(void **state)
{
    struct rig *rig = *state;
    rig_needs_loopback(rig);
    rig_open(rig, 4);
    struct endpoint address = rig_listen(rig, NULL);
    uint32_t descriptors = descriptor_count();
    uint64_t memory = 0;
    for (unsigned i = 0; i < 1000; i++) {
        rig->conn_count = 0;
        memset(rig->conns, 0, sizeof(rig->conns));
        rig->accept_as.close_on[TRANSPORT_PEER_FIN] = true;
        struct rig_conn *client = rig_connect(rig, NULL, &address, NULL);
        client->close_on[TRANSPORT_DATA] = i % 2;
        client->close_on[TRANSPORT_CONNECTED] = !client->close_on[TRANSPORT_DATA];
        RIG_UNTIL(rig, client->counts[TRANSPORT_CONNECTED] == 1);
        if (i % 2) {
            assert_int_equal(transport_send(rig->transport, client->handle, "x", 1), 0);
        }
        RIG_UNTIL(rig, transport_conn_count(rig->transport) == 0 && rig->conn_count == 2);
        memory = i == 10 ? transport_memory_bytes(rig->transport) : memory;
    }
    assert_int_equal(descriptor_count(), descriptors);
    /* The stack's index grows by cache lines with how many TIME_WAITs of a millisecond overlap: far
     * less than a record for each connection would be. */
    uint64_t slack = rig->variant->engine == TRANSPORT_STACK ? 16384 : 0;
    assert_in_range(transport_memory_bytes(rig->transport), memory, memory + slack);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_fires_once_and_not_early),
        cmocka_unit_test(test_poll_wakes_for_a_timer_by_itself),
        cmocka_unit_test(test_a_timer_far_ahead_fires_in_time_and_polls_do_not_spin),
        cmocka_unit_test(test_a_timer_that_is_moved_fires_at_its_new_time),
        cmocka_unit_test(test_a_disarmed_timer_does_not_fire),
        cmocka_unit_test(test_a_closed_connections_timer_does_not_fire),
        cmocka_unit_test(test_poll_waits_until_its_time_and_not_less),
        cmocka_unit_test(test_poll_with_a_past_time_does_not_wait),
        cmocka_unit_test(test_a_wake_before_poll_is_not_lost),
        cmocka_unit_test(test_another_thread_wakes_poll),
        cmocka_unit_test(test_events_queued_by_calls_do_not_wait),
        cmocka_unit_test(test_connections_are_counted_from_start_to_closed),
        cmocka_unit_test(test_the_transport_tells_its_turns_engine_and_memory),
        cmocka_unit_test(test_a_feature_that_is_forced_off_is_not_used),
        cmocka_unit_test(test_a_thousand_connections_leave_nothing_behind),
    };
    return rig_run("loop", tests, sizeof(tests) / sizeof(tests[0]));
}
