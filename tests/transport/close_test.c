/* How connections end: each way to close, who closes, resets, and CLOSED once and last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/rig.h"

static const enum transport_close_how all_hows[] = {
    TRANSPORT_CLOSE_PLAIN,
    TRANSPORT_CLOSE_RST,
    TRANSPORT_CLOSE_NO_TIMEWAIT,
};

#define HOW_COUNT (sizeof(all_hows) / sizeof(all_hows[0]))

/* What the peer of a close reads: the end of the data, or a reset. */
static void expect_end(struct rig *rig, int fd, enum transport_close_how how)
{
    char byte;
    assert_int_equal(peer_recv(rig, fd, &byte, 1), how == TRANSPORT_CLOSE_RST ? -ECONNRESET : 0);
}

/* Closes as `how`, on a connection of either side, and checks the peer's view and TIME_WAIT. An
 * engine that cannot close as asked for has to count that. */
static void close_and_check(struct rig *rig, struct rig_conn *conn, int fd,
                            enum transport_close_how how)
{
    uint64_t before = time_wait_count(rig);
    uint64_t unavailable = rig_counter(rig, "close_how_unavailable");
    uint64_t called_ns = clock_now_ns();
    rig_finish(rig, conn, how);
    assert_true(conn->times_ns[TRANSPORT_CLOSED] >= called_ns);
    if (rig_counter(rig, "close_how_unavailable") != unavailable) {
        close(fd);
        return;
    }
    expect_end(rig, fd, how);
    close(fd);
    time_wait_expect(rig, before + (how == TRANSPORT_CLOSE_PLAIN ? 1 : 0));
}

static void test_a_client_closes_as_it_was_prepared_to(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < HOW_COUNT; i++) {
        struct transport_conn_options options = {.close_how = all_hows[i]};
        struct rig_conn *conn;
        int fd = rig_open_connected(rig, &options, &conn);
        close_and_check(rig, conn, fd, all_hows[i]);
        assert_int_equal(rig_counter(rig, "close_how_unavailable"), 0);
        rig_close(rig);
    }
}

static void test_a_client_closes_otherwise_than_it_was_prepared_to(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < HOW_COUNT * HOW_COUNT; i++) {
        struct transport_conn_options options = {.close_how = all_hows[i / HOW_COUNT]};
        struct rig_conn *conn;
        int fd = rig_open_connected(rig, &options, &conn);
        close_and_check(rig, conn, fd, all_hows[i % HOW_COUNT]);
        rig_close(rig);
    }
}

static void test_a_server_closes_as_its_listener_was_prepared_to(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < HOW_COUNT; i++) {
        struct transport_listen_options options = {.backlog = 8, .conn.close_how = all_hows[i]};
        rig_open(rig, 0);
        struct endpoint address = rig_listen(rig, &options);
        int fd = peer_connect(rig, &address);
        RIG_UNTIL(rig, rig_accepted(rig) != NULL);
        close_and_check(rig, rig_accepted(rig), fd, all_hows[i]);
        assert_int_equal(rig_counter(rig, "close_how_unavailable"), 0);
        rig_close(rig);
    }
}

static void test_who_answers_a_fin_keeps_no_time_wait(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    time_wait_expect(rig, 1); /* the peer's */
    expect_end(rig, fd, TRANSPORT_CLOSE_PLAIN);
    close(fd);
    time_wait_expect(rig, 1);
}

static void test_who_shuts_down_first_keeps_time_wait(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    rig_poll_for(rig, 5);
    expect_end(rig, fd, TRANSPORT_CLOSE_PLAIN);
    close(fd);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    time_wait_expect(rig, 1);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    time_wait_expect(rig, 1);
}

/* TIME_WAIT stands by then. */
static void test_a_reset_after_both_fins_comes_too_late_and_is_counted(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < HOW_COUNT; i++) {
        struct transport_conn_options options = {.close_how = all_hows[i], .shuts_down = true};
        struct rig_conn *conn;
        int fd = rig_open_connected(rig, &options, &conn);
        assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
        rig_poll_for(rig, 5);
        expect_end(rig, fd, TRANSPORT_CLOSE_PLAIN);
        close(fd);
        RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
        rig_finish(rig, conn, all_hows[i]);
        assert_int_equal(rig_counter(rig, "close_how_unavailable"),
                         all_hows[i] == TRANSPORT_CLOSE_PLAIN ? 0 : 1);
        rig_close(rig);
    }
}

static void test_closes_that_cross_end_on_both_sides(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0); /* before the peer read our FIN */
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    expect_end(rig, fd, TRANSPORT_CLOSE_PLAIN);
    close(fd);
    RIG_UNTIL(rig, time_wait_count(rig) >= 1);
    assert_in_range(time_wait_count(rig), 1, 2); /* two where the FINs crossed on the way */
}

static void test_a_reset_fails_the_receive_once(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    peer_reset(fd);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_FAILED] == 1);
    assert_int_equal(conn->phase, TRANSPORT_PHASE_RECV);
    assert_int_equal(conn->error, ECONNRESET);
    rig_poll_for(rig, 10);
    assert_int_equal(conn->counts[TRANSPORT_PEER_FIN], 0);
    assert_int_equal(conn->counts[TRANSPORT_CLOSED], 0);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    assert_int_equal(time_wait_count(rig), 0);
}

static void test_a_reset_while_the_credit_is_used_up_fails_after_the_data(void **state)
{
    struct rig *rig = *state;
    struct transport_config config = {.conns_max = 4, .buffer_bytes = 4, .read_credit = 1};
    rig->mode = RIG_HOLD;
    rig_open_config(rig, config);
    struct endpoint address = rig_listen(rig, NULL);
    int fd = peer_connect(rig, &address);
    peer_send(rig, fd, "onceonce", 8);
    RIG_UNTIL(rig, rig->held_count >= 1);
    struct rig_conn *conn = rig_accepted(rig);
    rig_poll_for(rig, 5);
    peer_reset(fd);
    rig_poll_for(rig, 5);
    rig->mode = RIG_COLLECT;
    while (rig->held_count > 0) {
        rig_give_back(rig, false);
    }
    RIG_UNTIL(rig, conn->counts[TRANSPORT_FAILED] == 1);
    /* The stack's receive queue goes with a reset (RFC 9293 section 3.10.7.4); the kernel's stays.
     */
    assert_int_equal(conn->received_bytes, rig->variant->engine == TRANSPORT_STACK ? 4 : 8);
    assert_int_equal(conn->error, ECONNRESET);
}

static void test_sending_to_a_peer_that_reset_fails(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    struct transport_conn_options options = {.pull = true};
    int fd = rig_open_connected(rig, &options, &conn);
    peer_reset(fd);
    rig_poll_for(rig, 5); /* the stack learns of it by being polled */
    assert_int_equal(transport_send(rig->transport, conn->handle, "x", 1), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_FAILED] == 1);
    assert_int_equal(conn->phase, TRANSPORT_PHASE_SEND);
    assert_true(conn->error == ECONNRESET || conn->error == EPIPE);
    assert_int_equal(conn->counts[TRANSPORT_SENT], 0);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
}

static void test_a_handler_may_close_in_any_event(void **state)
{
    struct rig *rig = *state;
    static const enum transport_event_type types[] = {
        TRANSPORT_CONNECTING, TRANSPORT_CONNECTED, TRANSPORT_DATA,
        TRANSPORT_SENT,       TRANSPORT_PEER_FIN,  TRANSPORT_TIMER,
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct endpoint address = rig_peer_end(rig, 0);
        rig_open(rig, 0);
        int listener = peer_listen(&address);
        struct rig_conn *conn = rig_connect(rig, NULL, &address, NULL);
        conn->close_on[types[i]] = true;
        conn->close_how = all_hows[i % HOW_COUNT];
        if (types[i] > TRANSPORT_CONNECTING) {
            RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
            int fd = peer_accept(listener);
            peer_send(rig, fd, "x", 1);
            assert_int_equal(transport_timer(rig->transport, conn->handle, clock_now_ns()), 0);
            close(fd);
        }
        RIG_UNTIL(rig, conn->counts[TRANSPORT_CLOSED] == 1);
        assert_int_equal(transport_conn_count(rig->transport), 0);
        rig_poll_for(rig, 5);
        close(listener);
        rig_close(rig);
    }
}

static void test_a_server_may_close_on_accept_and_on_data(void **state)
{
    struct rig *rig = *state;
    static const enum transport_event_type types[] = {TRANSPORT_ACCEPTED, TRANSPORT_DATA};
    for (size_t i = 0; i < 2; i++) {
        rig_open(rig, 0);
        rig->accept_as = (struct rig_conn){.close_how = TRANSPORT_CLOSE_PLAIN};
        rig->accept_as.close_on[types[i]] = true;
        struct endpoint address = rig_listen(rig, NULL);
        int fd = peer_connect(rig, &address);
        peer_send(rig, fd, "x", 1);
        RIG_UNTIL(rig, rig_accepted(rig) && rig_accepted(rig)->counts[TRANSPORT_CLOSED] == 1);
        assert_int_equal(rig_accepted(rig)->counts[TRANSPORT_DATA], i);
        close(fd);
        rig_close(rig);
    }
}

static void test_a_failed_connect_may_be_closed_in_the_handler(void **state)
{
    struct rig *rig = *state;
    struct endpoint nobody = rig_peer_end(rig, 9);
    rig_open(rig, 0);
    struct rig_conn *conn = rig_connect(rig, NULL, &nobody, NULL);
    conn->close_on[TRANSPORT_FAILED] = true;
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CLOSED] == 1);
    assert_int_equal(conn->counts[TRANSPORT_FAILED], 1);
}

static void test_close_before_the_first_poll_gives_closed_alone(void **state)
{
    struct rig *rig = *state;
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    struct rig_conn *conn = rig_connect(rig, NULL, &address, NULL);
    rig_finish(rig, conn, TRANSPORT_CLOSE_RST);
    assert_int_equal(conn->counts[TRANSPORT_CONNECTED], 0);
    assert_int_equal(conn->counts[TRANSPORT_FAILED], 0);
    assert_int_equal(transport_conn_count(rig->transport), 0);
    close(listener);
}

/* A listener with room for no more drops SYNs: the connect stays pending. */
static void test_close_ends_a_connect_that_nobody_answers(void **state)
{
    struct rig *rig = *state;
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    assert_int_equal(listen(listener, 0), 0);
    struct rig_conn *conns[4];
    for (size_t i = 0; i < 4; i++) {
        conns[i] = rig_connect(rig, NULL, &address, NULL);
        rig_poll_for(rig, 5); /* one after the other: the room is taken by what is established */
    }
    RIG_UNTIL(rig, conns[3]->counts[TRANSPORT_CONNECTING] == 1);
    rig_poll_for(rig, 20);
    assert_int_equal(conns[3]->counts[TRANSPORT_CONNECTED], 0);
    rig_finish(rig, conns[3], TRANSPORT_CLOSE_PLAIN); /* the connect itself would last 127 s */
    assert_int_equal(conns[3]->counts[TRANSPORT_FAILED], 0);
    close(listener);
}

static void test_close_gives_up_a_pending_send(void **state)
{
    struct rig *rig = *state;
    size_t bytes = (size_t)32 << 20;
    uint8_t *memory = calloc(1, bytes);
    for (size_t i = 0; i < HOW_COUNT; i++) {
        struct rig_conn *conn;
        int fd = rig_open_connected(rig, NULL, &conn);
        assert_int_equal(transport_send(rig->transport, conn->handle, memory, bytes), 0);
        rig_poll_for(rig, 5);
        rig_finish(rig, conn, all_hows[i]);
        assert_int_equal(conn->counts[TRANSPORT_SENT], 0);
        close(fd);
        rig_close(rig);
    }
    free(memory);
}

static void test_buffers_may_come_back_after_the_close(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    rig->mode = RIG_HOLD;
    int fd = rig_open_accepted(rig, &conn);
    for (uint32_t i = 1; i <= 4; i++) {
        peer_send(rig, fd, "x", 1);
        RIG_UNTIL(rig, rig->held_count == i);
    }
    assert_int_equal(transport_close(rig->transport, conn->handle, TRANSPORT_CLOSE_PLAIN), 0);
    rig_give_back(rig, false);
    assert_int_equal(transport_send_buffer(rig->transport, conn->handle, &rig->held[0]), -EBADF);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CLOSED] == 1);
    transport_buffer_release(rig->transport, conn->handle, &rig->held[1]);
    assert_int_equal(transport_send_buffer(rig->transport, conn->handle, &rig->held[2]), -EBADF);
    rig_poll_for(rig, 5);
    close(fd);
}

static void test_the_last_buffer_may_come_back_in_the_handler_of_closed(void **state)
{
    struct rig *rig = *state;
    struct transport_config config = {.conns_max = 4, .buffer_bytes = 64, .read_credit = 1};
    static const char bytes[1000];
    rig->mode = RIG_HOLD;
    rig->release_on_closed = true;
    rig_open_config(rig, config);
    struct endpoint address = rig_listen(rig, NULL);
    int fd = peer_connect(rig, &address);
    peer_send(rig, fd, bytes, sizeof(bytes));
    RIG_UNTIL(rig, rig_counter(rig, "credit_paused") >= 1);
    rig_poll_for(rig, 5);
    rig_finish(rig, rig_accepted(rig), TRANSPORT_CLOSE_RST);
    assert_int_equal(rig->held_count, 0);
    rig_poll_for(rig, 5);
    close(fd);
}

static void test_calls_on_a_closed_connection_are_refused_and_counted(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    uint64_t handle = conn->handle;
    assert_int_equal(transport_close(rig->transport, handle, TRANSPORT_CLOSE_PLAIN), 0);
    for (unsigned i = 0; i < 2; i++) { /* while it closes, and when it is gone */
        uint64_t before = rig_counter(rig, "stale_handle");
        assert_int_equal(transport_close(rig->transport, handle, TRANSPORT_CLOSE_PLAIN), -EBADF);
        assert_int_equal(transport_send(rig->transport, handle, "x", 1), -EBADF);
        assert_int_equal(transport_shutdown_write(rig->transport, handle), -EBADF);
        assert_int_equal(transport_recv(rig->transport, handle), -EBADF);
        assert_int_equal(transport_timer(rig->transport, handle, 0), -EBADF);
        assert_int_equal(transport_set_user(rig->transport, handle, 1), -EBADF);
        assert_int_equal(rig_counter(rig, "stale_handle") - before, 6);
        RIG_UNTIL(rig, conn->counts[TRANSPORT_CLOSED] == 1);
    }
    close(fd);
}

static bool feature_is_used(const struct rig *rig, const char *name)
{
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    size_t count = transport_features(rig->transport, features, TRANSPORT_FEATURES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(features[i].name, name) == 0) {
            return features[i].state == TRANSPORT_FEATURE_USED;
        }
    }
    return false;
}

/* A socket that lives in the ring's table alone cannot be told to reset before kernel 6.7. */
static bool can_reset_at_end(const struct rig *rig)
{
    return !feature_is_used(rig, "direct") || feature_is_used(rig, "setsockopt-op");
}

static void test_destroy_resets_what_is_open_and_leaves_no_descriptor(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    char byte;
    rig_needs_kernel(rig);
    uint32_t before = descriptor_count();
    rig->mode = RIG_HOLD;
    int fd = rig_open_accepted(rig, &conn);
    struct endpoint address = peer_name(fd, true);
    peer_send(rig, fd, "x", 1);
    RIG_UNTIL(rig, rig->held_count == 1);
    (void)rig_connect(rig, NULL, &address, NULL);
    struct rig_conn *other = rig_connect(rig, NULL, &address, NULL);
    RIG_UNTIL(rig, other->counts[TRANSPORT_CONNECTED] == 1);
    (void)rig_connect(rig, NULL, &address, NULL); /* has not begun */
    bool resets = can_reset_at_end(rig);
    rig_close(rig);
    assert_int_equal(peer_recv(rig, fd, &byte, 1), resets ? -ECONNRESET : 0);
    close(fd);
    assert_int_equal(descriptor_count(), before);
    assert_true(time_wait_count(rig) == 0 || !resets);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_closes_as_it_was_prepared_to),
        cmocka_unit_test(test_a_client_closes_otherwise_than_it_was_prepared_to),
        cmocka_unit_test(test_a_server_closes_as_its_listener_was_prepared_to),
        cmocka_unit_test(test_who_answers_a_fin_keeps_no_time_wait),
        cmocka_unit_test(test_who_shuts_down_first_keeps_time_wait),
        cmocka_unit_test(test_a_reset_after_both_fins_comes_too_late_and_is_counted),
        cmocka_unit_test(test_closes_that_cross_end_on_both_sides),
        cmocka_unit_test(test_a_reset_fails_the_receive_once),
        cmocka_unit_test(test_a_reset_while_the_credit_is_used_up_fails_after_the_data),
        cmocka_unit_test(test_sending_to_a_peer_that_reset_fails),
        cmocka_unit_test(test_a_handler_may_close_in_any_event),
        cmocka_unit_test(test_a_server_may_close_on_accept_and_on_data),
        cmocka_unit_test(test_a_failed_connect_may_be_closed_in_the_handler),
        cmocka_unit_test(test_close_before_the_first_poll_gives_closed_alone),
        cmocka_unit_test(test_close_ends_a_connect_that_nobody_answers),
        cmocka_unit_test(test_close_gives_up_a_pending_send),
        cmocka_unit_test(test_buffers_may_come_back_after_the_close),
        cmocka_unit_test(test_the_last_buffer_may_come_back_in_the_handler_of_closed),
        cmocka_unit_test(test_calls_on_a_closed_connection_are_refused_and_counted),
        cmocka_unit_test(test_destroy_resets_what_is_open_and_leaves_no_descriptor),
    };
    return rig_run("close", tests, sizeof(tests) / sizeof(tests[0]));
}
